"""Coherence of hidden units: whether the rows on which a unit is strongest point in one direction."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["coherence_of_rows", "mean_cosine_of_pairs", "summed_directions", "unit_vectors"]

Array = NDArray[np.float64]

ROWS_AT_ONCE = 4096


def coherence_of_rows(X: Array, chosen: NDArray[np.intp]) -> tuple[Array, float]:
    """Compute the coherence of each unit from the rows on which it is strongest, and that of rows drawn at random.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
    chosen : integer array of shape (n_units, n_chosen)
        Numbers of rows; -1 is none.

    Returns
    -------
    coherence : array of shape (n_units,)
        Mean cosine between pairs of the chosen rows, about the mean of X; NaN where there are fewer than two.
    at_random : float
        The mean over all pairs of rows.
    """
    mean = X.mean(axis=0)
    batches = (X[start : start + ROWS_AT_ONCE] - mean for start in range(0, len(X), ROWS_AT_ONCE))
    directions, total, n_rows = summed_directions(chosen, batches)
    at_random = mean_cosine_of_pairs(total[None], np.array([n_rows]))
    return mean_cosine_of_pairs(*directions), float(at_random[0])


def unit_vectors(rows: Array) -> Array:
    """Scale rows to length 1; rows of zeros stay."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)  # squares of tiny numbers would underflow
    scaled = np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, lengths, out=scaled, where=lengths > 0)


def summed_directions(
    chosen: NDArray[np.intp], batches: Iterable[Array]
) -> tuple[tuple[Array, NDArray[np.intp]], Array, int]:
    """Add up the directions of chosen rows for each unit, and those of all rows.

    Parameters
    ----------
    chosen : integer array of shape (n_units, n_chosen)
        Numbers of rows; -1 is none.
    batches : iterable of arrays of shape (n_rows, n_features)
        All rows, in order. Rows of zeros have no direction and do not count.

    Returns
    -------
    sums, counts : arrays of shape (n_units, n_features) and (n_units,)
        Sums of the unit vectors of the chosen rows, and their numbers.
    total : array of shape (n_features,)
        Sum over all rows.
    n_rows : int
        Number of all rows with a direction.
    """
    flat = chosen.ravel()
    by_row = np.argsort(flat, kind="stable")
    numbers, units = flat[by_row], np.repeat(np.arange(len(chosen)), chosen.shape[1])[by_row]
    counts = np.zeros(len(chosen), dtype=np.intp)
    sums = total = np.zeros(0)
    start = n_rows = 0
    for x in batches:
        if start == 0:
            sums, total = np.zeros((len(chosen), x.shape[1])), np.zeros(x.shape[1])
        directions = unit_vectors(x)
        directed = np.any(x, axis=1)
        total += directions.sum(axis=0)
        n_rows += int(directed.sum())
        here = slice(*np.searchsorted(numbers, [start, start + len(x)]))
        np.add.at(sums, units[here], directions[numbers[here] - start])
        np.add.at(counts, units[here], directed[numbers[here] - start])
        start += len(x)
    return (sums, counts), total, n_rows


def mean_cosine_of_pairs(sums: Array, counts: NDArray[np.integer]) -> Array:
    """Compute the mean cosine over all pairs of different vectors, of which sums and numbers are given.

    For n unit vectors u with sum s, |s|^2 = n + sum_{a != b} u_a . u_b, so that the mean is (|s|^2 - n) / (n (n - 1)).

    Parameters
    ----------
    sums : array of shape (n_groups, n_features)
        Sum of the unit vectors of each group.
    counts : integer array of shape (n_groups,)

    Returns
    -------
    array of shape (n_groups,)
        NaN where there are fewer than two vectors.

    Examples
    --------
    >>> mean_cosine_of_pairs(np.array([[2.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), np.array([2, 2, 1])).tolist()
    [1.0, 0.0, nan]
    """
    n = np.asarray(counts, dtype=np.float64)
    squares = np.einsum("ij,ij->i", sums, sums)
    return np.divide(squares - n, n * (n - 1), out=np.full(len(n), np.nan), where=n > 1)
