"""The squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import ForwardPass, Network, Parameters, outer_products, weighted_sum

__all__ = ["SquaredError"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SquaredError:
    """Squared error: E_n = 1/2 |y_n - t_n|^2 (CS294A, section 2; PRML eq. 5.11).

    It is the negative log-likelihood, up to a constant, of targets with independent Gaussian noise of unit variance.
    The output units may be logistic (CS294A) or the identity (a "linear decoder"); with softmax outputs it is the Brier
    score (with a factor 1/2).

    Examples
    --------
    >>> network = Network((2, 2), output_activation="identity")
    >>> forward = network.forward(network.unravel(jnp.zeros(6)), jnp.ones((2, 1)))
    >>> SquaredError().per_sample(network, forward, jnp.asarray([[3.0], [4.0]])).tolist()  # y = 0
    [12.5]
    """

    name: ClassVar[str] = "squared_error"
    linear: ClassVar[bool] = True

    def per_sample(self, network: Network, forward: ForwardPass, targets: jax.Array) -> jax.Array:
        """Compute E_n of each sample, (n_samples,)."""
        return 0.5 * jnp.sum(jnp.square(forward.outputs - targets), axis=0)

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """Compute sum_n s_n E_n over a chunk."""
        return weighted_sum(self.per_sample(network, forward, targets), sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """Return 1/S sum_n s_n E_n."""
        return mean

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """Compute sum_n s_n g_n over a chunk: g = J'J, J = dy/da; for elementwise outputs, its diagonal h'(a)^2."""
        if network.output_activation != "softmax":
            slope = get_activation(network.output_activation).slope(forward.pre_activations[-1])
            return weighted_sum(jnp.square(slope), sample_weight)
        # J = diag(y) - y y', so J'J = diag(y^2) - y^2 y' - y (y^2)' + |y|^2 y y'.
        y, s = forward.outputs, sample_weight
        y2 = jnp.square(y)
        mixed = outer_products(s * y2, y)
        return (
            jnp.diag(weighted_sum(y2, sample_weight))
            - (mixed + mixed.T)
            + outer_products(s * jnp.sum(y2, axis=0) * y, y)
        )

    def output_curvature(self, mean: jax.Array) -> jax.Array:
        """Return 1/S sum_n s_n g_n."""
        return mean
