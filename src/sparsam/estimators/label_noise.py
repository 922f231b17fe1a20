"""How labels come to be wrong: the transition matrix T_ij = P(given label j | true label i), and what it implies."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators.validation import check_number

__all__ = [
    "given_probabilities",
    "most_likely_transitions",
    "symmetric",
    "transition_matrix",
    "wrong_probabilities",
]

Array = NDArray[np.float64]

LEAST_SINGULAR_VALUE = 1e-6
MOST_STEPS = 1000  # of expectation maximization


def symmetric(epsilon: float, n_classes: int) -> Array:
    """T of labels that are wrong with probability epsilon, and then any of the others."""
    return np.where(np.eye(n_classes, dtype=bool), 1 - epsilon, epsilon / (n_classes - 1))


def transition_matrix(epsilon: Any, n_classes: int) -> Array:
    """Return T of a probability, of a pair (P(1 | 0), P(0 | 1)) for two classes, or of a matrix.

    Raises
    ------
    TypeError, ValueError
        If it is none of these; or singular, so that some classes, or all, cannot be told from the labels.
    """
    if isinstance(epsilon, Real):
        check_number("epsilon", epsilon, low=0, high=1)
        T = symmetric(float(epsilon), n_classes)
    else:
        try:
            array = np.asarray(epsilon, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(
                f"epsilon must be 'estimate', a number, a pair or a square array, got {epsilon!r}"
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
        raise ValueError("epsilon must be probabilities: none negative, and each row of the matrix must sum to 1")
    T = T / T.sum(axis=1, keepdims=True)
    if np.linalg.svd(T, compute_uv=False)[-1] < LEAST_SINGULAR_VALUE:
        raise ValueError(
            f"epsilon = {np.array2string(np.asarray(epsilon), threshold=9)} makes the transition matrix singular: some "
            "true labels, or mixtures of them, then lead to the same given labels, and nothing can be learned of what "
            f"tells them apart (with one probability for all, that is epsilon = {1 - 1 / n_classes:.4g} for "
            f"{n_classes} classes). Use a smaller epsilon"
        )
    return T


def given_probabilities(true_probabilities: Array, T: Array) -> Array:
    """p_j = sum_i y_i T_ij, (n_samples, n_classes)."""
    return true_probabilities @ T


def wrong_probabilities(true_probabilities: Array, T: Array, labels: NDArray[np.intp]) -> Array:
    """P(the given label t is wrong) = 1 - T_tt y_t / p_t = sum_(i != t) y_i T_it / p_t, (n_samples,).

    The sum keeps the digits of a small probability. 1 for a label that is impossible.
    """
    joint = true_probabilities * T[:, labels].T  # P(true i, given t)
    p = joint.sum(axis=1)
    wrong = joint.copy()
    wrong[np.arange(len(labels)), labels] = 0.0
    return np.where(p > 0, wrong.sum(axis=1) / np.where(p > 0, p, 1.0), 1.0)


def most_likely_transitions(
    true_probabilities: Array, labels: NDArray[np.intp], T: Array, sample_weight: Array | None = None
) -> Array:
    """T that makes given labels the most likely, of samples whose true labels have known probabilities.

    The likelihood sum_n s_n ln sum_i y_ni T_i,t_n has no second maximum in T. Expectation maximization goes there, from
    T on: the share P(true i | given t_n) of each sample counts for the row i and the column t_n. A T_ij that is 0 stays
    so.

    Examples
    --------
    >>> y, labels = np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 1, 1])  # the truth is known: plain shares
    >>> most_likely_transitions(y, labels, symmetric(0.1, 2)).round(3).tolist()
    [[0.667, 0.333], [0.0, 1.0]]
    """
    s = np.ones(len(labels)) if sample_weight is None else sample_weight
    given = np.eye(len(T))[labels]
    for _ in range(MOST_STEPS):
        joint = true_probabilities * T[:, labels].T
        shares = joint / np.maximum(joint.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        counts = (s[:, None] * shares).T @ given
        totals = counts.sum(axis=1, keepdims=True)
        new = np.where(totals > 0, counts / np.where(totals > 0, totals, 1), T)
        if np.max(np.abs(new - T)) < 1e-6:
            return new
        T = new
    return T
