"""Explain the reconstruction error of rows by the features that contribute most to it.

An unusual value spoils the reconstruction of other features, too, so that the largest errors do not always name it. Ask
instead how much of a row's error E would go away if a feature had the value expected from the others. This value is a
fixed point: the network reconstructs it, given itself and the other features as they are. ::

    x_d <- y_d(x),  again and again;        contribution of d = (E(x) - E(x with x_d replaced)) / E(x)

A usual value takes its place where a tenth less of E is left with it: a rare indicator can have a fixed point between 0
and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_SHARE", "Contributions", "contributions"]

Array = NDArray[np.floating]

LEAST_SHARE = 0.01
"""Smallest share of a row's error that is worth naming as a reason."""

N_CYCLES = 5  # of two steps towards the fixed point and an extrapolation
MOST_AHEAD = 20.0  # of the extrapolation, in units of the last step
N_CANDIDATES = 10  # features with the largest errors, among which the contributions are compared
CLEARLY = 0.1  # share of the error that a usual value must remove more than the fixed point


@dataclass(frozen=True)
class Contributions:
    """The features that contribute most to the error of each row, in decreasing order.

    Attributes
    ----------
    features : int array of shape (n_rows, n_named)
        Numbers of the features, or of groups of features.
    shares : array of shape (n_rows, n_named)
        Share of the row's error that goes away if only this feature is replaced.
    replaced : array of shape (n_rows, n_named, n_features)
        The rows with this feature replaced.
    """

    features: NDArray[np.intp]
    shares: Array
    replaced: Array


def contributions(
    rows: Array,
    reconstruct: Callable[[Array], Array],
    n_named: int,
    groups: Sequence[Sequence[int]] | None = None,
    start: Array | None = None,
) -> Contributions:
    """Compute the contributions.

    Parameters
    ----------
    rows : array of shape (n_rows, n_features)
    reconstruct : callable
        Returns the reconstruction of rows.
    n_named : int
        Number of features to name, at most their number.
    groups : sequence of sequences of int, optional
        Columns of each feature, if a feature has several: the indicators of its categories, one of which is set in its
        place. Default: each is one.
    start : array of shape (n_features,), optional
        Usual values: where to begin the way to the fixed point, since an absurd value may lead to another one. They
        are expected themselves where a tenth less of the error is left with them. Default: begin at the values
        themselves.

    Examples
    --------
    >>> line = lambda rows: np.repeat(rows.mean(axis=1, keepdims=True), 3, axis=1)  # all features are equal
    >>> found = contributions(np.array([[1.0, 1.0, 7.0]]), line, 1)
    >>> found.features.tolist(), found.replaced.round(1).tolist()
    ([[2]], [[[1.0, 1.0, 1.0]]])
    """
    groups = [[column] for column in range(rows.shape[1])] if groups is None else groups
    member = np.zeros((len(groups), rows.shape[1]), bool)
    for number, columns in enumerate(groups):
        member[number, list(columns)] = True
    errors = np.square(reconstruct(rows) - rows)
    candidates = np.argsort(-errors @ member.T, axis=1)[:, : max(N_CANDIDATES, n_named)]
    expected = [_replace(rows, reconstruct, member[chosen], start) for chosen in candidates.T]
    replaced, left = _with_errors(expected, candidates, groups, reconstruct)
    total = errors.sum(axis=1, keepdims=True)
    if start is not None:
        usual = [np.where(member[chosen], start, rows) for chosen in candidates.T]
        replaced_by_usual, left_by_usual = _with_errors(usual, candidates, groups, reconstruct)
        is_better = left_by_usual < left - CLEARLY * total
        replaced = np.where(is_better[:, :, None], replaced_by_usual, replaced)
        left = np.where(is_better, left_by_usual, left)
    shares = np.where(total > 0, 1 - left / np.where(total > 0, total, 1), 0.0)
    best = np.argsort(-shares, axis=1)[:, :n_named]
    return Contributions(
        np.take_along_axis(candidates, best, axis=1),
        np.take_along_axis(shares, best, axis=1),
        np.take_along_axis(replaced, best[:, :, None], axis=1),
    )


def _with_errors(
    rows: list[Array],
    candidates: NDArray[np.intp],
    groups: Sequence[Sequence[int]],
    reconstruct: Callable[[Array], Array],
) -> tuple[Array, Array]:
    """Return the rows (n_rows, n_candidates, n_features) with each candidate replaced, and their squared errors."""
    for number, columns in enumerate(groups):
        if len(columns) > 1:
            for of_candidate, chosen in zip(rows, candidates.T, strict=True):
                _set_one(of_candidate, chosen == number, np.asarray(columns))
    replaced = np.stack(rows, axis=1)
    flat = replaced.reshape(-1, replaced.shape[2])
    return replaced, np.square(reconstruct(flat) - flat).sum(axis=1).reshape(replaced.shape[:2])


def _set_one(rows: Array, of: NDArray[np.bool_], columns: NDArray[np.intp]) -> None:
    """Set the largest of some indicators to 1, and the others to 0, in some of the rows."""
    places = np.flatnonzero(of)
    largest = np.argmax(rows[np.ix_(places, columns)], axis=1)
    rows[np.ix_(places, columns)] = np.eye(len(columns))[largest]


def _replace(
    rows: Array, reconstruct: Callable[[Array], Array], where: NDArray[np.bool_], start: Array | None
) -> Array:
    """Replace values by their fixed points."""
    if start is not None:
        rows = np.where(where, start, rows)
    for _ in range(N_CYCLES):
        # Aitken: if each step is r times the one before, the steps to come sum to r / (1 - r) times the last.
        once = np.where(where, reconstruct(rows), rows)
        twice = np.where(where, reconstruct(once), rows)
        first, second = once - rows, twice - once
        ratio = np.divide(second, first, out=np.zeros_like(first), where=np.abs(first) > np.abs(second))
        rows = twice + second * np.clip(ratio / (1 - ratio), -MOST_AHEAD, MOST_AHEAD)
    return rows
