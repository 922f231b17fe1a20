"""Error functions E_n: the data term of J, a negative log-likelihood of the targets given the network's outputs.

Each is a term of `sparsam.objective`: a sum over the samples, and what J makes of the sum's mean.

Conventions: samples in rows; ``n_samples`` is that of the chunk at hand; E_n sums over the outputs and carries the
factor 1/2 of PRML and CS294A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from sparsam.network import ForwardPass, Network, Parameters, weighted_sum

__all__ = ["SquaredError"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SquaredError:
    """Squared error: E_n = 1/2 |y_n - t_n|^2 (CS294A, section 2; PRML eq. 5.11).

    The negative log-likelihood, up to a constant, of targets with independent Gaussian noise of unit variance. The
    output units may be logistic (CS294A) or the identity (a "linear decoder").
    """

    name: ClassVar[str] = "squared_error"
    linear: ClassVar[bool] = True

    def per_sample(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        """E_n of each sample, (n_samples,)."""
        return 0.5 * jnp.sum(jnp.square(outputs - targets), axis=1)

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """sum_n s_n E_n over a chunk."""
        return weighted_sum(sample_weight, self.per_sample(forward.outputs, targets))

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """1/S sum_n s_n E_n."""
        return mean
