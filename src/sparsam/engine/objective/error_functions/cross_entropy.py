"""The cross-entropy for correct labels, and for labels that are sometimes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from sparsam.engine.network.activations import complementary_logistics, log_complementary_logistics, log_softmax
from sparsam.engine.network.network import (
    FULL_PRECISION,
    ForwardPass,
    Network,
    Parameters,
    outer_products,
    weighted_sum,
)

__all__ = ["CrossEntropy", "NoisyCrossEntropy"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy, the negative log-likelihood of targets that are probabilities, or the labels 0 and 1.

    Softmax outputs, K exclusive classes (PRML eq. 4.108 and 5.24; a sample's targets sum to 1, one-hot for labels)::

        E_n = -sum_k t_nk ln y_nk

    Logistic outputs, K independent Bernoulli variables (PRML eq. 5.21 and 5.23; targets in [0, 1])::

        E_n = -sum_k [t_nk ln y_nk + (1 - t_nk) ln(1 - y_nk)]

    In both cases dE_n/da = y_n - t_n. Both are computed from the pre-activations a of the output layer, and are finite
    and precise even if y rounds to 0 or 1; so is y - t.

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
        """Compute E_n of each sample, (n_samples,).

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
            "use softmax outputs for exclusive classes, or logistic outputs for independent ones"
        )

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """Compute sum_n s_n E_n over a chunk."""
        return weighted_sum(self.per_sample(network, forward, targets), sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """Return 1/S sum_n s_n E_n."""
        return mean

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """Compute sum_n s_n g_n over a chunk: g = diag(y) - y y' for softmax outputs, diag(y (1 - y)) for logistic."""
        if network.output_activation != "softmax":
            p, q = complementary_logistics(forward.pre_activations[-1])
            return weighted_sum(p * q, sample_weight)
        y = forward.outputs
        return jnp.diag(weighted_sum(y, sample_weight)) - outer_products(sample_weight * y, y)

    def output_curvature(self, mean: jax.Array) -> jax.Array:
        """Return 1/S sum_n s_n g_n."""
        return mean


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class NoisyCrossEntropy:
    """Cross-entropy for labels that are wrong with known probabilities (PRML exercise 5.4).

    The outputs y_i are the probabilities of the TRUE label. Independently of the inputs, T_ij = P(given j | true i). So
    the given label j has the probability ::

        p_j = sum_i T_ij y_i        E_n = -ln p_t,  t the given label

    For softmax outputs T is (K, K). For logistic outputs, each of them a label 0 or 1 with noise of its own, T is
    (2, 2), T_01 = P(1 | 0) and T_10 = P(0 | 1), and E_n sums over the outputs; PRML's symmetric case has ::

        p = (1 - epsilon) y + epsilon (1 - y)

    If T is the identity, E_n equals `CrossEntropy` to the last digit. It is computed from the pre-activations, and is
    finite and precise even if y rounds to 0 or 1.

    Parameters
    ----------
    transition : array of shape (n_classes, n_classes)
        T; its rows sum to 1. Every label must be possible: no column is zero.

    Notes
    -----
    Targets are labels: one-hot columns for softmax outputs (zeros for a sample without a label), 0 and 1 for logistic
    outputs.

    Examples
    --------
    >>> network = Network((1, 1))
    >>> forward = network.forward(network.unravel(jnp.zeros(2)), jnp.ones((1, 1)))
    >>> error = NoisyCrossEntropy(jnp.asarray([[0.75, 0.25], [0.75, 0.25]]))  # whatever the truth, a quarter of ones
    >>> round(error.per_sample(network, forward, jnp.ones((1, 1))).item(), 4)  # ln 4
    1.3863
    """

    transition: jax.Array

    name: ClassVar[str] = "noisy_cross_entropy"
    linear: ClassVar[bool] = True

    def per_sample(self, network: Network, forward: ForwardPass, targets: jax.Array) -> jax.Array:
        """Compute E_n of each sample, (n_samples,).

        Raises
        ------
        ValueError
            If the outputs are neither softmax nor logistic units.
        """
        a, T = forward.pre_activations[-1], jnp.asarray(self.transition)
        if network.output_activation == "softmax":
            # ln p_t = ln sum_i exp(ln y_i + ln T_it), where T t picks T_it; a column without any label has p = 1.
            likelihood = jnp.matmul(T, targets, precision=FULL_PRECISION) + (1.0 - jnp.sum(targets, axis=0))
            return -jax.nn.logsumexp(log_softmax(a) + jnp.log(likelihood), axis=0)
        if network.output_activation == "logistic":
            ln_y, ln_complement = log_complementary_logistics(a)
            of_one = jnp.log(T[1, 1] * targets + T[1, 0] * (1.0 - targets))  # ln P(t | true 1)
            of_zero = jnp.log(T[0, 1] * targets + T[0, 0] * (1.0 - targets))  # ln P(t | true 0)
            return -jnp.sum(jnp.logaddexp(ln_y + of_one, ln_complement + of_zero), axis=0)
        raise ValueError(
            f"the cross-entropy of noisy labels needs softmax or logistic outputs, not {network.output_activation!r}"
        )

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """Compute sum_n s_n E_n over a chunk."""
        return weighted_sum(self.per_sample(network, forward, targets), sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """Return 1/S sum_n s_n E_n."""
        return mean

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """Compute sum_n s_n g_n over a chunk, g the Fisher information on a, which is nonnegative, unlike the Hessian.

        ::

            g = sum_j 1/p_j (dp_j/da) (dp_j/da)'

        Logistic outputs, two labels: dp/da = (1 - T_01 - T_10) y (1 - y), so g = (dp/da)^2 / (p (1 - p)).
        Softmax outputs: dp_j/da_k = y_k (T_kj - p_j), so with v_kj = y_k T_kj / sqrt(p_j) it is g = v v' - y y'.
        """
        T, s = jnp.asarray(self.transition), sample_weight
        if network.output_activation != "softmax":
            y, complement = complementary_logistics(forward.pre_activations[-1])
            p, q = (T[1, j] * y + T[0, j] * complement for j in (1, 0))
            slope = (1 - T[0, 1] - T[1, 0]) * y * complement
            return weighted_sum(_quotient(slope, p) * _quotient(slope, q) / (p + q), s)
        y = forward.outputs

        def add_label(j: jax.Array, total: jax.Array) -> jax.Array:
            p = jnp.matmul(T[:, j], y, precision=FULL_PRECISION)
            v = _quotient(y * T[:, j, None], jnp.sqrt(p))
            return total + outer_products(s * v, v)

        return jax.lax.fori_loop(0, len(T), add_label, -outer_products(s * y, y))

    def output_curvature(self, mean: jax.Array) -> jax.Array:
        """Return 1/S sum_n s_n g_n."""
        return mean


def _quotient(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Divide, with 0 where the denominator is 0, since the numerator vanishes faster."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 0)
