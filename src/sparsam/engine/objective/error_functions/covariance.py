"""Likelihood of a noise covariance C given the moments of the residuals, and its maximum.

Targets may be missing. Samples with the same outputs observed share a pattern p; their density involves only the block
C_p of these outputs. The likelihood needs only their moments ::

    c_p = 1/S sum_n s_n,        M_p = 1/S sum_n s_n r_n r_n'        over the samples of the pattern

where r_n is 0 for missing targets. Minus the mean log density is, up to a constant ::

    F(C) = 1/2 sum_p [c_p ln|C_p| + tr(C_p^-1 M_p)]                                                             (1)

An inverse-Wishart prior on C adds one more, complete pattern: minus its log density is, up to a constant,
(nu + K + 1)/2 ln|C| + 1/2 tr(Psi C^-1), so c = (nu + K + 1)/S and M = Psi/S.

With B_p the inverse of C_p, zero in the rows and columns of missing outputs, the slope of (1) with respect to M_p at
fixed C is B_p/2. This is also the slope of min_C F, since at its minimum F does not change with C to first order.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax.linalg import cholesky, triangular_solve

from sparsam.engine.network.network import FULL_PRECISION, Network

__all__ = [
    "LN_2_PI",
    "STRUCTURES",
    "ResidualMoments",
    "most_likely_covariance",
    "negative_log_likelihood",
    "observed_inverses",
    "require_linear_outputs",
]

LN_2_PI = 1.8378770664093453

STRUCTURES = ("full", "diag", "spherical")
"""Any covariance; independent outputs; independent outputs with a common variance."""

MAX_EM_STEPS = 2000  # steps of expectation maximization


def require_linear_outputs(network: Network) -> None:
    """Raise ValueError unless the outputs are linear: Gaussian noise has no bounds."""
    if network.output_activation != "identity":
        raise ValueError(
            f"Gaussian noise needs unbounded outputs, which {network.output_activation!r} outputs are not: use "
            "identity outputs"
        )


class ResidualMoments(NamedTuple):
    """Moments of the residuals for each of P patterns of K outputs.

    Attributes
    ----------
    patterns : array of shape (P, K)
        1 for observed outputs, 0 for missing ones.
    counts : array of shape (P,)
        c_p, the share of samples of each pattern.
    products : array of shape (P, K, K)
        M_p.
    """

    patterns: jax.Array
    counts: jax.Array
    products: jax.Array

    def and_prior(self, count: jax.Array, product: jax.Array) -> ResidualMoments:
        """Append a complete pattern, for the prior."""
        return ResidualMoments(
            jnp.concatenate([self.patterns, jnp.ones_like(self.patterns[:1])]),
            jnp.concatenate([self.counts, jnp.reshape(count, 1)]),
            jnp.concatenate([self.products, product[None]]),
        )

    def above_rounding(self) -> ResidualMoments:
        """Regularize the moments, so that they are not singular even if outputs are dependent, or fitted exactly.

        The diagonal grows by a few units in the last place, and by the rounding error of targets of size 1.
        """
        eps = jnp.finfo(self.products.dtype).eps
        diagonal = jnp.diagonal(self.products, axis1=1, axis2=2)
        more = 4 * diagonal.shape[1] * eps * diagonal + eps**2 * self.counts[:, None] * self.patterns
        return self._replace(products=self.products + jax.vmap(jnp.diag)(more))


def invertible(C: jax.Array) -> jax.Array:
    """Return C, or if it is almost singular because of few samples, a close matrix that can be inverted accurately.

    The eigenvalues of the correlations are kept above the square root of the type's precision: for smaller ones, the
    rounding error of the inverse would be larger than the eigenvalue.
    """
    least = jnp.sqrt(jnp.finfo(C.dtype).eps)
    scale = jnp.sqrt(jnp.diagonal(C))
    values, vectors = jnp.linalg.eigh(C / jnp.outer(scale, scale))
    kept = jnp.matmul(vectors * jnp.maximum(values, least), vectors.T, precision=FULL_PRECISION)
    return jnp.where(values[0] < least, kept * jnp.outer(scale, scale), C)


def observed_inverses(C: jax.Array, patterns: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute B_p, (P, K, K), and ln|C_p|, (P,)."""
    pairs = patterns[:, :, None] * patterns[:, None, :]
    eye = jnp.eye(len(C), dtype=C.dtype)
    # Ones on the diagonal for missing outputs do not change the determinant and the inverse of the others.
    L = cholesky(pairs * C + (1 - pairs) * eye, symmetrize_input=False)
    inverse = triangular_solve(L, jnp.broadcast_to(eye, L.shape), left_side=True, lower=True)
    B = jnp.matmul(jnp.swapaxes(inverse, 1, 2), inverse, precision=FULL_PRECISION) * pairs
    return B, 2 * jnp.sum(jnp.log(jnp.diagonal(L, axis1=1, axis2=2)), axis=1)


