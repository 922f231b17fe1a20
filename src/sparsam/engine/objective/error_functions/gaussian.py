"""Gaussian noise with a covariance between the outputs (PRML exercise 5.3), known or unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp

from sparsam.engine.network.network import ForwardPass, Network, Parameters, outer_products
from sparsam.engine.objective.error_functions.covariance import (
    LN_2_PI,
    ResidualMoments,
    most_likely_covariance,
    negative_log_likelihood,
    observed_inverses,
    profile,
    require_linear_outputs,
)

__all__ = ["GaussianError", "ProfileGaussianError"]

Sums = tuple[jax.Array, jax.Array]
"""For each pattern, sum_n s_n, (n_patterns,), and sum_n s_n r_n r_n', (n_patterns, n_outputs, n_outputs); or means."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GaussianError:
    """Negative mean log density of targets with Gaussian noise of known covariance C (PRML exercise 5.3).

    ::

        E_n = 1/2 (r_n' C^-1 r_n + ln|C| + K ln 2 pi),        r_n = y_n - t_n

    Outputs must be linear, so dE_n/da = C^-1 r_n. If targets of a sample are missing, only its observed outputs count,
    with their block of C.

    Parameters
    ----------
    covariance : array of shape (n_outputs, n_outputs)
        C, positive definite.
    patterns : array of shape (n_patterns, n_outputs) or None
        All patterns of the samples: 1 for observed outputs, 0 for missing ones. A missing target is NaN. None if no
        target is missing.

    Examples
    --------
    >>> network = Network((1, 2), output_activation="identity")
    >>> error, parameters = GaussianError(jnp.eye(2)), network.unravel(jnp.zeros(4))
    >>> forward, s = network.forward(parameters, jnp.ones((1, 1))), jnp.ones(1)
    >>> sums = error.sums(network, forward, jnp.asarray([[3.0], [4.0]]), s)  # y = 0
    >>> round(error.value(sums, parameters).item(), 4)  # (9 + 16)/2 + ln 2 pi
    14.3379
    """

    covariance: jax.Array
    patterns: jax.Array | None = None

    name: ClassVar[str] = "gaussian_error"
    linear: ClassVar[bool] = True

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> Sums:
        """Compute sum_n s_n and sum_n s_n r_n r_n' of each pattern, over a chunk."""
        return residual_sums(network, forward, targets, sample_weight, self.patterns)

    def value(self, mean: Sums, parameters: Parameters) -> jax.Array:
        """Compute 1/S sum_n s_n E_n."""
        moments = _moments(mean, self.patterns)
        return negative_log_likelihood(jnp.asarray(self.covariance), moments) + constant(moments)

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> Sums:
        """Compute the same sums as `sums`."""
        return self.sums(network, forward, targets, sample_weight)

    def output_curvature(self, mean: Sums) -> jax.Array:
        """Compute C^-1; if targets are missing, the mean of the inverses of the patterns' blocks."""
        return mean_inverse(jnp.asarray(self.covariance), _moments(mean, self.patterns))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ProfileGaussianError:
    """Gaussian error with an unknown C at its maximum-likelihood value (PRML exercise 5.3): the profile likelihood.

    With R = sum_n s_n r_n r_n' the maximum is at C = R/S, and the negative mean log density there is ::

        1/2 ln|C| + K/2 (1 + ln 2 pi)

    Its slope with respect to a_n is C^-1 r_n, that of `GaussianError` at this C, since at the maximum the likelihood
    does not change with C to first order. It is a function of a mean over ALL samples, not a mean of functions. For
    missing targets and a prior on C see `objective.error_functions.covariance`.

    Parameters
    ----------
    structure : {"full", "diag", "spherical"}
        Structure of C.
    patterns : array of shape (n_patterns, n_outputs) or None
        As for `GaussianError`.
    prior_count : float
        (nu + K + 1)/S of an inverse-Wishart prior with nu degrees of freedom, 0 for none.
    prior_product : array of shape (n_outputs, n_outputs) or None
        Psi/S, Psi the prior's scale matrix; None for no prior.

    Notes
    -----
    Without a prior, J is unbounded below if a network can fit the targets of an output, or of a combination of outputs,
    exactly. It stops falling when the residuals are rounding errors.

    Examples
    --------
    >>> network = Network((1, 1), output_activation="identity")
    >>> error, parameters = ProfileGaussianError(), network.unravel(jnp.zeros(2))
    >>> forward = network.forward(parameters, jnp.ones((1, 2)))
    >>> sums = error.sums(network, forward, jnp.asarray([[1.0, -1.0]]), jnp.ones(2))  # y = 0, so C = 1
    >>> round(error.value(jax.tree.map(lambda total: total / 2, sums), parameters).item(), 4)  # (1 + ln 2 pi)/2
    1.4189
    """

    structure: str = field(default="full", metadata={"static": True})
    patterns: jax.Array | None = None
    prior_count: float | jax.Array = 0.0
    prior_product: jax.Array | None = None

    name: ClassVar[str] = "gaussian_error"
    linear: ClassVar[bool] = False

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> Sums:
        """Compute sum_n s_n and sum_n s_n r_n r_n' of each pattern, over a chunk."""
        return residual_sums(network, forward, targets, sample_weight, self.patterns)

    def value(self, mean: Sums, parameters: Parameters) -> jax.Array:
        """Compute minus the log of the profile likelihood, and of the unnormalized prior, divided by S."""
        complete, moments = self.patterns is None, _moments(mean, self.patterns)
        return profile(self.structure, complete, self._with_prior(moments)) + constant(moments)

    def covariance(self, mean: Sums) -> jax.Array:
        """Compute C, (n_outputs, n_outputs)."""
        moments = self._with_prior(_moments(mean, self.patterns))
        return most_likely_covariance(self.structure, self.patterns is None, moments)

    def at(self, mean: Sums) -> GaussianError:
        """Return the error with C fixed at its most likely value."""
        return GaussianError(self.covariance(mean), self.patterns)

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> Sums:
        """Compute the same sums as `sums`."""
        return self.sums(network, forward, targets, sample_weight)

    def output_curvature(self, mean: Sums) -> jax.Array:
        """Compute C^-1 at the most likely C; if targets are missing, the mean of the patterns' inverses."""
        return mean_inverse(self.covariance(mean), _moments(mean, self.patterns))

    def _with_prior(self, moments: ResidualMoments) -> ResidualMoments:
        if self.prior_product is not None:
            moments = moments.and_prior(jnp.asarray(self.prior_count), jnp.asarray(self.prior_product))
        return moments.above_rounding()


