"""Measure time and memory of this library against N, D and M, each point in a fresh process."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.evaluation.evaluators import library_evaluation
from benchmarks.evaluation.timing import seconds_of
from benchmarks.problems import Problem, make_data
from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.worker import Worker

__all__ = ["SWEEPS", "Point", "scaling"]

# (N, D, M); the name of a sweep is the size that varies.
SWEEPS = {
    "N": [(n, 64, 25) for n in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)],
    "D": [(10_000, d, 25) for d in (64, 256, 784)],
    "M": [(10_000, 64, m) for m in (25, 100, 400)],
}
QUICK_SWEEPS = {"N": [(n, 64, 25) for n in (1_000, 4_000)], "D": [(1_000, 16, 25)], "M": [(1_000, 64, 8)]}
ITERATIONS = 20


class Point:
    """Measures one (N, D, M), in a worker."""

    def measure(self, shape: list[int], iterations: int, budget: float) -> dict[str, Any]:
        """Measure the time of an evaluation, and the time and memory of a warm fit with `iterations` iterations."""
        import jax

        n, d, m = shape
        problem = Problem("scaling", "random", n, d, m, alpha=1e-4, rho=0.1, beta=3.0)
        compiled, operands = library_evaluation(problem)
        seconds = seconds_of(lambda: jax.block_until_ready(compiled(*operands)), budget)
        operands = ()  # free them
        X = make_data(problem).astype(np.float32)
        self.fit(X, m, 1)  # compiles
        gc.collect()
        give_back_freed_memory()
        before, resets = psutil.Process().memory_info().rss, reset_peak()
        begin = time.perf_counter()
        evaluations = self.fit(X, m, iterations)
        fit_seconds = time.perf_counter() - begin
        device = jax.devices()[0]
        if device.platform != "cpu":
            memory = (device.memory_stats() or {}).get("peak_bytes_in_use")
        else:
            memory = peak() - before if resets else None
        return {
            "device": device.device_kind,
            "evaluation_seconds": seconds,
            "fit_seconds": fit_seconds,
            "fit_evaluations": evaluations,
            "data_bytes": X.nbytes,
            "fit_bytes": memory,
        }

    @staticmethod
    def fit(X: np.ndarray, n_components: int, iterations: int) -> int:
        """Fit, and return the number of evaluations."""
        from sparsam import SparseAutoencoder

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is not meant to converge
            options = {"tol": 1e-12, "max_iter": iterations, "random_state": 0, "start_on_sample": False}
            model = SparseAutoencoder(n_components, rho=0.1, **options).fit(X)
        return int(model.n_evaluations_)


def give_back_freed_memory() -> None:
    """Return freed memory to the system (glibc only); otherwise the fit would reuse it unmeasured."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def reset_peak() -> bool:
    """Reset this process's peak resident memory (Linux only); return whether that worked."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak() -> int:
    """Return the peak resident memory since `reset_peak`, in bytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def scaling(records: Records, *, cores: int, platform: str, quick: bool) -> None:
    """Measure every point that is not in the records yet, on "cpu" or "cuda"."""
    iterations, budget = (3, 0.02) if quick else (ITERATIONS, 0.5)
    for sweep, shapes in (QUICK_SWEEPS if quick else SWEEPS).items():
        for shape in shapes:
            key = f"scaling/{platform}/{sweep}/{'-'.join(map(str, shape))}"
            if key in records:
                continue
            with Worker("scaling:Point", {}, cores, platform) as worker:
                answer = worker.ask("measure", shape=shape, iterations=iterations, budget=budget)
            say(f"scaling on {platform}: {shape}: {1e3 * answer['evaluation_seconds']:.2f} ms an evaluation")
            records.add(
                key,
                section="scaling",
                platform=platform,
                sweep=sweep,
                shape=shape,
                iterations=iterations,
                **answer,
            )
