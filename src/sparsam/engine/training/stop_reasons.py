"""Reasons to stop a training.

The minimizer's are its status (`minimizer.lbfgs`). Callbacks, checkpointers and the time budget add theirs in
`training.train`.
"""

from __future__ import annotations

from sparsam.engine.minimizer import lbfgs

__all__ = ["FAILED", "REASON_OF_STATUS", "STOP_REASONS"]

STOP_REASONS = {
    "converged": "converged: no component of the gradient is larger than tol",
    "precision": "no measurable decrease is left in this precision",
    "max_iter": "max_iter iterations are done",
    "time_budget": "the time budget is used up",
    "callback": "a callback asked to stop",
    "held_out": "the error on held-out data has ceased to fall",
    "interrupted": "interrupted",
    "not_finite": "J is not finite",
}
"""Why a training stopped: the word in ``stop_reason_``, and the sentence for it."""

REASON_OF_STATUS = {
    lbfgs.CONVERGED: "converged",
    lbfgs.PRECISION: "precision",
    lbfgs.MAX_ITER: "max_iter",
    lbfgs.NOT_FINITE: "not_finite",
}

FAILED = "failed"  # a vote, never a reason that a user sees
