"""Variance of an autoencoder's inputs, and statistics of its hidden units: a pass over the training data each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network, Parameters, weighted_sum
from sparsam.engine.objective.error_functions import CrossEntropy, SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.plateau import Plateau
from sparsam.engine.training.streaming import StreamedSamples, summed
from sparsam.inspection.units import UnitStatistics, ends_of
from sparsam.inspection.weak_fit import LEAST_EXPLAINED

__all__ = ["InputVariance", "input_variance", "mean_squared_error", "n_encoders", "unit_activity"]

FAR = 10.0  # largest ratio of a squared shift to the variance; a larger one loses digits by cancellation


@dataclass(frozen=True)
class InputVariance:
    """Mean and variance of the inputs of an autoencoder.

    Attributes
    ----------
    mean : array of shape (n_features,)
    variance : float
        1/S sum_n s_n |x_n - mean x|^2, over all features together; exactly 0 where all inputs are the same.
    entropy : float or None
        The least cross-entropy, 1/S sum_n s_n sum_k H(x_nk), H(x) = -x ln x - (1 - x) ln(1 - x); None if the error is
        the squared error.
    """

    mean: NDArray[np.float64]
    variance: float

    entropy: float | None = None

    @property
    def plateau(self) -> Plateau | None:
        """Plateau on which an autoencoder explains nearly nothing; None for constant inputs.

        A share of the squared error, or of the cross-entropy above that of perfect reconstructions, is explained. The
        largest is that of the best constant, the mean.
        """
        if self.variance == 0:
            return None
        if self.entropy is None:
            return Plateau(SquaredError.name, (1 - LEAST_EXPLAINED) * self.variance / 2)
        of_mean = float(np.sum(_entropy_of(np.clip(self.mean, 0, 1))))
        return Plateau(CrossEntropy.name, of_mean - LEAST_EXPLAINED * (of_mean - self.entropy))


def n_encoders(network: Network) -> int:
    """Return the number of layers that encode, the first half of an autoencoder's layers."""
    return len(network.shapes) // 2


def input_variance(data: Samples | StreamedSamples, dtype: str, error: Any = None) -> InputVariance:
    """Compute mean and variance of the inputs in one pass about the first row, or in two if that is an outlier.

    If the error function is the cross-entropy, its least value takes one more pass. All processes of a distributed run
    must call it together.
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
        entropy = float(_entropies(data)) / total if isinstance(error, CrossEntropy) else None
    return InputVariance(shift.astype(np.float64) + offset, variance, entropy)


def mean_squared_error(objective: Objective, parameters: Parameters, data: Samples | StreamedSamples) -> float:
    """Compute 1/S sum_n s_n 1/2 |y_n - x_n|^2."""
    return float(_squared_errors(objective, parameters, data)) / float(data.total_weight)


def unit_activity(
    objective: Objective,
    parameters: Parameters,
    data: Samples | StreamedSamples,
    inputs: InputVariance,
    *,
    n_samples: int,
    rho: float | None,
) -> UnitStatistics:
    """Compute weighted statistics of the units of the code over the data, in one pass.

    tanh activations z are mapped to (z + 1)/2, the scale of rho. Squares are computed about the activations of the mean
    input, which avoids cancellation for units that hardly vary.
    """
    hidden = objective.network.activations[n_encoders(objective.network) - 1]
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
        rows = data.inputs if data.targets is None else data.targets
        own = np.asarray(rows.addressable_shards[0].data[0, :, 0])
    else:
        first = next(data.batches())
        batch = first.inputs if first.targets is None else first.targets
        own = (batch[0] if len(batch) else np.zeros(batch.shape[1])).astype(data.dtype)
    return np.asarray(all_gather(own, data.mesh)[0])


def _about(shift: jax.Array, chunk: Batch) -> tuple[jax.Array, jax.Array]:
    difference = chunk.targets - shift[:, None]  # the inputs, unless those are corrupted
    squares = jnp.sum(jnp.square(difference), axis=0)
    return weighted_sum(difference, chunk.sample_weight), weighted_sum(squares, chunk.sample_weight)


def _entropy_of(x: Any) -> Any:
    return -(xlogy(x, x) + xlogy(1 - x, 1 - x))


def _sum_entropies(chunk: Batch) -> jax.Array:
    x = jnp.clip(chunk.targets, 0, 1)
    return weighted_sum(jnp.sum(_entropy_of(x), axis=0), chunk.sample_weight)


def _sum_squared_errors(objective: Objective, parameters: Parameters, chunk: Batch) -> jax.Array:
    forward = objective.network.forward(parameters, chunk.inputs)
    return SquaredError().sums(objective.network, forward, chunk.targets, chunk.sample_weight)


def _activations(objective: Objective, parameters: Parameters, inputs: jax.Array) -> jax.Array:
    layer = n_encoders(objective.network) - 1
    hidden = objective.network.activations[layer]
    a = objective.network.forward(parameters, inputs).pre_activations[layer]
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
_entropies = summed(_sum_entropies)
_squared_errors = summed(_sum_squared_errors)
