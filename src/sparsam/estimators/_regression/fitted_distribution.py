"""Distribution of the targets at given weights: the network in the units of y, and the noise covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.error_functions import GaussianError, ProfileGaussianError
from sparsam.engine.objective.objective import Objective
from sparsam.estimators._data.apply_network import apply_in_chunks, network_outputs, unscaled_parameters
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._regression.dependent_targets import DependentTargets
from sparsam.estimators._regression.noise_covariance import fitted_covariance
from sparsam.estimators._regression.target_scale import TargetScale

__all__ = ["FittedDistribution"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FittedDistribution:
    """N(y(x), C) at given weights.

    Attributes
    ----------
    objective : Objective
        Objective for scaled targets; its first term is the error function.
    scale : TargetScale
    dataset : Dataset
        Training data, with scaled targets.
    patterns : array of bool, (n_patterns, n_outputs)
        Patterns of targets that are observed together.
    dependent : DependentTargets
        Targets that are not fitted.
    chunk_size : int or None
    """

    objective: Objective
    scale: TargetScale
    dataset: Dataset
    patterns: NDArray[np.bool_]
    dependent: DependentTargets
    chunk_size: int | None

    def parameters_at(self, theta: NDArray[np.floating]) -> Parameters:
        """Return the weights, in float64, of the network for inputs and outputs in the units of X and y."""
        return self.dependent.of_all(self.scale.in_units_of_y(unscaled_parameters(self.objective, theta)))

    def covariance_at(self, theta: NDArray[np.floating]) -> Array:
        """Compute the noise covariance of the fitted targets, in the units of y; an unknown one takes a pass."""
        network, parameters = self.objective.network, unscaled_parameters(self.objective, theta)

        def residuals(batch: Batch) -> Array:
            means = apply_in_chunks(
                network_outputs, network, parameters, batch.inputs, dtype=np.float64, chunk_size=self.chunk_size
            )
            return means.astype(np.float64, copy=False) - batch.targets

        error = cast(GaussianError | ProfileGaussianError, self.objective.terms[0])
        scaled = fitted_covariance(error, residuals, self.dataset, self.patterns)
        return scaled * np.outer(self.scale.scale, self.scale.scale)
