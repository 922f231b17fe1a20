"""Error functions E_n: the data term of J, a negative log-likelihood of the targets given the network's outputs.

Each is a term of `sparsam.objective`: a sum over the samples, and what J makes of the sum's mean.

Conventions: samples in columns; ``n_samples`` is that of the chunk at hand; E_n sums over the outputs. The squared
error carries the factor 1/2 of PRML and CS294A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from sparsam.activations import complementary_logistics, get_activation, log_complementary_logistics, log_softmax
from sparsam.network import FULL_PRECISION, ForwardPass, Network, Parameters, weighted_sum

__all__ = ["CrossEntropy", "ErrorFunction", "SquaredError"]


@runtime_checkable
class ErrorFunction(Protocol):
    """A `sparsam.objective.Term` that is a mean of E_n over the samples: J's data term is 1/S sum_n s_n E_n."""

    name: ClassVar[str]
    linear: ClassVar[bool]

    def per_sample(self, network: Network, forward: ForwardPass, targets: jax.Array) -> jax.Array:
        """E_n of each sample, (n_samples,), of targets (n_outputs, n_samples).

        It takes the whole forward pass because not every error can be computed from the outputs: where those are
        probabilities close to 0 or 1, only the pre-activations still tell them apart.
        """

    def output_curvature(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """sum_n s_n g_n over a chunk, g_n the Gauss-Newton matrix of E_n by the outputs' pre-activations a_n.

        An array (n_outputs, n_outputs), or its diagonal (n_outputs,) where it is diagonal.
        """


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SquaredError:
    """Squared error: E_n = 1/2 |y_n - t_n|^2 (CS294A, section 2; PRML eq. 5.11).

    The negative log-likelihood, up to a constant, of targets with independent Gaussian noise of unit variance. The
    output units may be logistic (CS294A) or the identity (a "linear decoder"); softmax outputs make it the Brier score
    (with a factor 1/2).

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
        """E_n of each sample, (n_samples,)."""
        return 0.5 * jnp.sum(jnp.square(forward.outputs - targets), axis=0)

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """sum_n s_n E_n over a chunk."""
        return weighted_sum(self.per_sample(network, forward, targets), sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """1/S sum_n s_n E_n."""
        return mean

    def output_curvature(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """sum_n s_n g_n over a chunk: g = J'J with J = dy/da, h'(a)^2 on the diagonal for elementwise outputs."""
        if network.output_activation != "softmax":
            slope = get_activation(network.output_activation).slope(forward.pre_activations[-1])
            return weighted_sum(jnp.square(slope), sample_weight)
        # J = diag(y) - y y', so J'J = diag(y^2) - y^2 y' - y (y^2)' + |y|^2 y y'.
        y, s = forward.outputs, sample_weight
        y2 = jnp.square(y)
        mixed = _outer_products(s * y2, y)
        return (
            jnp.diag(weighted_sum(y2, sample_weight))
            - (mixed + mixed.T)
            + _outer_products(s * jnp.sum(y2, axis=0) * y, y)
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy: the negative log-likelihood of targets that are probabilities, or the labels 0 and 1.

    Softmax outputs, K exclusive classes (PRML eq. 4.108 and 5.24; a sample's targets sum to 1, one-hot for labels)::

        E_n = -sum_k t_nk ln y_nk

    Logistic outputs, K independent Bernoulli variables (PRML eq. 5.21 and 5.23; targets in [0, 1])::

        E_n = -sum_k [t_nk ln y_nk + (1 - t_nk) ln(1 - y_nk)]

    Either way dE_n/da = y_n - t_n. Both are computed from the pre-activations a of the output layer, and are finite and
    precise where y is 0 or 1 to the last bit; so is y - t.

    Examples
    --------
    >>> network = Network((1, 3), output_activation="softmax")
    >>> forward = network.forward(network.unravel(jnp.zeros(6)), jnp.ones((1, 1)))
    >>> E = CrossEntropy().per_sample(network, forward, jnp.asarray([[0.0], [1.0], [0.0]]))  # y = 1/3
    >>> round(E.item(), 4)  # ln 3
    1.0986
    """

    name: ClassVar[str] = "cross_entropy"
    linear: ClassVar[bool] = True

    def per_sample(self, network: Network, forward: ForwardPass, targets: jax.Array) -> jax.Array:
        """E_n of each sample, (n_samples,).

        Raises
        ------
        ValueError
            If the outputs are neither softmax nor logistic units.
        """
        a = forward.pre_activations[-1]
        if network.output_activation == "softmax":
            return -jnp.sum(targets * log_softmax(a), axis=0)
        if network.output_activation == "logistic":
            ln_y, ln_complement = log_complementary_logistics(a)
            return -jnp.sum(targets * ln_y + (1.0 - targets) * ln_complement, axis=0)
        raise ValueError(
            f"cross-entropy needs outputs that are probabilities, which {network.output_activation!r} outputs are not: "
            "use softmax outputs for classes that exclude each other, or logistic outputs for independent ones"
        )

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """sum_n s_n E_n over a chunk."""
        return weighted_sum(self.per_sample(network, forward, targets), sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """1/S sum_n s_n E_n."""
        return mean

    def output_curvature(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """sum_n s_n g_n over a chunk: g = diag(y) - y y' for softmax outputs, diag(y (1 - y)) for logistic ones."""
        if network.output_activation != "softmax":
            p, q = complementary_logistics(forward.pre_activations[-1])
            return weighted_sum(p * q, sample_weight)
        y = forward.outputs
        return jnp.diag(weighted_sum(y, sample_weight)) - _outer_products(sample_weight * y, y)


def _outer_products(u: jax.Array, v: jax.Array) -> jax.Array:
    """sum_n u_n v_n'."""
    return jnp.matmul(u, v.T, precision=FULL_PRECISION)