def negative_log_likelihood(C: jax.Array, moments: ResidualMoments) -> jax.Array:
    """Compute F(C) of (1)."""
    return _linear_in(moments.counts, moments.products, *observed_inverses(C, moments.patterns))


def _linear_in(counts: jax.Array, products: jax.Array, B: jax.Array, ln_determinants: jax.Array) -> jax.Array:
    """Compute F at a fixed C. F is linear in the moments, so applied to their tangents this is its derivative."""
    return 0.5 * (jnp.sum(counts * ln_determinants) + jnp.sum(B * products))


def most_likely_covariance(structure: str, complete: bool, moments: ResidualMoments) -> jax.Array:
    """Find the maximum-likelihood covariance C, (K, K).

    For independent outputs, each variance is the mean square of its residuals. Without missing targets, a full C is the
    mean of r r'. With missing targets, expectation maximization finds it (Dempster, Laird & Rubin, "Maximum likelihood
    from incomplete data via the EM algorithm", JRSS B 39, 1977): each step replaces C by the mean of the expected
    complete r r' given the observed residuals and C, which for the mean of a pattern is
    C - C B_p C + C B_p M_p B_p C.
    """
    patterns, counts, products = moments
    diagonals = jnp.diagonal(products, axis1=1, axis2=2)
    variances = jnp.sum(diagonals, axis=0) / (counts @ patterns)
    if structure == "spherical":
        variances = jnp.full_like(variances, jnp.sum(diagonals) / jnp.sum(counts @ patterns))
    if structure != "full":
        return jnp.diag(variances)
    total = jnp.sum(counts)
    if complete:
        return jnp.sum(products, axis=0) / total
    smallest_change = 8 * jnp.finfo(products.dtype).eps

    def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, change, n_steps = carry
        return (change > smallest_change) & (n_steps < MAX_EM_STEPS)

    def step(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        C, _, n_steps = carry
        B, _ = observed_inverses(C, patterns)
        multiply = partial(jnp.matmul, precision=FULL_PRECISION)
        update = jnp.sum(multiply(multiply(B, products), B) - counts[:, None, None] * B, axis=0) / total
        difference = multiply(multiply(C, update), C)
        scale = jnp.sqrt(jnp.diagonal(C))
        new = invertible(C + 0.5 * (difference + difference.T))
        return new, jnp.max(jnp.abs(new - C) / jnp.outer(scale, scale)), n_steps + 1

    start = (jnp.diag(variances), jnp.asarray(jnp.inf, variances.dtype), jnp.asarray(0))
    return jax.lax.while_loop(unfinished, step, start)[0]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def profile(structure: str, complete: bool, moments: ResidualMoments) -> jax.Array:
    """Compute min_C F(C)."""
    return negative_log_likelihood(most_likely_covariance(structure, complete, moments), moments)


@profile.defjvp
def _profile_jvp(
    structure: str, complete: bool, primals: tuple[ResidualMoments], tangents: tuple[ResidualMoments]
) -> tuple[jax.Array, jax.Array]:
    (moments,), (dot,) = primals, tangents
    C = most_likely_covariance(structure, complete, moments)
    fixed = observed_inverses(C, moments.patterns)
    return _linear_in(moments.counts, moments.products, *fixed), _linear_in(dot.counts, dot.products, *fixed)
