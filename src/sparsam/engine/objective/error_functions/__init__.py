"""Error functions: the data term of J, a negative log-likelihood of the targets given the network's outputs.

Each is a term of `objective.objective`: a sum over the samples, and what J makes of the sum's mean. Most are a mean of
E_n; that of an unknown covariance is not.

Conventions: samples in columns; ``n_samples`` is that of the chunk at hand; E_n sums over the outputs. The squared
error carries the factor 1/2 of PRML and CS294A.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import jax

from sparsam.engine.network.network import ForwardPass, Network, Parameters
from sparsam.engine.objective.error_functions.cross_entropy import CrossEntropy, NoisyCrossEntropy
from sparsam.engine.objective.error_functions.gaussian import GaussianError, ProfileGaussianError
from sparsam.engine.objective.error_functions.squared_error import SquaredError

__all__ = [
    "CrossEntropy",
    "ErrorFunction",
    "GaussianError",
    "NoisyCrossEntropy",
    "ProfileGaussianError",
    "SquaredError",
]


@runtime_checkable
class ErrorFunction(Protocol):
    """A `sparsam.engine.Term` that knows the curvature of J by the network's outputs."""

    name: ClassVar[str]
    linear: ClassVar[bool]

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> Any:
        """sum_n s_n m(x_n, w) over a chunk, of targets (n_outputs, n_samples): any pytree of arrays.

        It takes the whole forward pass because not every error can be computed from the outputs: where those are
        probabilities close to 0 or 1, only the pre-activations still tell them apart.
        """

    def value(self, mean: Any, parameters: Parameters) -> jax.Array:
        """Make the data term of J of the mean of m."""

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> Any:
        """Sum over a chunk what `output_curvature` needs the mean of."""

    def output_curvature(self, mean: Any) -> jax.Array:
        """1/S sum_n s_n g_n, g_n the Gauss-Newton matrix of S J by the outputs' pre-activations a_n.

        An array (n_outputs, n_outputs), or its diagonal (n_outputs,) where it is diagonal.
        """
