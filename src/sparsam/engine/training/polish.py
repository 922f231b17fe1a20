"""Polishing: the last digits of a float32 training, in float64.

Most of a training needs no more digits than float32 has, at half the cost. What is left when it ends, a gradient of
about tol, float64 removes from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparsam.engine.data.samples import Samples
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.state import Keeper, Progress
from sparsam.engine.training.streaming import Stream
from sparsam.engine.training.train import Callback, Training, Watch, train

__all__ = ["POLISHED_TOL", "polish"]

POLISHED_TOL = 1e-8
"""Largest component of the gradient that polishing leaves."""


def polish(
    training: Training,
    objective: Objective,
    samples: Callable[[], Samples | Stream],
    keeper: Callable[[], Keeper | None] = lambda: None,
    *,
    solver: str = "kronecker-lbfgs",
    max_iter: int = 1000,
    time_budget: float | None = None,
    callback: Callback | None = None,
    watch: Watch | None = None,
    every_iteration: bool = False,
) -> Training:
    """Go on in float64 from where a training ended, until no component of the gradient exceeds `POLISHED_TOL`.

    Parameters
    ----------
    training : Training
        Handed back as it is unless it ended because it converged or for want of precision.
    objective : Objective
        The same.
    samples : callable
        Returns the same samples, made in the scope `precision("float64")`.
    keeper : callable
        Returns where to save this training, if anywhere.
    solver, max_iter, time_budget, callback, watch, every_iteration
        As for `sparsam.engine.train`; iterations and seconds count from the start of the first training.

    Returns
    -------
    Training
        Of both: iterations, evaluations and seconds go on.
    """
    if training.stop_reason not in ("converged", "precision"):
        return training
    last = training.history[-1]

    def continued(progress: Progress) -> Progress:
        return replace(
            progress,
            iteration=last.iteration + progress.iteration,
            evaluations=last.evaluations + progress.evaluations,
            seconds=last.seconds + progress.seconds,
        )

    polished = train(
        objective,
        samples(),
        training.theta,
        solver=solver,
        dtype="float64",
        tol=POLISHED_TOL,
        keeper=keeper(),
        max_iter=max(max_iter - last.iteration, 1),
        time_budget=None if time_budget is None else max(time_budget - last.seconds, 0.0),
        callback=None if callback is None else lambda progress: callback(continued(progress)),
        watch=None if watch is None else lambda progress, theta: watch(continued(progress), theta),
        every_iteration=every_iteration,
    )
    # Its first row is the last of before, in more digits.
    history = training.history[:-1] + [continued(progress) for progress in polished.history]
    return replace(polished, history=history)
