"""Warnings about the units of X, where J depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators._data.column_moments import ColumnMoments

__all__ = ["few_columns_warning", "odd_units_warning"]

LEAST_DEVIATION, LARGEST_DEVIATION = 1e-3, 1e3
"""Of a column that weight decay treats like others: in other units its weights are none, or do not decay."""

NEARLY_ALL, FEW = 0.99, 0.1
"""Share of the variance, and of the columns, that make an autoencoder one of few columns."""

MOST_NAMED = 4


def odd_units_warning(columns: ColumnMoments, names: Sequence[Any], alpha: float) -> UserWarning | None:
    """Make a warning where weight decay, which is about X's own units, treats columns as differently as they are.

    Of a column that is seldom anything but one value, a pixel at the margin, the deviation is small in any unit: it is
    the largest distance from the mean that says how small the unit is.
    """
    odd = columns.varies & ((columns.deviation > LARGEST_DEVIATION) | (columns.reach < LEAST_DEVIATION))
    if not alpha or not odd.any() or not np.all(np.isfinite(columns.deviation)):
        return None
    return UserWarning(
        f"Weight decay (alpha = {alpha:g}) is about weights in X's own units, and columns of X are in odd ones: "
        f"{_named(odd, columns.deviation, names)}. It suppresses what is in small numbers, and spares what is in large "
        "ones. Standardize X, with sklearn.preprocessing.StandardScaler in a pipeline, or set alpha=0."
    )


def few_columns_warning(columns: ColumnMoments, names: Sequence[Any]) -> UserWarning | None:
    """Make a warning where few columns hold nearly all of the variance, which is what an autoencoder reconstructs."""
    variance = np.square(columns.deviation)
    if not np.isfinite(variance.sum()):
        return None
    order = np.argsort(-variance, kind="stable")
    n_few = 1 + int(np.searchsorted(np.cumsum(variance[order]), NEARLY_ALL * variance.sum()))
    if len(variance) < 2 or n_few > max(FEW * len(variance), 1) or not variance.any():
        return None
    few = np.isin(np.arange(len(variance)), order[:n_few])
    return UserWarning(
        f"{n_few} of the {len(variance)} columns of X hold {variance[few].sum() / variance.sum():.2%} of its variance: "
        f"{_named(few, columns.deviation, names)}. The autoencoder reconstructs these, and hardly sees the others. If "
        "they are not worth more, standardize X, with sklearn.preprocessing.StandardScaler in a pipeline."
    )


def _named(which: NDArray[np.bool_], deviation: NDArray[np.float64], names: Sequence[Any]) -> str:
    """Name the first few columns, each with its deviation."""
    numbers = np.flatnonzero(which)
    named = [f"{names[k]!r} (standard deviation {deviation[k]:.2g})" for k in numbers[:MOST_NAMED]]
    more = len(numbers) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
