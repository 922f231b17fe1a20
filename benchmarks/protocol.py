"""Interface of the systems in a race: an object that prepares a job once, and then runs it from given weights."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from benchmarks.problems import Problem

__all__ = ["Limits", "Recorder", "Run", "Start", "Stop", "System", "weights_of"]


@dataclass(frozen=True)
class Start:
    """Start of a run: initial weights, and their seed (estimators take the seed)."""

    seed: int
    theta: np.ndarray


@dataclass(frozen=True)
class Limits:
    """End of a run: at a gradient of at most ``tol``, at a J of at most ``target``, or after ``max_seconds``.

    ``warm_up`` marks a short run that is not measured; it compiles, and starts thread pools.
    """

    tol: float
    max_seconds: float
    target: float | None = None
    warm_up: bool = False


@dataclass
class Run:
    """Result of a run.

    Attributes
    ----------
    theta : array
        Final weights.
    seconds : float
        Wall time of the whole run, without compilation (the worker has run before).
    curve : list of (seconds, evaluations, J)
        One entry for each new lowest J.
    reason : str
        The system's own reason to stop.
    evaluations : int or None
        Number of evaluations of J and its gradient; None if the system does not report it.
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
        """Prepare the job, untimed: copy the data to the device, build the cost function."""

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize."""


def weights_of(model: Any) -> np.ndarray:
    """Return theta = [W1, W2, b1, b2] of a fitted network."""
    return np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)]).astype(np.float64)


class Stop(Exception):
    """Raised in a cost function when the limits of a run are reached, to leave a peer's minimizer."""


class Recorder:
    """Records the curve of a run, and checks its limits, for systems that call their cost function from Python.

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
        """Seconds since the start of the run."""
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
        """Raise `Stop` if a limit is reached; call it after saving the weights of the lowest J."""
        if self.limits.target is not None and self.lowest <= self.limits.target:
            raise Stop("target")
        if self.seconds > self.limits.max_seconds:
            raise Stop("max_seconds")
