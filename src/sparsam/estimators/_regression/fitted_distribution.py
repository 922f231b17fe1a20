"""The distribution of the targets that given weights mean: the network in the units of y, and the noise covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.error_functions import GaussianError, ProfileGaussianError
from sparsam.estimators._data.apply_network import apply_in_chunks, network_outputs
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._regression.noise_covariance import fitted_covariance
from sparsam.estimators._regression.target_scale import TargetScale

__all__ = ["FittedDistribution"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedDistribution:
    """N(y(x), C) at given weights.

    Attributes
    ----------
    network : Network
        Of the scaled targets.
    scale : TargetScale
    mask : array of shape (n_features, n_outputs) or None
        1 for the weights that there are.
    error : GaussianError or ProfileGaussianError
    dataset : Dataset
        What was trained on, targets scaled.
    patterns : array of bool, (n_patterns, n_outputs)
        Which targets are observed together.
    chunk_size : int or None
    """

    network: Network
    scale: TargetScale
    mask: Array | None
    error: GaussianError | ProfileGaussianError
    dataset: Dataset
    patterns: NDArray[np.bool_]
    chunk_size: int | None

    def parameters_at(self, theta: NDArray[np.floating]) -> Parameters:
        """Return the weights of a network whose outputs are in the units of y."""
        return self.scale.in_units_of_y(self._masked(theta))

    def covariance_at(self, theta: NDArray[np.floating]) -> Array:
        """Compute the noise covariance in the units of y: a pass over the data, where it is not known."""
        parameters = self._masked(theta.astype(np.float64))

        def residuals(batch: Batch) -> Array:
            means = apply_in_chunks(
                network_outputs, self.network, parameters, batch.inputs, dtype=np.float64, chunk_size=self.chunk_size
            )
            return means.astype(np.float64, copy=False) - batch.targets

        scaled = fitted_covariance(self.error, residuals, self.dataset, self.patterns)
        return scaled * np.outer(self.scale.scale, self.scale.scale)

    def _masked(self, theta: NDArray[np.floating]) -> Parameters:
        parameters = self.network.unravel(cast(jax.Array, theta))
        if self.mask is None:
            return parameters
        return parameters._replace(coefs=(parameters.coefs[0] * self.mask,))
