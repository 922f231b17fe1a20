"""Reasons to stop a training.

The minimizer's reasons are its status (`minimizer.lbfgs`). `training.train` adds those of callbacks, checkpointers and
the time budget.
"""

from __future__ import annotations

from sparsam.engine.minimizer import lbfgs

__all__ = ["FAILED", "IMPORTED", "REASON_OF_STATUS", "STOP_REASONS"]

IMPORTED = "imported"

STOP_REASONS = {
    "converged": "converged: no component of the gradient is larger than tol",
    "precision": "no measurable decrease is left in this precision",
    "max_iter": "max_iter iterations are done",
    "time_budget": "the time budget is used up",
    "callback": "a callback asked to stop",
    "held_out": "the error on held-out data has stopped decreasing",
    "interrupted": "interrupted",
    "not_finite": "J is not finite",
    IMPORTED: "another program trained these weights",
}
"""Why a training stopped: the key is the value of ``stop_reason_``, the value its explanation."""

REASON_OF_STATUS = {
    lbfgs.CONVERGED: "converged",
    lbfgs.PRECISION: "precision",
    lbfgs.MAX_ITER: "max_iter",
    lbfgs.NOT_FINITE: "not_finite",
}

FAILED = "failed"  # sent to other processes only; users never see it
