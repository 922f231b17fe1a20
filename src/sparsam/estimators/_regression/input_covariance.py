"""Noise covariance that depends on the input: assemble J, and compute C(x) from the weights.

The network has outputs d and o beside the means (`objective.error_functions.heteroscedastic`), so that the Cholesky
factor of C(x) is F T^-1 D: F is the factor of the constant covariance C_0, and T^-1 D comes from d and o.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.batch import Batch
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.error_functions.heteroscedastic import cholesky_factors, n_covariance_outputs
from sparsam.engine.objective.objective import Term
from sparsam.engine.objective.penalties import CovarianceDecay, WeightDecay
from sparsam.estimators._data.apply_network import apply_in_chunks
from sparsam.estimators._data.dataset import Dataset

__all__ = [
    "CovarianceOutputs",
    "cholesky_factor",
    "relative_factors",
    "weight_decays",
    "with_covariance_outputs",
    "with_zero_outputs",
]

Array = NDArray[np.float64]

LEAST_EIGENVALUE = 1e-8  # of the correlations of C_0


@partial(quick_jit, static_argnums=0)
def relative_factors(network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    """Compute T^-1 D, (n_rows, n_targets, n_targets), for rows of inputs, with a network whose outputs are d and o."""
    outputs = network.forward(parameters, X.T).outputs
    K = _n_targets(len(outputs))
    return cholesky_factors(jnp.eye(K, dtype=outputs.dtype), outputs[:K], outputs[K:])


def _n_targets(n_outputs: int) -> int:
    """Return K for K (K + 1)/2 outputs d and o."""
    return round((np.sqrt(8 * n_outputs + 1) - 1) / 2)


def with_covariance_outputs(network: Network) -> Network:
    """Append outputs d and o to a network of means."""
    *sizes, n_targets = network.layer_sizes
    return Network((*sizes, n_targets + n_covariance_outputs(n_targets)), network.hidden_activation, "identity")


def with_zero_outputs(parameters: Parameters) -> Parameters:
    """Append weights and biases of 0 to the last layer of a network of means: C(x) is then C_0."""
    *coefs, last = parameters.coefs
    *intercepts, bias = parameters.intercepts
    more = ((0, 0), (0, n_covariance_outputs(len(bias))))
    wider: tuple[Any, Any] = np.pad(np.asarray(last), more), np.pad(np.asarray(bias), more[1])
    return Parameters((*coefs, wider[0]), (*intercepts, wider[1]))


def weight_decays(network: Network, n_targets: int, alpha: float, covariance_alpha: float) -> tuple[Term, ...]:
    """Make weight decay for hidden layers and means, and the decay of the outputs d and o."""
    *hidden, n_outputs = network.layer_sizes[1:]
    of_outputs: Any = alpha * (np.arange(n_outputs) < n_targets)
    return WeightDecay((*(alpha for _ in hidden), of_outputs)), CovarianceDecay(covariance_alpha, n_targets)


def cholesky_factor(C: Array) -> Array:
    """Compute the Cholesky factor of a covariance, whose correlations may be nearly singular."""
    scale = np.sqrt(np.diag(C))
    values, vectors = np.linalg.eigh(C / np.outer(scale, scale))
    regular = (vectors * np.maximum(values, LEAST_EIGENVALUE)) @ vectors.T
    return np.linalg.cholesky(regular * np.outer(scale, scale)).astype(np.float64, copy=False)


@dataclass(frozen=True)
class CovarianceOutputs:
    """The outputs d and o of a fitted network.

    Attributes
    ----------
    network : Network
        Its outputs are d and o alone.
    parameters : Parameters
        For inputs in the units of X.
    factor : array of shape (n_outputs, n_targets)
        F; outputs that are linear combinations of the fitted targets have a row, too.
    chunk_size : int or None
    """

    network: Network
    parameters: Parameters
    factor: Array
    chunk_size: int | None

    @classmethod
    def of(
        cls,
        hidden: Parameters,
        activation: str | tuple[str, ...],
        coef: Array,
        intercept: Array,
        factor: Array,
        chunk_size: int | None,
    ) -> CovarianceOutputs:
        """Append the outputs with these weights and biases to hidden layers."""
        parameters = Parameters((*hidden.coefs, coef), (*hidden.intercepts, intercept))  # type: ignore[arg-type]
        sizes = (parameters.coefs[0].shape[0], *(len(bias) for bias in parameters.intercepts))
        return cls(Network(sizes, activation, "identity"), parameters, factor, chunk_size)

    def factors(self, inputs: NDArray[np.floating]) -> Array:
        """Compute F T^-1 D, (n_rows, n_outputs, n_targets)."""
        relative = apply_in_chunks(
            relative_factors, self.network, self.parameters, inputs, dtype=np.float64, chunk_size=self.chunk_size
        )
        return np.asarray(self.factor @ relative)

    def covariances(self, inputs: NDArray[np.floating]) -> Array:
        """Compute C(x), (n_rows, n_outputs, n_outputs)."""
        L = self.factors(inputs)
        return np.asarray(L @ np.swapaxes(L, 1, 2))

    def mean_covariance(self, dataset: Dataset) -> Array:
        """Average C(x) over a dataset."""
        return np.asarray(dataset.mean(self._of_batch), np.float64)

    def shifted(self, log_scale: Array) -> CovarianceOutputs:
        """Add numbers to the biases of d."""
        *biases, last = self.parameters.intercepts
        shift = np.append(log_scale, np.zeros(len(last) - len(log_scale)))
        parameters = self.parameters._replace(intercepts=(*biases, last + shift))
        return CovarianceOutputs(self.network, parameters, self.factor, self.chunk_size)

    def _of_batch(self, batch: Batch) -> Array:
        return self.covariances(batch.inputs)
