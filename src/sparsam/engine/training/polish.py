"""Polishing: the last digits of a float32 training, in float64.

Most of a training needs no more digits than float32 has, at half the cost. What is left when it ends, a gradient of
about tol, float64 removes from the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparsam.engine.data.samples import Samples
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.engine.training.train import Training, train

__all__ = ["POLISHED_TOL", "can_be_polished", "polish"]

POLISHED_TOL = 1e-8
"""Largest component of the gradient that polishing leaves."""


def can_be_polished(training: Training) -> bool:
    """Whether a training ended because it converged or for want of precision."""
    return training.stop_reason in ("converged", "precision")


def polish(
    training: Training,
    objective: Objective,
    samples: Samples | StreamedSamples,
    *,
    solver: str = "kronecker-lbfgs",
    max_iter: int = 1000,
    time_budget: float | None = None,
    callbacks: Sequence[FitCallback] = (),
    checkpointer: Checkpointer | None = None,
) -> Training:
    """Go on in float64 from where a training ended, until no component of the gradient exceeds `POLISHED_TOL`.

    Parameters
    ----------
    training : Training
        One that `can_be_polished`.
    objective : Objective
        The same.
    samples : Samples or StreamedSamples
        The same samples, made in the scope `precision("float64")`.
    solver, time_budget, callbacks, checkpointer
        As for `sparsam.engine.train`; the seconds are those of the polishing.
    max_iter : int, default 1000
        Most iterations, with those of the first training; one is granted at least.

    Returns
    -------
    Training
        Of both: iterations, evaluations and seconds go on.
    """
    last = training.history[-1]
    polished = train(
        objective,
        samples,
        training.theta,
        solver=solver,
        dtype="float64",
        tol=POLISHED_TOL,
        max_iter=max(max_iter - last.iteration, 1),
        time_budget=time_budget,
        callbacks=callbacks,
        checkpointer=checkpointer,
        after=last,
    )
    # Its first row is the last of before, in more digits.
    return replace(polished, history=training.history[:-1] + polished.history, timed=training.timed + polished.timed)
