"""Run a race: systems take turns on one job, seed by seed, each in its own warm process."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import problems
from benchmarks.problems import Problem
from benchmarks.progress import say
from benchmarks.protocol import Limits, Run, Start
from benchmarks.records import Records
from benchmarks.systems.registry import Spec, missing_packages
from benchmarks.worker import Worker

__all__ = ["race"]

WARM_UP_SEED = 1000
WARM_UPS = 2  # unmeasured runs: the first compiles, the second runs compiled code
CONVERGED_FACTOR = 2  # a gradient of tol in float32 may be a little more in float64
CURVE_POINTS = 120
REST = 0.3  # seconds between runs, in which thread pools go to sleep


def race(
    records: Records,
    section: str,
    problem: Problem,
    specs: tuple[Spec, ...],
    seeds: list[int],
    *,
    cores: int,
    tol: float,
    max_seconds: float,
    folder: Path,
) -> None:
    """Run all systems and seeds that are not in the records yet.

    Parameters
    ----------
    records : Records
    section : str
        Section of the records.
    problem : Problem
    specs : tuple of Spec
        The systems; those with missing packages are left out, and the report lists them.
    seeds : list of int
        Seeds of the initial weights.
    cores : int
        Threads of the systems that do not specify their own number.
    tol, max_seconds : float
        Limits of a run.
    folder : Path
        Folder for the data, which the workers read from a file.
    """
    specs = tuple(spec for spec in specs if not missing_packages(spec))
    todo = [(spec, seed) for seed in seeds for spec in specs if _key(section, spec, seed) not in records]
    if not todo:
        return
    data = problems.make_data(problem)
    data_file = str(folder / f"{problem.name}.npy")
    np.save(data_file, data)
    limits = Limits(tol, max_seconds, problem.target if problem.stop_at_target else None)
    with contextlib.ExitStack() as stack:
        workers = {}
        for spec in {spec.name: spec for spec, _ in todo}.values():
            say(f"{section}: warming up {spec.name}")
            worker = Worker(spec.path, spec.options, spec.threads or cores)
            workers[spec.name] = stack.enter_context(worker)
            worker.prepare(problem, data_file)
            warm_up = Start(WARM_UP_SEED, problems.initial_weights(problem, WARM_UP_SEED))
            for _ in range(WARM_UPS):
                worker.run(warm_up, Limits(tol, 2.0, limits.target, warm_up=True))
        for turn, seed in enumerate(seeds):
            start = Start(seed, problems.initial_weights(problem, seed))
            shift = turn % len(specs)  # no system is always first
            for spec in specs[shift:] + specs[:shift]:
                if _key(section, spec, seed) not in records:
                    own = replace(limits, max_seconds=min(max_seconds, spec.max_seconds or max_seconds))
                    _measure(records, section, problem, spec, workers[spec.name], start, own, data)


def _measure(
    records: Records,
    section: str,
    problem: Problem,
    spec: Spec,
    worker: Worker,
    start: Start,
    limits: Limits,
    data: np.ndarray,
) -> None:
    time.sleep(REST)
    load = os.getloadavg()[0]
    run = worker.run(start, limits)
    J, gradient_norm = problems.judge(problem, run.theta, data)
    J_start, _ = problems.judge(problem, start.theta, data)
    if run.curve and not np.isclose(run.curve[0][2], J_start, rtol=1e-4):
        raise RuntimeError(f"{spec.name} began at J = {run.curve[0][2]}, not at {J_start}: another cost or start")
    verdict = _verdict(run, gradient_norm, limits)
    say(
        f"{section}: {spec.name} seed {start.seed}: {run.seconds:.2f} s, J = {J:.5f}, "
        f"|g| = {gradient_norm:.1e}, {verdict}"
    )
    records.add(
        _key(section, spec, start.seed),
        section=section,
        system=spec.name,
        label=spec.label,
        role=spec.role,
        options=spec.options,
        thread_pools=worker.ask("thread_pools"),
        seed=start.seed,
        seconds=run.seconds,
        evaluations=run.evaluations,
        J=J,
        J_start=J_start,
        gradient_norm=gradient_norm,
        verdict=verdict,
        reason=run.reason,
        seconds_to_target=_seconds_to(problem.target, run),
        curve=_thinned(run.curve),
        load_average=round(load, 2),
    )


def _key(section: str, spec: Spec, seed: int) -> str:
    return f"{section}/{spec.name}/{seed}"


def _verdict(run: Run, gradient_norm: float, limits: Limits) -> str:
    """Return the judge's verdict on a run, independent of the system's own report."""
    if gradient_norm <= CONVERGED_FACTOR * limits.tol:
        return "converged"
    if limits.target is not None and run.curve and min(J for _, _, J in run.curve) <= limits.target:
        return "target"
    # A system without a curve (scikit-learn) has no time budget either.
    return "budget" if run.curve and run.seconds >= 0.9 * limits.max_seconds else "stalled"


def _seconds_to(target: float | None, run: Run) -> float | None:
    if target is None:
        return None
    return next((seconds for seconds, _, J in run.curve if J <= target), None)


def _thinned(curve: list[tuple[float, int, float]]) -> list[tuple[float, int, float]]:
    """Return at most `CURVE_POINTS` points, evenly spaced in the logarithm of time, with the first and the last."""
    if not curve:
        return []
    lowest = np.minimum.accumulate([J for _, _, J in curve])
    seconds = np.array([point[0] for point in curve])
    wanted = np.geomspace(max(seconds[0], 1e-3), max(seconds[-1], 2e-3), CURVE_POINTS)
    indices = sorted({0, len(curve) - 1, *np.searchsorted(seconds, wanted).clip(max=len(curve) - 1).tolist()})
    return [(float(f"{seconds[i]:.4g}"), curve[i][1], float(f"{lowest[i]:.7g}")) for i in indices]
