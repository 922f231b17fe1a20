"""Run a system in its own process, started with its thread counts in the environment, and idle while others run.

``python -m benchmarks.worker module:Class '{"option": ...}'`` makes the object and answers requests, one line of JSON
each: ``{"method": ..., arguments}`` on standard input, the answer on standard output. `Worker` is the client.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.problems import Problem
from benchmarks.protocol import Limits, Run, Start

__all__ = ["Worker", "environment"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# Variables that would keep a peer's BLAS from its best kernels, or skip compilations.
REMOVED_VARIABLES = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "JAX_COMPILATION_CACHE_DIR",
    "SPARSAM_KEEP_COMPILED_PROGRAMS",
    "JAX_ENABLE_X64",
)


def environment(threads: int, platform: str = "cpu") -> dict[str, str]:
    """Make the environment of a process with a number of threads; XLA has one thread per core that it may use."""
    variables = {name: value for name, value in os.environ.items() if name not in REMOVED_VARIABLES}
    variables |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return variables | {"JAX_PLATFORMS": platform, "PYTHONUNBUFFERED": "1"}


class Worker:
    """A worker process, as the driver sees it.

    Parameters
    ----------
    path : str
        ``module:Class`` within the package `benchmarks`.
    options : dict
        Keyword arguments of the class.
    threads : int
    platform : str
        JAX's platform, "cpu" or "cuda".
    """

    def __init__(self, path: str, options: dict[str, Any], threads: int, platform: str = "cpu") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", path, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(threads, platform),
            cwd=Path(__file__).parents[1],
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call a method in the worker, and return its result."""
        self.process.stdin.write(json.dumps({"method": method, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with status {self.process.wait()} during {method}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{method} failed in the worker:\n{answer['error']}")
        return answer["result"]

    def prepare(self, problem: Problem, data_file: str) -> None:
        """Let the system prepare a job."""
        self.ask("prepare", problem=asdict(problem), data_file=data_file)

    def run(self, start: Start, limits: Limits) -> Run:
        """Run the system."""
        answer = self.ask("run", seed=start.seed, theta=encoded(start.theta), limits=asdict(limits))
        return Run(**answer | {"theta": decoded(answer["theta"])})

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def encoded(array: np.ndarray) -> str:
    """Encode float64 numbers as text, exactly."""
    return base64.b64encode(np.asarray(array, dtype=np.float64).tobytes()).decode()


def decoded(text: str) -> np.ndarray:
    """Invert `encoded`."""
    return np.frombuffer(base64.b64decode(text), dtype=np.float64).copy()


def thread_pools() -> list[str]:
    """Return the thread counts that the loaded libraries report."""
    from threadpoolctl import threadpool_info

    pools = {f"{pool['internal_api']} {pool['version'] or ''}: {pool['num_threads']}" for pool in threadpool_info()}
    if "torch" in sys.modules:
        pools.add(f"torch: {sys.modules['torch'].get_num_threads()}")
    return sorted(pools)


def answer(system: Any, method: str, arguments: dict[str, Any]) -> Any:
    """Execute a request."""
    if method == "prepare":
        return system.prepare(Problem(**arguments["problem"]), np.load(arguments["data_file"]))
    if method == "run":
        start = Start(arguments["seed"], decoded(arguments["theta"]))
        begin = time.perf_counter()
        run = system.run(start, Limits(**arguments["limits"]))
        run.extra["seconds_outside"] = time.perf_counter() - begin
        curve = [(float(seconds), int(evaluations), float(J)) for seconds, evaluations, J in run.curve]
        return {**asdict(run), "theta": encoded(run.theta), "curve": curve}
    if method == "thread_pools":
        return thread_pools()
    return getattr(system, method)(**arguments)


def main() -> None:
    """Answer requests until standard input ends."""
    # Redirect standard output, so that no library prints between the answers.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    path, options = sys.argv[1], json.loads(sys.argv[2])
    module, name = path.split(":")
    system: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if system is None:
                system = getattr(importlib.import_module(f"benchmarks.{module}"), name)(**options)
            reply = {"result": answer(system, request.pop("method"), request)}
        except Exception:
            reply = {"error": traceback.format_exc()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
