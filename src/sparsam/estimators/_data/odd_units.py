"""Warnings about the units of X, if J depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam._utils.listed import listed
from sparsam.estimators._data.column_moments import ColumnMoments

__all__ = ["few_columns_warning", "odd_units_warning"]

LEAST_DEVIATION, LARGEST_DEVIATION = 1e-3, 1e3
"""Range of deviations in which weight decay treats columns similarly: below, it suppresses their weights; above, it
hardly affects them."""

SMALL, SMALL_IF_LOWERED, LARGEST_SMALL = 0.5, 2.0, 0.11
"""Deviation, relative to sqrt(alpha), below which weight decay suppresses a column.

A weight w = 1/deviation, which lets a unit change by 1, costs alpha w^2/2 per sample: 2 nats there. The default
regressor loses a sixth of its R^2 on scikit-learn's raw diabetes data, at 0.27, and nothing on tables in [0, 1], at 0.8
to 1.3. Where a tenth of the default alpha predicted better, weight decay had been too strong, and four times this
deviation is small; normal columns scaled to [0, 1] have more, 0.14 to 0.2, and are never called small.
"""

FAR_OUT, OUTLIERS = 20, 10
"""Largest distance of an outlier of a skewed column, in deviations of the column and in LEAST_DEVIATION: a log-normal
column of some hundred rows reaches about 12 deviations, one with few values that differ much more."""

NO_OUTLIER, SOME = 6, 0.1
"""Suppressed columns are named if none of their values is further from the mean than this, in deviations, and if they
are at least this share of all columns: pixels at the margin of images are further from it, or few."""

NEARLY_ALL, FEW = 0.99, 0.1
"""Warn if at least this share of the variance is in at most this share of the columns."""

MAX_NAMED = 4


def odd_units_warning(
    columns: ColumnMoments, names: Sequence[Any], alpha: float, *, lowered: bool = False
) -> UserWarning | None:
    """Make a warning if weight decay, which depends on the units of X, affects columns very differently.

    A column that nearly always has the same value, such as a pixel at the margin, has a small deviation in any unit.
    Small numbers are therefore recognized by the largest distance from the mean, with room for the outliers that a
    skewed column has. ``lowered`` is whether a tenth of the default alpha predicted better.
    """
    deviation, reach = columns.deviation, columns.reach
    skewed = (deviation < LEAST_DEVIATION) & (reach < np.minimum(FAR_OUT * deviation, OUTLIERS * LEAST_DEVIATION))
    tiny = (reach < LEAST_DEVIATION) | skewed
    small = min((SMALL_IF_LOWERED if lowered else SMALL) * np.sqrt(alpha), LARGEST_SMALL)
    suppressed = (deviation < small) & (reach < NO_OUTLIER * deviation)
    suppressed &= np.sum(suppressed & columns.varies) >= SOME * np.sum(columns.varies)
    odd = columns.varies & ((deviation > LARGEST_DEVIATION) | tiny | suppressed)
    if not alpha or not odd.any() or not np.all(np.isfinite(columns.deviation)):
        return None
    return UserWarning(
        f"Weight decay (alpha = {alpha:g}) depends on the units of X, and some columns have very small or very large "
        f"numbers: {_named(odd, columns.deviation, names)}. Weight decay suppresses the influence of small numbers, "
        "and has hardly any effect on large ones. Standardize X, with sklearn.preprocessing.StandardScaler in a "
        "pipeline, or set alpha=0."
    )


def few_columns_warning(columns: ColumnMoments, names: Sequence[Any]) -> UserWarning | None:
    """Make a warning if a few columns have nearly all of the variance, so that an autoencoder ignores the others."""
    variance = np.square(columns.deviation)
    if not np.isfinite(variance.sum()):
        return None
    order = np.argsort(-variance, kind="stable")
    n_few = 1 + int(np.searchsorted(np.cumsum(variance[order]), NEARLY_ALL * variance.sum()))
    if len(variance) < 2 or n_few > max(FEW * len(variance), 1) or not variance.any():
        return None
    few = np.isin(np.arange(len(variance)), order[:n_few])
    return UserWarning(
        f"{n_few} of the {len(variance)} columns of X have {variance[few].sum() / variance.sum():.2%} of its variance: "
        f"{_named(few, columns.deviation, names)}. The autoencoder reconstructs these columns, and nearly ignores the "
        "others. If they are not more important, standardize X, with sklearn.preprocessing.StandardScaler in a "
        "pipeline."
    )


def _named(which: NDArray[np.bool_], deviation: NDArray[np.float64], names: Sequence[Any]) -> str:
    """Name the first few columns, each with its deviation."""
    named = [f"{names[k]!r} (standard deviation {deviation[k]:.2g})" for k in np.flatnonzero(which).tolist()]
    return listed(named, most=MAX_NAMED)
