"""Variance of an autoencoder's inputs, and statistics of its hidden units: a pass over the training data each."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather
from sparsam.engine.data.samples import Samples
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import Parameters, weighted_sum
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.plateau import Plateau
from sparsam.engine.training.streaming import StreamedSamples, summed
from sparsam.engine.training.train import precision
from sparsam.inspection.units import UnitStatistics, ends_of
from sparsam.inspection.weak_fit import LEAST_EXPLAINED

__all__ = ["InputVariance", "input_variance", "unit_activity"]

FAR = 10.0  # largest ratio of a squared shift to the variance; a larger one loses digits by cancellation


@dataclass(frozen=True)
class InputVariance:
    """Mean and variance of the inputs of an autoencoder.

    Attributes
    ----------
    mean : array of shape (n_features,)
    variance : float
        1/S sum_n s_n |x_n - mean x|^2, over all features together; exactly 0 where all inputs are the same.
    """

    mean: NDArray[np.float64]
    variance: float

    @property
    def plateau(self) -> Plateau | None:
        """Plateau on which an autoencoder explains nearly nothing; None for constant inputs."""
        if self.variance == 0:
            return None
        return Plateau(SquaredError.name, (1 - LEAST_EXPLAINED) * self.variance / 2)


def input_variance(data: Samples | StreamedSamples, dtype: str) -> InputVariance:
    """Compute mean and variance of the inputs in one pass about the first row, or in two if that is an outlier.

    All processes of a distributed run must call it together.
    """
    with precision(dtype):
        total = float(data.total_weight)
        shift = _first_row(data)
        for _ in range(2):
            sums = _sums_about(np.asarray(shift, dtype), data)
            offset, square = (np.asarray(part, np.float64) / total for part in sums)
            with np.errstate(over="ignore", invalid="ignore"):  # then J is not finite either, and reports it
                from_shift = float(offset @ offset)
            variance = max(float(square) - from_shift, 0.0)
            if from_shift <= FAR * variance:
                break
            shift = (shift + offset).astype(dtype)
    return InputVariance(shift.astype(np.float64) + offset, variance)


def unit_activity(
    objective: Objective,
    parameters: Parameters,
    data: Samples | StreamedSamples,
    inputs: InputVariance,
    *,
    n_samples: int,
    rho: float | None,
) -> UnitStatistics:
    """Compute weighted statistics of the hidden units over the data, in one pass.

    tanh activations z are mapped to (z + 1)/2, the scale of rho. Squares are computed about the activations of the mean
    input, which avoids cancellation for units that hardly vary.
    """
    hidden = get_activation(objective.network.hidden_activation)
    name = "logistic" if hidden.probabilities else hidden.name
    mean_input, ends = (np.asarray(values, parameters.coefs[0].dtype) for values in (inputs.mean, ends_of(name)))
    sums = _unit_sums(objective, parameters, mean_input, ends, data)
    mean, *others = (np.asarray(part) / np.asarray(data.total_weight) for part in sums)
    offset, square, at_low, at_high = (part.astype(np.float64) for part in others)
    deviation = np.sqrt(np.maximum(square - offset**2, 0.0))
    return UnitStatistics.of_moments(n_samples, mean, deviation, at_low, at_high, hidden_activation=name, rho=rho)


def _first_row(data: Samples | StreamedSamples) -> NDArray[np.floating]:
    """Return the first process's first row of inputs, in all processes; zeros if it has no rows."""
    if isinstance(data, Samples):
        own = np.asarray(data.inputs.addressable_shards[0].data[0, :, 0])
    else:
        batch = next(data.batches()).inputs
        own = (batch[0] if len(batch) else np.zeros(batch.shape[1])).astype(data.dtype)
    return np.asarray(all_gather(own, data.mesh)[0])


def _about(shift: jax.Array, chunk: Batch) -> tuple[jax.Array, jax.Array]:
    difference = chunk.inputs - shift[:, None]
    squares = jnp.sum(jnp.square(difference), axis=0)
    return weighted_sum(difference, chunk.sample_weight), weighted_sum(squares, chunk.sample_weight)


def _activations(objective: Objective, parameters: Parameters, inputs: jax.Array) -> jax.Array:
    hidden = get_activation(objective.network.hidden_activation)
    a = objective.network.forward(parameters, inputs).pre_activations[0]
    return hidden.probabilities(a)[0] if hidden.probabilities else hidden.function(a)


def _activity(
    objective: Objective, parameters: Parameters, mean_input: jax.Array, ends: jax.Array, chunk: Batch
) -> tuple[jax.Array, ...]:
    z = _activations(objective, parameters, chunk.inputs)
    difference = z - _activations(objective, parameters, mean_input[:, None])
    at_ends = ((z <= ends[0]).astype(z.dtype), (z >= ends[1]).astype(z.dtype))
    parts = (z, difference, jnp.square(difference), *at_ends)
    return tuple(weighted_sum(part, chunk.sample_weight) for part in parts)


_sums_about = summed(_about)
_unit_sums = summed(_activity)
