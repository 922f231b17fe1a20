"""Held-out labels, with the probabilities of the true labels that networks predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators._labels.noise_model import given_probabilities

__all__ = ["HeldOutLabels"]

Array = NDArray[np.float64]

MOST_CERTAIN = 0.3  # share of each class from which T is estimated
SAME = 1e-6  # probabilities for equal inputs differ by less


class HeldOutLabels(NamedTuple):
    """Held-out labels of all processes, with predicted probabilities of the true labels.

    Attributes
    ----------
    probabilities : array of shape (n_rows, n_classes)
    labels : int array of shape (n_rows,)
    weights : array of shape (n_rows,)
        Number of samples that each row stands for.
    scores : list of (int, float)
        Iterations of the networks' trainings, and the mean log-likelihood of the labels there; empty without early
        stopping, or if the time budget ended one of them.
    """

    probabilities: Array
    labels: NDArray[np.intp]
    weights: Array
    scores: Sequence[tuple[int, float]] = ()

    def log_likelihood(self, T: Array) -> float:
        """Compute the mean log-likelihood of the given labels, in nats per label; probabilities of 0 count as tiny."""
        p = given_probabilities(self.probabilities, T)[np.arange(len(self.labels)), self.labels]
        return float(np.average(np.log(np.maximum(p, np.finfo(float).tiny)), weights=self.weights))

    def most_certain(self) -> HeldOutLabels:
        """Return the 30 % of samples with the most certain predictions, for each predicted class."""
        predicted = self.probabilities.argmax(axis=1)
        certainty = self.probabilities.max(axis=1)
        kept = np.zeros(len(certainty), bool)
        for k in range(self.probabilities.shape[1]):
            rows = np.flatnonzero(predicted == k)
            kept[rows] = _greatest(certainty[rows], self.weights[rows], MOST_CERTAIN * self.weights[rows].sum())
        return HeldOutLabels(self.probabilities[kept], self.labels[kept], self.weights[kept])

    def anchors(self) -> Array:
        """Count the labels given to the most certain samples of each class, (true, given)."""
        n_classes = self.probabilities.shape[1]
        counts = np.empty((n_classes, n_classes))
        for i, p in enumerate(self.probabilities.T):
            kept = _greatest(p, self.weights, MOST_CERTAIN * float(self.weights @ p))
            counts[i] = np.bincount(self.labels[kept], self.weights[kept], n_classes)
        return counts


def _greatest(values: Array, weights: Array, total: float) -> NDArray[np.bool_]:
    """Select the greatest values, up to a total weight, or a little more: equal inputs are selected together.

    Rows with equal inputs may differ in their labels, so that selecting only some of them could be biased.
    """
    if len(values) == 0:
        return np.zeros(0, bool)
    order = np.argsort(-values, kind="stable")
    last = min(int(np.searchsorted(np.cumsum(weights[order]), total)), len(order) - 1)
    return np.asarray(values >= values[order[last]] - SAME)
