"""Polishing: continue a float32 training in float64, for the last digits.

For most of a training float32 is precise enough, at half the cost. At its end the gradient is about tol; continuing
from the same weights in float64 makes it smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparsam.engine.data.samples import Samples
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.result import Training
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.engine.training.train import train

__all__ = ["POLISHED_TOL", "can_be_polished", "polish"]

POLISHED_TOL = 1e-8
"""Largest component of the gradient after polishing."""


def can_be_polished(training: Training) -> bool:
    """Return whether a training ended because it converged or exhausted its precision."""
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
    """Continue in float64 from the end of a training until no component of the gradient exceeds `POLISHED_TOL`.

    Parameters
    ----------
    training : Training
        A training that `can_be_polished`.
    objective : Objective
        The objective of that training.
    samples : Samples or StreamedSamples
        The same samples, made in the scope `precision("float64")`.
    solver, time_budget, callbacks, checkpointer
        As for `sparsam.engine.train`; the time budget is for polishing only.
    max_iter : int, default 1000
        Maximum number of iterations, including those of the first training; polishing may use at least one.

    Returns
    -------
    Training
        Both trainings as one: iterations, evaluations and seconds are counted from the start of the first.
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
    # Its first row is the last row of the first training, with more digits.
    history, timed = training.history[:-1] + polished.history, training.timed + polished.timed
    return replace(polished, history=history, timed=timed, sampled=training.sampled)
