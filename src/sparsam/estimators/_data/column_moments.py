"""Mean and deviation of each input, and its scale for the minimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import max_of_processes
from sparsam.engine.objective.input_scale import ROWS_AT_ONCE, TYPICAL_CURVATURE, InputScale
from sparsam.estimators._data.dataset import Dataset

__all__ = ["ColumnMoments"]

Array = NDArray[np.float64]

ROUNDING = 1e-12
"""Largest deviation, relative to the mean, that may be rounding of a constant."""

LEAST_SCALE, LARGEST_SCALE = 1e-18, 1e18  # so that their squares do not overflow or underflow in float32


@dataclass(frozen=True)
class ColumnMoments:
    """Weighted moments of the columns of X, over all processes.

    Attributes
    ----------
    mean, deviation : arrays of shape (n_features,)
        For a constant column the deviation is 0, and the mean is exactly its value.
    reach : array of shape (n_features,)
        max_n |x_n - mean|.
    """

    mean: Array
    deviation: Array
    reach: Array

    @classmethod
    def of(cls, dataset: Dataset) -> ColumnMoments:
        """Compute the moments in float64, in two passes: the second one corrects rounding in the mean of the first."""
        parts, total = dataset.split_batches(ROWS_AT_ONCE), dataset.total_weight
        extremes = _Extremes()
        with np.errstate(over="ignore", invalid="ignore"):  # if squares overflow, J does too, and reports it
            about = parts.sum(extremes.weighted_sum) / total
            low, high = extremes.of_all_processes(dataset)
            sums, squares = parts.sum(_Deviations(about))
            mean = np.where(low == high, low, about + sums / total)
            variance = np.where(low == high, 0.0, np.maximum(squares / total - np.square(sums / total), 0.0))
            return cls(mean, np.sqrt(np.nan_to_num(variance, nan=np.inf)), np.maximum(high - mean, mean - low))

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Mask of the columns that vary by more than rounding."""
        return self.deviation > ROUNDING * np.abs(self.mean)

    @property
    def variance(self) -> float:
        """Total variance of the columns."""
        return float(np.sum(np.square(self.deviation)))

    @property
    def origin(self) -> InputScale:
        """Scale that centers the inputs and keeps their units."""
        return InputScale(self.mean, np.ones_like(self.mean))

    def scale(self, alpha: float) -> InputScale:
        """Make the scale that centers the inputs and divides by sqrt(deviation^2 + alpha/g), g = `TYPICAL_CURVATURE`.

        With alpha = 0 the scaled deviation is 1. With alpha > 0 a column with a deviation far below sqrt(alpha/g) has
        little influence, and its weights decay as fast as any others.
        """
        scale = np.hypot(np.where(self.varies, self.deviation, 0.0), np.sqrt(alpha / TYPICAL_CURVATURE))
        # The scale of a constant is arbitrary; a large one keeps the rounding of a near constant small.
        scale = np.where(scale > 0, scale, np.maximum(np.abs(self.mean), 1.0))
        return InputScale(self.mean, np.clip(scale, LEAST_SCALE, LARGEST_SCALE))


class _Extremes:
    """Least and largest value of each column, updated during a pass for the mean."""

    low: Array | None = None
    high: Array | None = None

    def weighted_sum(self, batch: Batch) -> Any:
        """Return sum_n s_n x_n of a batch, and update the least and the largest values."""
        counted = batch.inputs[batch.weights > 0]
        if len(counted):
            low, high = counted.min(axis=0).astype(np.float64), counted.max(axis=0).astype(np.float64)
            self.low = low if self.low is None else np.minimum(self.low, low)
            self.high = high if self.high is None else np.maximum(self.high, high)
        return batch.weights @ batch.inputs

    def of_all_processes(self, dataset: Dataset) -> tuple[Array, Array]:
        """Return the least and the largest values over all processes, some of which may have no rows."""
        none = np.full(dataset.n_features, -np.inf)
        low = max_of_processes(none if self.low is None else -self.low, dataset.mesh)
        high = max_of_processes(none if self.high is None else self.high, dataset.mesh)
        return -low, high


@dataclass(frozen=True)
class _Deviations:
    """Compute sum_n s_n (x_n - about), and the sum of the squares."""

    about: Array

    def __call__(self, batch: Batch) -> tuple[Array, Array]:
        deviations = batch.inputs - self.about
        return batch.weights @ deviations, batch.weights @ np.square(deviations)
