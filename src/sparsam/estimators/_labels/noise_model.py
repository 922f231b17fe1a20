"""How labels come to be wrong: the transition matrix T_ij = P(given label j | true label i), and what it implies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "given_probabilities",
    "most_likely_transitions",
    "symmetric",
    "wrong_probabilities",
]

Array = NDArray[np.float64]

MOST_STEPS = 1000  # of expectation maximization


def symmetric(epsilon: float, n_classes: int) -> Array:
    """T of labels that are wrong with probability epsilon, and then any of the others."""
    return np.where(np.eye(n_classes, dtype=bool), 1 - epsilon, epsilon / (n_classes - 1))


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
