"""Penalties, the weighted terms that J adds to the data term.

Each is a term of `objective.objective`: sums over the samples, and a function of their means and of the weights. The
hyperparameters are array leaves, so that changing their values does not need another compilation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sparsam.engine.network.activations import Pair
from sparsam.engine.network.network import ForwardPass, Network, Parameters, weighted_sum

__all__ = ["CovarianceDecay", "KLSparsity", "L1Sparsity", "TangentPropagation", "WeightDecay"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WeightDecay:
    """Weight decay: 1/2 sum_l alpha_l |W_l|^2, biases not decayed (CS294A, section 2; PRML eq. 5.112 and 5.113).

    Parameters
    ----------
    alpha : float or tuple of float
        For all layers, or for each; not negative. Since the data term is a mean over samples, this is a Gaussian prior
        of precision S alpha on the weights. For a layer it may also be an array (n_out,), an entry for each unit.
    """

    alpha: float | jax.Array | tuple[float | jax.Array, ...]

    name: ClassVar[str] = "weight_decay"
    linear: ClassVar[bool] = True

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> tuple[()]:
        """Return (): the penalty depends on the weights only."""
        return ()

    def value(self, mean: tuple[()], parameters: Parameters) -> jax.Array:
        """Compute 1/2 sum_l alpha_l |W_l|^2."""
        squares = [jnp.square(coef) for coef in parameters.coefs]
        if not isinstance(self.alpha, tuple):
            return 0.5 * self.alpha * reduce(jnp.add, map(jnp.sum, squares))
        of_layers = [
            alpha * jnp.sum(square) if jnp.ndim(alpha) == 0 else jnp.sum(alpha * square)
            for alpha, square in zip(self.alpha, squares, strict=True)
        ]
        return 0.5 * reduce(jnp.add, of_layers)

    def weight_curvature(self, network: Network) -> tuple[jax.Array, ...]:
        """Return alpha of each layer, since the Hessian is alpha I."""
        alphas = self.alpha if isinstance(self.alpha, tuple) else (self.alpha,) * len(network.shapes)
        return tuple(map(jnp.asarray, alphas))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CovarianceDecay:
    """Decay of the last layer's weights AND biases for outputs other than means: covariance_alpha/2 (|W|^2 + |b|^2).

    The outputs beyond the first ``n_targets`` are the deviations of a noise covariance from a constant one (see
    `objective.error_functions.heteroscedastic`). Where the means interpolate the targets, the likelihood grows without
    bound as the covariance shrinks; the decay of the biases bounds it.

    Parameters
    ----------
    covariance_alpha : float
        Not negative.
    n_targets : int
    """

    covariance_alpha: float | jax.Array
    n_targets: int = field(metadata={"static": True})

    name: ClassVar[str] = "covariance_decay"
    linear: ClassVar[bool] = True

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> tuple[()]:
        """Return (): the penalty depends on the weights only."""
        return ()

    def value(self, mean: tuple[()], parameters: Parameters) -> jax.Array:
        """Compute covariance_alpha/2 (|W|^2 + |b|^2)."""
        W, b = parameters.coefs[-1][:, self.n_targets :], parameters.intercepts[-1][self.n_targets :]
        return 0.5 * self.covariance_alpha * (jnp.sum(jnp.square(W)) + jnp.sum(jnp.square(b)))

    def weight_curvature(self, network: Network) -> tuple[jax.Array, ...]:
        """Return covariance_alpha for these outputs, 0 for all other units."""
        *hidden, n_outputs = network.layer_sizes[1:]
        decays = np.arange(n_outputs) >= self.n_targets
        alpha = jnp.asarray(self.covariance_alpha)
        return (*(jnp.zeros((), alpha.dtype) for _ in hidden), jnp.where(decays, alpha, jnp.zeros_like(alpha)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KLSparsity:
    """KL sparsity: beta sum_j KL(rho || rho_hat_j), rho_hat_j the mean activation of hidden unit j over ALL samples.

    ::

        KL(rho || rho_hat) = rho ln(rho / rho_hat) + (1 - rho) ln((1 - rho) / (1 - rho_hat))

    (CS294A, section 3). It is a function of a mean over the data, not a mean of functions: averaging a KL per chunk
    would be a different objective. With several hidden layers the sum is over all hidden units, or over those of some
    layers, each with a rho and beta of its own. For tanh units rho_hat is the mean of (z + 1)/2.

    Parameters
    ----------
    rho : float or tuple of float
        Target mean activation, in (0, 1); for all layers, or for each of ``layers``.
    beta : float or tuple of float
        Weight of the penalty, not negative. 0 switches it off entirely, even if a unit is saturated and the divergence
        infinite.
    layers : tuple of int or None, default None
        The hidden layers with this penalty; None for all.
    """

    rho: float | jax.Array | tuple[float | jax.Array, ...]
    beta: float | jax.Array | tuple[float | jax.Array, ...]
    layers: tuple[int, ...] | None = field(default=None, metadata={"static": True})

    name: ClassVar[str] = "sparsity"
    linear: ClassVar[bool] = False

    def sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> tuple[Pair, ...]:
        """Compute sum_n s_n z_nj and sum_n s_n (1 - z_nj) over a chunk: two arrays (n_units,) for each layer.

        The second keeps precision: for a unit that is saturated on all samples, 1 - rho_hat rounds to 0, and the
        divergence and its slope would be infinite although they are only large.
        """
        pairs = []
        for layer in self._layers(network):
            activation = network.activations[layer]
            if activation.probabilities is None:
                raise ValueError(
                    f"KL sparsity compares mean activations with rho in (0, 1), but {activation.name!r} units "
                    "have no bounded range, or may be 0 on all samples: use logistic or tanh hidden units, or beta=0"
                )
            pairs.append(activation.probabilities(forward.pre_activations[layer]))
        return tuple((weighted_sum(p, sample_weight), weighted_sum(q, sample_weight)) for p, q in pairs)

    def value(self, mean: tuple[Pair, ...], parameters: Parameters) -> jax.Array:
        """Compute beta sum_j KL(rho || rho_hat_j)."""
        by_layer = []
        for (p, q), rho, beta in zip(mean, *self._hyperparameters(len(mean)), strict=True):
            # If beta = 0, a constant replaces the means, so that the slope is not 0 times infinity.
            p, q = (jnp.where(beta > 0, end, 0.5) for end in (p, q))
            by_layer.append(beta * jnp.sum(bernoulli_divergence(rho, p, q)))
        return reduce(jnp.add, by_layer)

    def unit_curvature(self, network: Network, mean: tuple[Pair, ...]) -> tuple[jax.Array | None, ...]:
        """Compute the second derivative with respect to each unit's mean activation, (n_units,) for each hidden layer.

        beta (rho/p^2 + (1-rho)/q^2) for logistic units, p = z; a quarter of it for tanh units, p = (z + 1)/2. None for
        a layer without this penalty.
        """
        largest = jnp.finfo(mean[0][0].dtype).max ** 0.5  # p^2 may be 0 in a saturated unit
        curvatures: list[jax.Array | None] = [None] * (len(network.layer_sizes) - 2)
        for layer, (p, q), rho, beta in zip(
            self._layers(network), mean, *self._hyperparameters(len(mean)), strict=True
        ):
            curvature = beta * jnp.minimum(rho / p**2 + (1 - rho) / q**2, largest)
            curvatures[layer] = jnp.where(beta > 0, curvature / network.activations[layer].width ** 2, 0.0)
        return tuple(curvatures)

    def _layers(self, network: Network) -> tuple[int, ...]:
        return tuple(range(len(network.layer_sizes) - 2)) if self.layers is None else self.layers

    def _hyperparameters(self, n_layers: int) -> tuple[list[jax.Array], ...]:
        """Return rho and beta, one for each layer."""
        return tuple(
            [jnp.asarray(number) for number in (given if isinstance(given, tuple) else (given,) * n_layers)]
            for given in (self.rho, self.beta)
        )


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class L1Sparsity:
    """L1 sparsity of a code: beta sum_j |w_j| 1/S sum_n s_n z_nj, w_j the row of the next layer's weights of unit j.

    z_nj |w_j| is the length of what unit j adds to the reconstruction of sample n, so the penalty is the mean, over the
    samples, of the sum of these lengths. Without the factor |w_j| it could be made arbitrarily small by dividing all z
    by a constant and multiplying the decoder's weights by it, without any other change of J but weight decay's.

    Parameters
    ----------
    beta : float
        Not negative. In the unit of the inputs.

    References
    ----------
    T. Conerly, A. Templeton, T. Bricken, J. Marcus & T. Henighan, "Update on how we train SAEs", Transformer Circuits
    Thread, April 2024: the same penalty.
    """

    beta: float | jax.Array

    name: ClassVar[str] = "l1_sparsity"
    linear: ClassVar[bool] = True

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """Compute sum_n s_n z_nj over a chunk, (n_units,)."""
        activation, *others = network.activations[:-1]
        if activation.name != "relu" or others:
            raise ValueError("L1 sparsity is a penalty on one layer of ReLU units, whose activations are not negative")
        return weighted_sum(forward.hidden[0], sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """Compute beta sum_j |w_j| mean_j."""
        return jnp.sum(self.unit_slopes(parameters)[0] * mean)

    def unit_slopes(self, parameters: Parameters) -> tuple[jax.Array]:
        """Compute the slope by each unit's mean activation, beta |w_j|."""
        squares = jnp.sum(jnp.square(parameters.coefs[1]), axis=1)
        # At w_j = 0, where |w_j| has no gradient, it is taken to be 0.
        lengths = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
        return (self.beta * lengths,)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TangentPropagation:
    """Tangent propagation: tangent_weight 1/S sum_n s_n Omega_n (PRML eq. 5.127 and 5.128, exercise 5.26).

    ::

        Omega_n = 1/2 sum_tau |Jac_n tau|^2,        Jac_n = dy/dx at sample n

    over the tangents tau of sample n: directions at its inputs along which the outputs should not change. Jac tau is
    propagated forward together with the activations (`network.TangentPass`); the gradient is reverse-mode
    differentiation of that forward pass.

    Parameters
    ----------
    tangent_weight : float
        Not negative.
    of : {"outputs", "pre_activations"}, default "outputs"
        The quantity that should not change: the outputs y, or the pre-activations a of the output layer, which for
        logistic and softmax outputs are log-odds (for softmax up to a constant). Saturated outputs y = h(a) hardly
        change, so a network can reduce a penalty on y by being overconfident; with a penalty on a it cannot.

    References
    ----------
    P. Simard, B. Victorri, Y. LeCun & J. Denker, "Tangent prop: a formalism for specifying selected invariances in an
    adaptive network", NIPS 1991; C. M. Bishop, *Pattern Recognition and Machine Learning*, section 5.5.4.

    Examples
    --------
    >>> network = Network((2, 1), output_activation="identity")
    >>> parameters = network.unravel(jnp.asarray([3.0, 4.0, 0.0]))
    >>> forward = network.forward(parameters, jnp.ones((2, 1)), tangents=jnp.asarray([[[1.0]], [[-1.0]]]))
    >>> ones = jnp.ones(1)
    >>> TangentPropagation(1.0).sums(network, forward, ones, ones).item()  # y_dot = 3 - 4
    0.5
    """

    tangent_weight: float | jax.Array
    of: str = field(default="outputs", metadata={"static": True})

    name: ClassVar[str] = "tangent_propagation"
    linear: ClassVar[bool] = True

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """Compute sum_n s_n Omega_n over a chunk."""
        if forward.tangents is None:
            raise ValueError("tangent propagation needs samples with tangents")
        change = forward.tangents.outputs if self.of == "outputs" else forward.tangents.pre_activations[-1]
        omega = 0.5 * jnp.sum(jnp.square(change), axis=(0, 1))
        return weighted_sum(omega, sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """Compute tangent_weight 1/S sum_n s_n Omega_n."""
        return self.tangent_weight * mean

    def tangent_curvature(self) -> jax.Array:
        """Return tangent_weight: the Hessian with respect to the change along tangents is tangent_weight I."""
        return jnp.asarray(self.tangent_weight)


@jax.custom_jvp
def bernoulli_divergence(rho: jax.Array, p: jax.Array, q: jax.Array) -> jax.Array:
    """Compute KL(rho || p) = rho ln(rho / p) + (1 - rho) ln((1 - rho) / q), q = 1 - p, precisely for all p.

    Near the minimum the two logarithms nearly cancel, and the rounding of their arguments, which are about 1, would
    hide J's decrease in float32. With the excess d = p - rho they are ::

        ln(rho / p) = ln(1 - d/p),        ln((1 - rho) / q) = ln(1 + d/q)

    which `jnp.log1p` computes without loss. d is computed from the smaller of p and q, which has the smaller rounding
    error.
    """
    excess = jnp.where(p < q, p - rho, (1 - rho) - q)
    return rho * jnp.log1p(-excess / p) + (1 - rho) * jnp.log1p(excess / q)


@bernoulli_divergence.defjvp
def _bernoulli_divergence_jvp(
    primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]
) -> tuple[jax.Array, jax.Array]:
    # With p and q independent, d/dp = -rho/p and d/dq = -(1-rho)/q; with dq = -dp that is the slope in the notes,
    # -rho/p + (1-rho)/q. rho is a constant.
    rho, p, q = primals
    _, p_dot, q_dot = tangents
    return bernoulli_divergence(rho, p, q), -rho / p * p_dot - (1 - rho) / q * q_dot
