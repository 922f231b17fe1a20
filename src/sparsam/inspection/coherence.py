"""Coherence of units: whether the rows on which a unit is most active resemble each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.inspection.strongest_rows import NO_ROW, StrongestRows

__all__ = ["coherence", "coherence_of_random_rows", "coherence_of_rows"]

Array = NDArray[np.float64]

CHUNK_VALUES = 8_000_000  # values of X or Z converted at a time


def coherence(X: ArrayLike, Z: ArrayLike, n_strongest: int = 10) -> Array:
    """Compute the coherence of each unit: the mean cosine between the rows on which it is most active.

    The rows are first centered, by the mean of all rows. A unit that stands for one kind of row has a coherence near 1;
    rows at random have `coherence_of_random_rows`, about 0.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    Z : array-like of shape (n_samples, n_units)
        Activations, ``autoencoder.transform(X)``.
    n_strongest : int, default 10
        Number of rows to compare, at least 2; fewer of a unit that is active (above 0) on fewer rows.

    Returns
    -------
    array of shape (n_units,)
        From -1 to 1; NaN for a unit that is active on fewer than two rows.

    Raises
    ------
    ValueError
        If X and Z have different numbers of rows, or n_strongest is less than 2.

    Examples
    --------
    The first unit answers to one kind of row, the second to two opposite kinds, the third to a single row:

    >>> X = [[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]]
    >>> Z = [[0.7, 0.0, 0.0], [0.9, 0.6, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.3]]
    >>> coherence(X, Z).tolist()
    [1.0, -1.0, nan]
    """
    X, Z = np.asarray(X), np.asarray(Z)
    if X.ndim != 2 or Z.ndim != 2 or len(X) != len(Z):
        raise ValueError(f"X and Z must have the same number of rows, got shapes {X.shape} and {Z.shape}")
    if n_strongest < 2:
        raise ValueError(f"n_strongest must be at least 2, got {n_strongest}")
    strongest = StrongestRows(Z.shape[1], n_strongest)
    size = max(1, CHUNK_VALUES // max(Z.shape[1], 1))
    for start in range(0, len(Z), size):
        strongest.update(Z[start : start + size])
    return coherence_of_rows(X, strongest.rows)


def coherence_of_rows(X: ArrayLike, rows: NDArray[np.intp]) -> Array:
    """Compute the mean cosine between the centered rows of each group.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        All rows, whose mean is the center.
    rows : int array of shape (n_groups, n_rows)
        Numbers of the rows of each group, -1 where there is none.

    Returns
    -------
    array of shape (n_groups,)
        NaN for a group of fewer than two rows.
    """
    X = np.asarray(X)
    center = X.mean(axis=0, dtype=np.float64)
    n = (rows != NO_ROW).sum(axis=1)
    cosines = np.full(len(rows), np.nan)
    size = max(1, CHUNK_VALUES // max(rows.shape[1] * X.shape[1], 1))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        directions = _unit_vectors(X[rows[part]] - center) * (rows[part] != NO_ROW)[..., np.newaxis]
        # Of unit vectors u, sum_{i != k} u_i u_k = |sum u|^2 - sum |u|^2.
        both = np.sum(directions.sum(axis=1) ** 2, axis=1) - np.sum(directions**2, axis=(1, 2))
        pairs = n[part] * (n[part] - 1)
        np.divide(both, pairs, out=cosines[part], where=pairs > 0)
    return cosines


def coherence_of_random_rows(X: ArrayLike) -> float:
    """Compute the mean cosine between any two of the centered rows: the expected coherence of rows drawn at random.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    float
        NaN for a single row.
    """
    X = np.asarray(X)
    if len(X) < 2:
        return float("nan")
    directions = _unit_vectors(X - X.mean(axis=0, dtype=np.float64))
    n = len(X)
    return float((np.sum(directions.sum(axis=0) ** 2) - np.sum(directions**2)) / (n * (n - 1)))


def _unit_vectors(rows: Array) -> Array:
    """Scale rows to length 1; rows of length 0 stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