def residual_sums(
    network: Network,
    forward: ForwardPass,
    targets: jax.Array,
    sample_weight: jax.Array,
    patterns: jax.Array | None,
) -> Sums:
    """Compute sum_n s_n and sum_n s_n r_n r_n' of each pattern of observed outputs, over a chunk.

    Raises
    ------
    ValueError
        If the outputs are not linear.
    """
    require_linear_outputs(network)
    if patterns is None:
        r = forward.outputs - targets
        return jnp.sum(sample_weight, keepdims=True), outer_products(sample_weight * r, r)[None]
    observed = ~jnp.isnan(targets)
    r = jnp.where(observed, forward.outputs - jnp.where(observed, targets, 0), 0)
    has_pattern = jnp.all(observed == (patterns[:, :, None] > 0), axis=1)  # (n_patterns, n_samples)
    weights = sample_weight * has_pattern
    return jnp.sum(weights, axis=1), jax.vmap(lambda s: outer_products(s * r, r))(weights)


def mean_inverse(C: jax.Array, moments: ResidualMoments) -> jax.Array:
    """Compute sum_p c_p B_p / sum_p c_p."""
    B, _ = observed_inverses(C, moments.patterns)
    return jnp.sum(moments.counts[:, None, None] * B, axis=0) / jnp.sum(moments.counts)


def constant(moments: ResidualMoments) -> jax.Array:
    """Compute 1/2 ln 2 pi per observed target, as a mean over samples."""
    return 0.5 * LN_2_PI * jnp.sum(moments.counts @ moments.patterns)


def _moments(mean: Sums, patterns: jax.Array | None) -> ResidualMoments:
    _, products = mean
    return ResidualMoments(jnp.ones(products.shape[:2], products.dtype) if patterns is None else patterns, *mean)
