"""Weights of an autoencoder for centered inputs, which the minimizer gets, and for the inputs as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.training.state import Progress
from sparsam.estimators._training.fitted_attributes import network_attributes
from sparsam.estimators._training.flat_weights import unravel
from sparsam.estimators._training.reconstruction import n_encoders

__all__ = ["AutoencoderAttributes", "centered_weights", "uncentered_weights"]


def uncentered_weights(origin: InputScale | None, parameters: Parameters, unit: float = 1.0) -> Parameters:
    """Convert weights for inputs and outputs (x - mean) / unit to weights for x.

    The last biases are in float64, as they contain the mean. Units of the code have the unit, too.
    """
    if origin is None:
        return parameters
    biases = parameters.intercepts if unit == 1 else tuple(unit * bias for bias in parameters.intercepts)
    first, *others, last = origin.unscaled_weights(parameters._replace(intercepts=biases)).intercepts
    return Parameters(parameters.coefs, (first, *others, last + origin.mean))


def centered_weights(origin: InputScale | None, parameters: Parameters, unit: float = 1.0) -> Parameters:
    """Convert weights for inputs and outputs x to weights for (x - mean) / unit."""
    if origin is None:
        return parameters
    first, *others, last = origin.scaled_weights(parameters).intercepts
    return Parameters(parameters.coefs, tuple(bias / unit for bias in (first, *others, last - origin.mean)))


@dataclass(frozen=True)
class AutoencoderAttributes:
    """Compute the fitted attributes at an iterate."""

    network: Network
    origin: InputScale | None
    unit: float
    others: Mapping[str, Any]

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> dict[str, Any]:
        parameters = uncentered_weights(self.origin, unravel(self.network, theta), self.unit)
        attributes = network_attributes(parameters, progress)
        mean = None if self.origin is None else self.origin.mean
        n_components = self.network.layer_sizes[n_encoders(self.network)]
        return {**attributes, **self.others, "_n_features_out": n_components, "_input_mean": mean}
