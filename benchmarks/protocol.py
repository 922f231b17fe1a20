"""What every system of a race is: an object that prepares a job once and then runs it from given weights."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from benchmarks.problems import Problem

__all__ = ["Limits", "Recorder", "Run", "Start", "Stop", "System"]


@dataclass(frozen=True)
class Start:
    """Where a run starts: weights, and the seed that drew them (which an estimator is given instead)."""

    seed: int
    theta: np.ndarray


@dataclass(frozen=True)
class Limits:
    """When a run ends: at a gradient of at most ``tol``, at a J of at most ``target``, or after ``max_seconds``.

    ``warm_up`` marks a short run that is not measured: it compiles, and wakes thread pools.
    """

    tol: float
    max_seconds: float
    target: float | None = None
    warm_up: bool = False


@dataclass
class Run:
    """What a run leaves behind.

    Attributes
    ----------
    theta : array
        Final weights.
    seconds : float
        Wall time of the whole run, compilation excluded (the worker has run before).
    curve : list of (seconds, evaluations, J)
        Whenever J was lower than ever before.
    reason : str
        Why the system stopped, in its own words.
    evaluations : int or None
        Of J and its gradient; None where the system does not say.
    """

    theta: np.ndarray
    seconds: float
    curve: list[tuple[float, int, float]]
    reason: str
    evaluations: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class System(Protocol):
    """A way to minimize J."""

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Take the job: copy the data to where it is needed, build the cost; nothing of this is timed."""

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize."""


class Stop(Exception):
    """Raised within a cost function when a run's limits are reached: it leads out of a peer's minimizer."""


class Recorder:
    """Keeps the curve and the limits of a run whose cost function is called from Python.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.curve: list[tuple[float, int, float]] = []
        self.evaluations = 0
        self.lowest = np.inf
        self.start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.perf_counter() - self.start

    def record(self, J: float) -> bool:
        """Count an evaluation; return whether J is the lowest so far."""
        self.evaluations += 1
        if not J < self.lowest:
            return False
        self.lowest = J
        self.curve.append((self.seconds, self.evaluations, J))
        return True

    def check(self) -> None:
        """Raise `Stop` when the limits are reached; call it when the lowest J's weights are safe."""
        if self.limits.target is not None and self.lowest <= self.limits.target:
            raise Stop("target")
        if self.seconds > self.limits.max_seconds:
            raise Stop("max_seconds")
