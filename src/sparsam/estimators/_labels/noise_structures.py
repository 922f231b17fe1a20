"""Structures of the transition matrix T, with their estimators."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sparsam.estimators._labels.held_out_labels import HeldOutLabels
from sparsam.estimators._labels.noise_model import (
    largest_epsilon,
    most_likely_epsilon,
    most_likely_transitions,
    symmetric,
)

__all__ = ["STRUCTURES", "Structure", "align_classes", "smooth"]

Array = NDArray[np.float64]

SMOOTHING = 1e-3  # share of the uniform distribution mixed into each row of a matrix


class Structure(Protocol):
    """Structure of T, with its estimators."""

    name: str

    def from_anchors(self, anchors: Array) -> Array:
        """Estimate T from the counts of labels given to the most certain samples, (true, given)."""

    def most_likely(self, held_out: HeldOutLabels, T: Array) -> Array:
        """Return the maximum-likelihood T for the given labels; a search may start from the argument T."""


class OneProbability:
    """T with one probability for all wrong labels."""

    name = "epsilon"

    def from_anchors(self, anchors: Array) -> Array:
        """Estimate epsilon by the share of wrong labels."""
        wrong = 1 - anchors.trace() / anchors.sum()
        return symmetric(min(wrong, largest_epsilon(len(anchors))), len(anchors))

    def most_likely(self, held_out: HeldOutLabels, T: Array) -> Array:
        """Maximize the likelihood over epsilon."""
        return symmetric(most_likely_epsilon(held_out.probabilities, held_out.labels, held_out.weights), len(T))


class AnyMatrix:
    """T with any probabilities."""

    name = "transition matrix"

    def from_anchors(self, anchors: Array) -> Array:
        """Estimate T by the shares of the labels, with classes aligned."""
        return align_classes(smooth(anchors / anchors.sum(axis=1, keepdims=True)))

    def most_likely(self, held_out: HeldOutLabels, T: Array) -> Array:
        """Maximize the likelihood over T by expectation maximization."""
        T = most_likely_transitions(held_out.probabilities, held_out.labels, T, held_out.weights)
        return align_classes(smooth(T))


STRUCTURES: dict[str, Structure] = {"estimate": OneProbability(), "estimate_matrix": AnyMatrix()}
"""Structures by the value of the classifier's ``epsilon``."""


def align_classes(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Permute the rows of T to maximize its trace.

    The likelihood is the same for any permutation of the true classes, that is of the rows of T and the network's
    outputs. The largest trace selects the permutation in which labels are most often right.

    Examples
    --------
    >>> align_classes(np.array([[0.4, 0.6], [0.7, 0.3]])).tolist()
    [[0.7, 0.3], [0.4, 0.6]]
    """
    rows, columns = linear_sum_assignment(T, maximize=True)
    return T[rows[np.argsort(columns)]]


def smooth(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix a little of the uniform distribution into each row of T, so that no label is impossible."""
    n_classes = len(T)
    return (1 - SMOOTHING) * T + SMOOTHING / n_classes
