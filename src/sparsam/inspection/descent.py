"""Judge whether more iterations would help a training that did not converge."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["NO_MORE_ITERATIONS", "still_descends"]

FEW_ITERATIONS = 40  # fewer iterations are too few to judge by their last quarter

NO_MORE_ITERATIONS = (
    "More iterations would hardly help, because neither J nor its gradient became much smaller in the last quarter of "
    "them. Standardize X, raise alpha, use fewer hidden units, or choose a larger tol."
)
"""Advice for a training that no longer descends."""


def still_descends(J: Sequence[float], gradient_norm: Sequence[float]) -> bool:
    """Return whether the last quarter of a training halved the smallest gradient, or made 1/1000 of J's decrease.

    Parameters
    ----------
    J, gradient_norm : sequences of float
        Values at each iterate, from the initial weights on.
    """
    if len(J) < FEW_ITERATIONS:
        return True
    start = len(J) - len(J) // 4
    halved = min(gradient_norm[start:]) < 0.5 * min(gradient_norm[:start])
    return halved or J[start - 1] - J[-1] > 1e-3 * (J[0] - J[-1])
