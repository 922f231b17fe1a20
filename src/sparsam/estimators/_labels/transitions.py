"""Transition matrix of wrong labels, from the user's ``epsilon``."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators._labels.noise_model import symmetric
from sparsam.estimators._validation import check_number

__all__ = ["says_all_right", "transition_matrix"]

LEAST_SINGULAR_VALUE = 1e-6


def says_all_right(epsilon: Any) -> bool:
    """Return whether epsilon, a probability, a pair or a matrix, says that all labels are right."""
    given = np.asarray(epsilon)
    return bool(np.array_equal(given, np.eye(len(given))) if given.ndim == 2 else not given.any())


def transition_matrix(epsilon: Any, n_classes: int) -> NDArray[np.float64]:
    """Make T from a probability, from a pair (P(1 | 0), P(0 | 1)) for two classes, or from a matrix.

    Raises
    ------
    TypeError, ValueError
        If epsilon is none of these; or if T is singular, so that the labels do not identify the classes.
    """
    if isinstance(epsilon, Real):
        check_number("epsilon", epsilon, low=0, high=1)
        T = symmetric(float(epsilon), n_classes)
    else:
        try:
            array = np.asarray(epsilon, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(
                f"epsilon must be 'estimate', 'estimate_matrix', a number, a pair or a square array, got {epsilon!r}"
            ) from None
        if array.shape == (2,) and n_classes == 2:
            T = np.array([[1 - array[0], array[0]], [array[1], 1 - array[1]]])
        elif array.shape == (n_classes, n_classes):
            T = array
        else:
            pair = " or a pair (P(1 | 0), P(0 | 1))" if n_classes == 2 else ""
            raise ValueError(
                f"epsilon must be a number{pair} or a ({n_classes}, {n_classes}) array of P(given j | true i) for "
                f"{n_classes} classes, got an array of shape {array.shape}"
            )
    if not np.all(np.isfinite(T)) or np.any(T < 0) or not np.allclose(T.sum(axis=1), 1, rtol=0, atol=1e-6):
        raise ValueError("epsilon must be probabilities: not negative, and with rows of the matrix that sum to 1")
    T = T / T.sum(axis=1, keepdims=True)
    if np.linalg.svd(T, compute_uv=False)[-1] < LEAST_SINGULAR_VALUE:
        raise ValueError(
            f"epsilon = {np.array2string(np.asarray(epsilon), threshold=9)} makes the transition matrix singular: some "
            "true labels, or mixtures of them, then have the same distribution of given labels, from which they cannot "
            f"be distinguished (with one probability for all, at epsilon = {1 - 1 / n_classes:.4g} for {n_classes} "
            "classes). Use a smaller epsilon"
        )
    return T
