"""Canonical form of rows: each distinct row once, with its weight, in an order that does not depend on the data's."""

from __future__ import annotations

import math

import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import max_of_processes

__all__ = ["merge_repeated", "merge_repeated_rows", "merged_into"]


def merge_repeated_rows(
    X: NDArray[np.floating],
    sample_weight: NDArray[np.float64] | None,
    mesh: Mesh | None = None,
    n_leading: int | None = None,
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Return the distinct rows of X and their relative weights, without rows of weight 0.

    J is a weighted sum over rows, so this does not change it. But floating-point sums depend on their order, and a
    minimizer amplifies a difference in the last bit to the size of its tolerance. With this form a fit has the same
    bits for any order of the rows, and for repeated rows and weights.

    Rows are ordered by a hash of 64 bits; different rows with the same hash keep their order. Weights are scaled by a
    power of two, which is exact and does not change J, so that the largest is about 1 (over all processes, each of
    which has its own rows).

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        NaN, a missing target, counts as equal to itself.
    sample_weight : array of shape (n_samples,) or None
        None for ones.
    mesh : jax.sharding.Mesh or None
        Mesh of the processes among which the rows are divided.
    n_leading : int or None
        Number of first columns that determine the order; the others only break ties. None for all.

    Returns
    -------
    rows : array of shape (n_distinct, n_features)
    weights : array of shape (n_distinct,)

    Examples
    --------
    >>> rows, weights = merge_repeated_rows(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]), None)
    >>> sorted(zip(rows.tolist(), weights.tolist()))
    [([1.0, 2.0], 1.0), ([3.0, 4.0], 0.5)]
    """
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    X, weights = (X, weights) if np.all(weights > 0) else (X[weights > 0], weights[weights > 0])
    order, starts = _groups(X, None if sample_weight is None else weights, n_leading)
    totals = np.add.reduceat(weights[order], starts) if len(X) else weights
    largest = max_of_processes(totals.max(initial=0.0), mesh)
    return X[order[starts]] + 0.0, np.ldexp(totals, 1 - np.frexp(largest)[1])


def _groups(
    X: NDArray[np.floating], weights: NDArray[np.float64] | None, n_leading: int | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Order the rows so that repeated ones are adjacent; return the order, and the start of each group."""
    keys = [_hash_rows(X[:, :n_leading])]
    if n_leading is not None and n_leading < X.shape[1]:
        keys.insert(0, _hash_rows(X[:, n_leading:]))
    # The weights of a group are ordered too, since a floating-point sum depends on the order.
    order = np.lexsort(keys if weights is None else (weights, *keys))
    repeats = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
    one, next_one = X[order[:-1][repeats]], X[order[1:][repeats]]
    repeats[repeats] = np.all((one == next_one) | (np.isnan(one) & np.isnan(next_one)), axis=1)
    return order, np.flatnonzero(np.concatenate([np.ones(min(len(X), 1), bool), ~repeats]))


def merge_repeated(batch: Batch, mesh: Mesh | None = None) -> Batch:
    """Apply `merge_repeated_rows` to the rows of a batch: inputs, targets and tangents together.

    Only inputs and targets determine the order, so that it is the same for given tangents and for those of a callable.
    """
    columns, widths, n_leading = _columns(batch)
    rows, weights = merge_repeated_rows(columns, batch.sample_weight, mesh, n_leading)
    split = iter(np.split(rows, np.cumsum(widths)[:-1], axis=1))
    inputs, targets, tangents = (
        None if part is None else next(split).reshape(len(rows), *part.shape[1:])
        for part in (batch.inputs, batch.targets, batch.tangents)
    )
    return Batch(inputs, targets, weights, tangents)


def merged_into(batch: Batch) -> NDArray[np.intp]:
    """Return, for each row of a batch, the number of its merged row in `merge_repeated`; -1 for rows of weight 0.

    Examples
    --------
    >>> batch = Batch(np.array([[1.0], [2.0], [1.0], [3.0]]), sample_weight=np.array([1.0, 1.0, 2.0, 0.0]))
    >>> row_of = merged_into(batch)
    >>> bool(row_of[0] == row_of[2] != row_of[1]), int(row_of[3])
    (True, -1)
    >>> merge_repeated(batch).inputs[row_of[:3]].tolist()
    [[1.0], [2.0], [1.0]]
    """
    kept = np.flatnonzero(batch.weights > 0)
    columns, _, n_leading = _columns(batch.take(kept))
    weights = None if batch.sample_weight is None else batch.sample_weight[kept]
    order, starts = _groups(columns, weights, n_leading)
    row_of = np.full(batch.n_rows, -1)
    row_of[kept[order]] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    return row_of


def _columns(batch: Batch) -> tuple[NDArray[np.floating], list[int], int]:
    """Join inputs, targets and tangents; return also their widths, and the number of columns for the order."""
    present = [part for part in (batch.inputs, batch.targets, batch.tangents) if part is not None]
    flat = [part.reshape(len(part), math.prod(part.shape[1:])) for part in present]
    widths = [part.shape[1] for part in flat]
    columns = flat[0] if len(flat) == 1 else np.hstack(flat)
    return columns, widths, sum(widths if batch.tangents is None else widths[:-1])


MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd


def _hash_rows(X: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Hash the bits of each row: sum_d multiplier_d mixed(word_d) modulo 2^64, in integers and so without rounding.

    Mixing moves high bits to low ones: many numbers, such as 1 and 2, have low bits of 0, which a product preserves.
    """
    words = np.ascontiguousarray(X + 0.0).view(np.uint32)  # -0.0 + 0.0 is 0.0
    multipliers = np.random.default_rng(0).integers(2**63, size=words.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(len(words), dtype=np.uint64)
    for start in range(0, len(words), 1024):  # a piece at a time, since uint64 needs twice the memory
        piece = slice(start, start + 1024)
        mixed = words[piece].astype(np.uint64) * MIXER
        hashes[piece] = (mixed ^ (mixed >> np.uint64(32))) @ multipliers
    return hashes
