"""Section on one evaluation: measure all libraries in turns, over several rounds."""

from __future__ import annotations

import contextlib
import time
from importlib.util import find_spec
from statistics import median

from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.worker import Worker

__all__ = ["SHAPES", "evaluation"]

SHAPES = ((10_000, 64, 25), (10_000, 192, 400), (10_000, 784, 196))
MEASURED = {
    # name in the report: (class, the package it needs, whether it has one thread)
    "sparsam": ("evaluators:LibraryEvaluation", "jax", False),
    "JAX, unchunked": ("evaluators:JaxEvaluation", "jax", False),
    "PyTorch, eager": ("evaluators:TorchEvaluation", "torch", False),
    "NumPy": ("evaluators:NotesEvaluation", "numpy", False),
    "NumPy, 1 thread": ("evaluators:NotesEvaluation", "numpy", True),
    "floor: PyTorch (MKL / oneDNN)": ("floors:TorchFloor", "torch", False),
    "floor: PyTorch, a thread a share": ("floors:TorchFloor", "torch", True),
    "floor: NumPy (OpenBLAS)": ("floors:NumpyFloor", "numpy", False),
    "floor: NumPy, a thread a share": ("floors:NumpyFloor", "numpy", True),
    "floor: SciPy (OpenBLAS)": ("floors:ScipyFloor", "scipy", False),
    "floor: JAX (XLA)": ("floors:JaxFloor", "jax", False),
}


def evaluation(records: Records, *, cores: int, quick: bool) -> None:
    """Measure each shape in rounds, in each of which every library runs once; record medians over the rounds."""
    rounds, budget = (2, 0.02) if quick else (5, 0.15)
    shapes = [(1000, 64, 25)] if quick else SHAPES
    for shape in shapes:
        key = f"evaluation/{'-'.join(map(str, shape))}"
        if key in records:
            continue
        with contextlib.ExitStack() as stack:
            workers = {
                name: stack.enter_context(_worker(path, alone, cores))
                for name, (path, package, alone) in MEASURED.items()
                if find_spec(package)
            }
            times: dict[str, dict[str, list[float]]] = {name: {} for name in workers}
            for round_number in range(rounds + 1):
                say(f"evaluation: {shape}, round {round_number} of {rounds}")
                for name, worker in workers.items():
                    answer = worker.ask("measure", shape=shape, budget=budget)
                    time.sleep(0.25)  # let its threads stop spinning
                    if round_number > 0:  # round 0 compiled
                        for what, seconds in answer.items():
                            times[name].setdefault(what, []).append(seconds)
            pools = {name: worker.ask("thread_pools") for name, worker in workers.items()}
        medians = {name: {what: median(all_) for what, all_ in calls.items()} for name, calls in times.items()}
        records.add(key, section="evaluation", shape=shape, seconds=medians, thread_pools=pools, rounds=rounds)


def _worker(path: str, alone: bool, cores: int) -> Worker:
    """Start a worker; a floor with one BLAS thread runs its products in one Python thread per core."""
    shares = {"python_threads": cores} if alone and path.startswith("floors:") else {}
    return Worker("evaluation.timing:Measured", {"source": path, **shares}, 1 if alone else cores)
