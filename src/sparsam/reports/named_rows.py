"""Describe units by the names of the rows on which they are active, and rows by their strongest units.

One pass over the rows, some at a time: the activations of all rows are never held together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.inspection.coherence import coherence_of_rows, unit_vectors
from sparsam.inspection.sparsity import CAN_BE_ZERO
from sparsam.inspection.strongest_rows import NO_ROW, StrongestRows
from sparsam.inspection.units import RANGES
from sparsam.reports.code import Code
from sparsam.reports.decoder import Decoder

__all__ = ["RowCodes", "UnitsByRows", "describe_by_rows", "nearest_units", "rests_at_zero"]

Array = NDArray[np.float64]

N_STRONGEST = 10  # rows of a unit, for its coherence too
N_RANDOM = 6  # rows of a unit, of all on which it is active
N_NEAREST = 5
N_BINS = 24
CHUNK_VALUES = 8_000_000  # activations or outputs computed at a time


@dataclass(frozen=True)
class UnitsByRows:
    """Descriptions of the units by the rows on which they are active.

    Attributes
    ----------
    strongest : int array of shape (n_units, 10)
        The rows with the highest activation, in descending order; -1 where it is not above 0.
    activations : array of shape (n_units, 10)
    random : int array of shape (n_units, 6)
        Rows drawn at random from those with an activation above 0; -1 where there are fewer.
    density : array of shape (n_units,)
        Share of the rows with an activation above 0.
    contribution : array of shape (n_units,)
        Mean over the rows of |z_j - rest_j| |w_j|, w_j being the weights from the unit to the outputs.
    coherence : array of shape (n_units,)
    coherence_at_random : float
        Mean cosine of rows drawn at random.
    histogram : int array of shape (n_units, 24)
        Numbers of rows by activation, between ``low`` and ``high``; of units that rest at 0, without the rows at 0.
    low, high : arrays of shape (n_units,)
    """

    strongest: NDArray[np.intp]
    activations: Array
    random: NDArray[np.intp]
    density: Array
    contribution: Array
    coherence: Array
    coherence_at_random: float
    histogram: NDArray[np.intp]
    low: Array
    high: Array


@dataclass(frozen=True)
class RowCodes:
    """The strongest units of each row, and reconstructions from them.

    A unit's strength on a row is |z_j - rest_j| |w_j|: how far it moves the outputs from where they are if all units
    rest. Reconstructions are compared with the row about the mean of all rows.

    Attributes
    ----------
    units : int array of shape (n_rows, n_strongest)
        In descending order of strength; -1 where all other units rest.
    strengths : array of shape (n_rows, n_strongest)
    shares, cosines : arrays of shape (n_rows, n_strongest)
        Explained share, 1 - |y - x|^2 / |x - mean|^2, and the cosine of y - mean and x - mean, where y is made of the
        first k units; NaN where x is the mean.
    n_active : int array of shape (n_rows,)
        Number of units that do not rest.
    share_of_all, cosine_of_all : arrays of shape (n_rows,)
        The same from all units.
    """

    units: NDArray[np.intp]
    strengths: Array
    shares: Array
    cosines: Array
    n_active: NDArray[np.intp]
    share_of_all: Array
    cosine_of_all: Array


def rests_at_zero(hidden_activation: str) -> bool:
    """Return whether a unit that has nothing to say is exactly 0; others are compared with their mean activation."""
    return hidden_activation in CAN_BE_ZERO


def describe_by_rows(code: Code, X: Any, rest: Array, n_strongest: int) -> tuple[UnitsByRows, RowCodes]:
    """Describe units and rows of a code by each other.

    Parameters
    ----------
    code : Code
    X : array or DataFrame of shape (n_rows, n_features)
        Inputs of the network.
    rest : array of shape (n_units,)
        Activations that contribute nothing: 0 if units rest at 0, otherwise their means.
    n_strongest : int
        Number of units to keep for each row.
    """
    n_rows, n_units = len(X), len(code.lengths)
    decoder = Decoder.of(code)
    inputs = np.asarray(X, dtype=np.float64)
    mean = inputs.mean(axis=0)
    strongest, random = StrongestRows(n_units, N_STRONGEST), StrongestRows(n_units, N_RANDOM)
    priorities = np.random.default_rng(0).uniform(0.5, 1, n_rows)
    n_active, moved = np.zeros(n_units), np.zeros(n_units)
    parts = []
    size = _chunk_size(n_units, n_strongest, inputs.shape[1])
    for start, Z in _activations(code, X, size):
        active = Z > 0
        strongest.update(np.where(active, Z, -np.inf))
        random.update(np.where(active, priorities[start : start + len(Z), np.newaxis], -np.inf))
        n_active += active.sum(axis=0)
        strengths = np.abs(Z - rest) * code.lengths
        moved += strengths.sum(axis=0)
        parts.append(_encode(decoder, inputs[start : start + len(Z)], Z, strengths, rest, mean, n_strongest))
    activations = np.where(strongest.rows == NO_ROW, 0.0, strongest.values)
    histogram, low, high = _histograms(code, X, size, activations[:, 0])
    coherence, at_random = coherence_of_rows(inputs, strongest.rows)
    units = UnitsByRows(
        strongest=strongest.rows,
        activations=activations,
        random=random.rows,
        density=n_active / n_rows,
        contribution=moved / n_rows,
        coherence=coherence,
        coherence_at_random=at_random,
        histogram=histogram,
        low=low,
        high=high,
    )
    return units, RowCodes(*(np.concatenate(found) for found in zip(*parts, strict=True)))


def nearest_units(decoders: Array) -> tuple[NDArray[np.intp], Array]:
    """Find the units whose weights to the outputs have the most similar directions.

    Parameters
    ----------
    decoders : array of shape (n_units, n_features)

    Returns
    -------
    units : int array of shape (n_units, min(5, n_units - 1))
        In descending order of the cosine.
    cosines : array of the same shape

    Examples
    --------
    >>> units, cosines = nearest_units(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> units[0].tolist(), cosines[0].round(2).tolist()
    ([2, 1], [0.71, 0.0])
    """
    n_units = len(decoders)
    n_nearest = min(N_NEAREST, n_units - 1)
    directions = unit_vectors(decoders)
    units, cosines = np.zeros((n_units, n_nearest), np.intp), np.zeros((n_units, n_nearest))
    size = max(1, CHUNK_VALUES // n_units)
    for start in range(0, n_units if n_nearest else 0, size):
        of_part = directions[start : start + size] @ directions.T
        own = np.arange(len(of_part))
        of_part[own, start + own] = -np.inf
        units[start : start + size] = _descending(of_part, n_nearest)
        cosines[start : start + size] = np.take_along_axis(of_part, units[start : start + size], axis=1)
    return units, cosines


def _chunk_size(n_units: int, n_strongest: int, n_features: int) -> int:
    return max(1, CHUNK_VALUES // max(n_units, n_strongest * n_features))


def _activations(code: Code, X: Any, size: int) -> Iterator[tuple[int, Array]]:
    for start in range(0, len(X), size):
        chunk = X.iloc[start : start + size] if hasattr(X, "iloc") else X[start : start + size]
        yield start, np.asarray(code.network.transform(chunk), dtype=np.float64)


def _encode(
    decoder: Decoder, X: Array, Z: Array, strengths: Array, rest: Array, mean: Array, n_strongest: int
) -> tuple[NDArray[Any], ...]:
    """Compute the fields of `RowCodes` for some rows."""
    units = _descending(strengths, n_strongest)
    kept = np.take_along_axis(strengths, units, axis=1)
    shares, cosines = _agreement(decoder.stepwise_outputs(rest, Z, units), X[:, np.newaxis], mean)
    share_of_all, cosine_of_all = _agreement(decoder.outputs(Z), X, mean)
    return (
        np.where(kept > 0, units, NO_ROW),
        kept,
        shares,
        cosines,
        (strengths > 0).sum(axis=1),
        share_of_all,
        cosine_of_all,
    )


def _agreement(Y: Array, X: Array, mean: Array) -> tuple[Array, Array]:
    """Compute the explained share of the rows X, and the cosine, about the mean."""
    x, y = X - mean, Y - mean
    xx, yy = np.sum(x**2, axis=-1), np.sum(y**2, axis=-1)
    errors, both = np.sum((Y - X) ** 2, axis=-1), np.sum(x * y, axis=-1)
    shape = errors.shape
    unknown = np.full(shape, np.nan)
    shares = 1 - np.divide(errors, np.broadcast_to(xx, shape), out=unknown.copy(), where=xx > 0)
    lengths = np.sqrt(xx * yy)
    return shares, np.divide(both, lengths, out=unknown, where=lengths > 0)


def _descending(values: Array, n: int) -> NDArray[np.intp]:
    """Return the columns of the n largest values of each row, from the largest on."""
    columns = np.argpartition(-values, n - 1, axis=1)[:, :n] if n < values.shape[1] else np.argsort(-values, axis=1)
    order = np.argsort(-np.take_along_axis(values, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def _histograms(code: Code, X: Any, size: int, largest: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """Count the rows of each unit by activation."""
    rests = rests_at_zero(code.hidden_activation)
    bottom, top = RANGES[code.hidden_activation]
    n_units = len(largest)
    low = np.full(n_units, bottom)
    high = np.where(largest > 0, largest, 1.0) if np.isinf(top) else np.full(n_units, top)
    counts = np.zeros(n_units * N_BINS, np.intp)
    for _, Z in _activations(code, X, size):
        rows, units = np.nonzero(Z > 0) if rests else np.nonzero(np.isfinite(Z))
        heights = (Z[rows, units] - low[units]) / (high - low)[units]
        bins = np.minimum((N_BINS * heights).astype(np.intp), N_BINS - 1)
        counts += np.bincount(units * N_BINS + bins, minlength=len(counts))
    return counts.reshape(n_units, N_BINS), low, high
