"""Whether more iterations would help a training that did not converge."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["NO_MORE_ITERATIONS", "still_descends"]

FEW_ITERATIONS = 40  # of which the last quarter says too little

NO_MORE_ITERATIONS = (
    "More iterations would hardly help, for in the last quarter of them neither J nor its gradient has become much "
    "smaller. Standardize X, raise alpha, use fewer hidden units, or take a larger tol."
)
"""Advice where a training no longer descends."""


def still_descends(J: Sequence[float], gradient_norm: Sequence[float]) -> bool:
    """Tell whether the last quarter of a training halved the least gradient, or took 1/1000 of J's whole decrease.

    Parameters
    ----------
    J, gradient_norm : sequences of float
        Of each iterate, from the initial weights on.
    """
    if len(J) < FEW_ITERATIONS:
        return True
    start = len(J) - len(J) // 4
    halved = min(gradient_norm[start:]) < 0.5 * min(gradient_norm[:start])
    return halved or J[start - 1] - J[-1] > 1e-3 * (J[0] - J[-1])
