"""Model of label noise: the transition matrix T_ij = P(given label j | true label i), and its estimators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

__all__ = [
    "given_probabilities",
    "largest_epsilon",
    "most_likely_epsilon",
    "most_likely_transitions",
    "symmetric",
    "wrong_probabilities",
]

Array = NDArray[np.float64]

MAX_STEPS = 1000  # of expectation maximization
LEAST_TRANSITION = 1e-12  # replaces a probability of 0, so that suspicious labels can be ranked even then


def symmetric(epsilon: float, n_classes: int) -> Array:
    """Make T for labels that are wrong with probability epsilon, with all wrong labels equally probable."""
    return np.where(np.eye(n_classes, dtype=bool), 1 - epsilon, epsilon / (n_classes - 1))


def given_probabilities(true_probabilities: Array, T: Array) -> Array:
    """Compute p_j = sum_i y_i T_ij, (n_samples, n_classes)."""
    return true_probabilities @ T


def wrong_probabilities(true_probabilities: Array, T: Array, labels: NDArray[np.intp]) -> Array:
    """Compute P(the given label t is wrong) = 1 - T_tt y_t / p_t = sum_(i != t) y_i T_it / p_t, (n_samples,).

    The sum is accurate for small probabilities. A T_it of 0 counts as 1e-12: if no label can be wrong, labels are still
    ranked by the probability of the given label.

    Examples
    --------
    >>> y = np.array([[0.9, 0.1], [0.001, 0.999], [1.0, 0.0]])
    >>> wrong_probabilities(y, symmetric(0.1, 2), np.array([0, 0, 0])).round(3).tolist()
    [0.012, 0.991, 0.0]
    >>> wrong_probabilities(y, np.eye(2), np.array([0, 0, 0])).argsort().tolist()
    [2, 0, 1]
    """
    joint = true_probabilities * np.maximum(T, LEAST_TRANSITION)[:, labels].T  # P(true i, given t)
    p = joint.sum(axis=1)
    joint[np.arange(len(labels)), labels] = 0.0
    return joint.sum(axis=1) / p


def largest_epsilon(n_classes: int) -> float:
    """Compute the largest epsilon for estimates: nine tenths of 1 - 1/K, at which labels carry no information."""
    return 0.9 * (1 - 1 / n_classes)


def most_likely_epsilon(true_probabilities: Array, labels: NDArray[np.intp], sample_weight: Array) -> float:
    """Maximize the likelihood of the given labels over epsilon, up to `largest_epsilon`.

    The likelihood sum_n s_n ln [(1 - epsilon) y_n,t + epsilon (1 - y_n,t)/(K - 1)] has a single maximum.

    Examples
    --------
    >>> y, labels = np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 1, 1])  # the truth is known: the share of wrong labels
    >>> round(most_likely_epsilon(y, labels, np.ones(4)), 4)
    0.25
    """
    n_classes = true_probabilities.shape[1]
    right = true_probabilities[np.arange(len(labels)), labels]
    wrong = (1 - right) / (n_classes - 1)
    tiny = np.finfo(float).tiny

    def mean_error(epsilon: float) -> float:
        p = (1 - epsilon) * right + epsilon * wrong
        return -float(np.average(np.log(np.maximum(p, tiny)), weights=sample_weight))

    found = minimize_scalar(
        mean_error, bounds=(0, largest_epsilon(n_classes)), method="bounded", options={"xatol": 1e-6}
    )
    return float(found.x) if found.fun < mean_error(0.0) else 0.0


def most_likely_transitions(
    true_probabilities: Array, labels: NDArray[np.intp], T: Array, sample_weight: Array | None = None
) -> Array:
    """Maximize the likelihood of the given labels over T, for known probabilities of the true labels.

    The likelihood sum_n s_n ln sum_i y_ni T_i,t_n has a single maximum in T. Expectation maximization finds it,
    starting at the argument T: each sample adds P(true i | given t_n) to row i and column t_n. A T_ij of 0 stays 0.

    Examples
    --------
    >>> y, labels = np.eye(2)[[0, 0, 0, 1]], np.array([0, 0, 1, 1])  # the truth is known: shares of the labels
    >>> most_likely_transitions(y, labels, symmetric(0.1, 2)).round(3).tolist()
    [[0.667, 0.333], [0.0, 1.0]]
    """
    s = np.ones(len(labels)) if sample_weight is None else sample_weight
    given = np.eye(len(T))[labels]
    for _ in range(MAX_STEPS):
        joint = true_probabilities * T[:, labels].T
        shares = joint / np.maximum(joint.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        counts = (s[:, None] * shares).T @ given
        totals = counts.sum(axis=1, keepdims=True)
        new = np.where(totals > 0, counts / np.where(totals > 0, totals, 1), T)
        if np.max(np.abs(new - T)) < 1e-6:
            return new
        T = new
    return T
