"""Error functions: the data term of J, a negative log-likelihood of the targets given the network's outputs.

Each is a term of `objective.objective`: sums over the samples, and a function of their means. Most are the mean of E_n;
the error with an unknown covariance is not.

Conventions: samples are in columns; ``n_samples`` is the number of samples in the chunk; E_n sums over the outputs. The
squared error has the factor 1/2 of PRML and CS294A.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, runtime_checkable

import jax

from sparsam.engine.network.network import ForwardPass, Network, Parameters
from sparsam.engine.objective.error_functions.cross_entropy import CrossEntropy, NoisyCrossEntropy
from sparsam.engine.objective.error_functions.gaussian import GaussianError, ProfileGaussianError
from sparsam.engine.objective.error_functions.heteroscedastic import HeteroscedasticGaussianError
from sparsam.engine.objective.error_functions.squared_error import SquaredError

__all__ = [
    "CrossEntropy",
    "ErrorFunction",
    "GaussianError",
    "HeteroscedasticGaussianError",
    "NoisyCrossEntropy",
    "ProfileGaussianError",
    "SquaredError",
]


@runtime_checkable
class ErrorFunction(Protocol):
    """A `sparsam.engine.Term` that also computes the curvature of J with respect to the network's outputs."""

    name: ClassVar[str]
    linear: ClassVar[bool]

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> Any:
        """Compute sum_n s_n m(x_n, w) over a chunk, for targets (n_outputs, n_samples): any pytree of arrays.

        It takes the whole forward pass because some errors need the pre-activations: outputs that are probabilities
        close to 0 or 1 are rounded too much.
        """

    def value(self, mean: Any, parameters: Parameters) -> jax.Array:
        """Compute the data term of J from the mean of m."""

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> Any:
        """Compute sums over a chunk, whose means `output_curvature` takes."""

    def output_curvature(self, mean: Any) -> jax.Array:
        """Compute 1/S sum_n s_n g_n, g_n the Gauss-Newton matrix of S J with respect to the pre-activations a_n.

        The result is (n_outputs, n_outputs), or (n_outputs,) for a diagonal matrix.
        """
