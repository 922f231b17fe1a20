"""Scale on which the targets of a regression are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Parameters
from sparsam.estimators._data.dataset import Dataset

__all__ = ["TargetScale"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TargetScale:
    """Mean and scale of each output: the network is fitted to (t - mean)/scale.

    Attributes
    ----------
    mean, scale : arrays of shape (n_outputs,)
        scale is 1 for a constant output.
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, dataset: Dataset, *, common: bool) -> Self:
        """Compute mean and standard deviation of the observed targets, over all processes.

        With ``common`` all outputs have the same scale, the root of their mean variance: sigma^2 I for scaled targets
        is then sigma^2 scale^2 I for y.
        """
        total, sums = dataset.sum(_observed_sums)
        total = np.maximum(total, np.finfo(float).tiny)
        mean = sums / total
        squares = dataset.sum(partial(_squared_deviations, mean))
        # Smaller deviations are rounding of a constant.
        squares = np.where(squares > total * (1e-12 * np.abs(mean)) ** 2, squares, 0.0)
        variance = np.full_like(squares, squares.sum() / total.sum()) if common else squares / total
        return cls(mean, np.sqrt(np.where(variance > 0, variance, 1.0)))

    def scaled(self, batch: Batch) -> Batch:
        """Scale the targets of a batch."""
        return batch._replace(targets=(batch.targets - self.mean) / self.scale)

    def unscaled(self, batch: Batch) -> Batch:
        """Convert scaled targets to the units of y: inverse of `scaled`."""
        return batch._replace(targets=batch.targets * self.scale + self.mean)

    def mean_log_jacobian(self, dataset: Dataset) -> float:
        """Average -sum_observed ln scale, which converts a mean log density of scaled targets to that of y."""
        return -float(dataset.mean(lambda batch: ~np.isnan(batch.targets) @ np.log(self.scale)))

    def in_units_of_y(self, parameters: Parameters) -> Parameters:
        """Convert weights of a network with scaled outputs to float64 weights for outputs in the units of y."""
        *coefs, last = (np.asarray(coef, dtype=np.float64) for coef in parameters.coefs)
        *intercepts, bias = (np.asarray(intercept, dtype=np.float64) for intercept in parameters.intercepts)
        return _parameters((*coefs, last * self.scale), (*intercepts, bias * self.scale + self.mean))

    def scaled_weights(self, parameters: Parameters) -> Parameters:
        """Inverse of `in_units_of_y`."""
        *coefs, last = parameters.coefs
        *intercepts, bias = parameters.intercepts
        return _parameters((*coefs, last / self.scale), (*intercepts, (bias - self.mean) / self.scale))


def _observed_weights(batch: Batch) -> Array:
    return batch.weights[:, None] * ~np.isnan(batch.targets)


def _observed_sums(batch: Batch) -> tuple[Array, Array]:
    seen = _observed_weights(batch)
    return np.sum(seen, axis=0), np.sum(seen * np.nan_to_num(batch.targets), axis=0)


def _squared_deviations(mean: Array, batch: Batch) -> Array:
    return np.sum(_observed_weights(batch) * np.nan_to_num(batch.targets - mean) ** 2, axis=0)


def _parameters(coefs: tuple[Any, ...], intercepts: tuple[Any, ...]) -> Parameters:
    return Parameters(coefs, intercepts)
