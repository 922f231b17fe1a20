"""Compute the fitted attributes of a regressor at an iterate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.state import Progress
from sparsam.estimators._data.apply_network import unscaled_parameters
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._regression.fitted_distribution import FittedDistribution
from sparsam.estimators._regression.input_covariance import CovarianceOutputs
from sparsam.estimators._regression.predictive_covariance import PredictiveCovariance
from sparsam.estimators._regression.regression_data import RegressionData
from sparsam.estimators._training.fitted_attributes import network_attributes

__all__ = ["ConstantCovarianceAttributes", "InputCovarianceAttributes"]

Array = NDArray[np.float64]

ABSENT = dict.fromkeys(
    (
        "covariance_alpha_",
        "covariance_factor_",
        "covariance_coef_",
        "covariance_intercept_",
        "calibration_distances_",
        "calibration_weights_",
    )
)
"""Fitted attributes that are None with a constant covariance, and without calibration rows."""


@dataclass(frozen=True)
class ConstantCovarianceAttributes:
    """Compute them for a constant covariance.

    Attributes
    ----------
    data : RegressionData
    alpha : float
    distribution : FittedDistribution
    predictive : PredictiveCovariance
    """

    data: RegressionData
    alpha: float
    distribution: FittedDistribution
    predictive: PredictiveCovariance

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        covariance = self.distribution.covariance_at(theta)
        return {
            **network_attributes(self.distribution.parameters_at(theta), progress),
            **_attributes_of_all(self.data, self.alpha),
            "covariance_": self._of_all_targets(covariance),
            "predictive_covariance_": self._of_all_targets(self.predictive.of(covariance)),
        }

    def predictive_covariance_at(self, theta: NDArray[np.floating]) -> Array:
        """Compute the predictive covariance of the fitted targets, in the units of y."""
        return self.predictive.of(self.distribution.covariance_at(theta))

    def _of_all_targets(self, covariance: Array) -> Array:
        return self.data.dependent.covariance_of_all(np.where(self.data.unknown_pairs, np.nan, covariance))


@dataclass(frozen=True)
class InputCovarianceAttributes:
    """Compute them for a covariance that depends on the input.

    Attributes
    ----------
    data : RegressionData
    alpha, covariance_alpha : float
    objective : Objective
    dataset : Dataset
        Training data.
    factor : array of shape (n_targets, n_targets)
        L_0 of scaled targets.
    log_scale : array of shape (n_targets,)
        Shifts of d in predictions.
    chunk_size : int or None
    """

    data: RegressionData
    alpha: float
    covariance_alpha: float
    objective: Objective
    dataset: Dataset
    factor: Array
    log_scale: Array
    chunk_size: int | None

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        data, n_targets = self.data, len(self.factor)
        (*coefs, W), (*intercepts, b) = unscaled_parameters(self.objective, theta)
        means = Parameters((*coefs, W[:, :n_targets]), (*intercepts, b[:n_targets]))
        fitted = CovarianceOutputs.of(
            Parameters(tuple(coefs), tuple(intercepts)),
            data.network.hidden_activation,
            np.array(W[:, n_targets:]),
            np.array(b[n_targets:]),
            data.dependent.combination @ (data.scale.scale[:, None] * self.factor),
            self.chunk_size,
        )
        predictive = fitted.shifted(self.log_scale)
        return {
            **network_attributes(data.dependent.of_all(data.scale.in_units_of_y(means)), progress),
            **_attributes_of_all(data, self.alpha),
            "covariance_": fitted.mean_covariance(self.dataset),
            "predictive_covariance_": predictive.mean_covariance(self.dataset),
            "covariance_alpha_": self.covariance_alpha,
            "covariance_factor_": predictive.factor,
            "covariance_coef_": np.asarray(predictive.parameters.coefs[-1]),
            "covariance_intercept_": np.asarray(predictive.parameters.intercepts[-1]),
        }


def _attributes_of_all(data: RegressionData, alpha: float) -> dict[str, Any]:
    """Return the attributes that do not depend on the weights."""
    return {
        **ABSENT,
        "alpha_": alpha,
        "n_outputs_": len(data.dependent.offset),
        "_one_dimensional": data.one_dimensional,
        "pretraining_": data.pretrained,
    }
