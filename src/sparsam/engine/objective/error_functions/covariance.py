"""A noise covariance C given the moments of the residuals: its likelihood, and where that is greatest.

Targets may be missing. Samples with the same outputs observed share a pattern p; of C they see the block C_p of these
outputs. All that the likelihood needs of them is ::

    c_p = 1/S sum_n s_n,        M_p = 1/S sum_n s_n r_n r_n'        over the samples of the pattern

with r_n 0 where the target is missing. Minus the mean log density is, but for its constant ::

    F(C) = 1/2 sum_p [c_p ln|C_p| + tr(C_p^-1 M_p)]                                                             (1)

An inverse-Wishart prior on C adds one more, complete pattern: minus its log density is, but for a constant,
(nu + K + 1)/2 ln|C| + 1/2 tr(Psi C^-1), so c = (nu + K + 1)/S and M = Psi/S.

With B_p the inverse of C_p, zero in the rows and columns of missing outputs, the slope of (1) by M_p at fixed C is
B_p/2. That is also the slope of min_C F, since F does not change to first order as C follows its minimum.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.lax.linalg import cholesky, triangular_solve

from sparsam.engine.network.network import FULL_PRECISION

__all__ = ["STRUCTURES", "ResidualMoments", "most_likely_covariance", "negative_log_likelihood", "observed_inverses"]

STRUCTURES = ("full", "diag", "spherical")
"""Any covariance; independent outputs; independent outputs with one variance."""

MOST_STEPS = 2000  # of expectation maximization


class ResidualMoments(NamedTuple):
    """Moments of the residuals of each pattern of observed outputs, K outputs, P patterns.

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
        """Join a complete pattern."""
        return ResidualMoments(
            jnp.concatenate([self.patterns, jnp.ones_like(self.patterns[:1])]),
            jnp.concatenate([self.counts, jnp.reshape(count, 1)]),
            jnp.concatenate([self.products, product[None]]),
        )

    def above_rounding(self) -> ResidualMoments:
        """Regularized moments: not even rounding makes those of outputs singular that are met exactly, or dependent.

        The diagonal grows by a few units in the last place, and by what rounding leaves of targets of size 1.
        """
        eps = jnp.finfo(self.products.dtype).eps
        diagonal = jnp.diagonal(self.products, axis1=1, axis2=2)
        more = 4 * diagonal.shape[1] * eps * diagonal + eps**2 * self.counts[:, None] * self.patterns
        return self._replace(products=self.products + jax.vmap(jnp.diag)(more))


def invertible(C: jax.Array) -> jax.Array:
    """C, or where few samples have driven it to a singular one, the nearest that can be inverted and multiplied back.

    The correlations' eigenvalues are kept above the root of the type's precision: at a smaller one, the rounding of an
    inverse is larger than the eigenvalue.
    """
    least = jnp.sqrt(jnp.finfo(C.dtype).eps)
    scale = jnp.sqrt(jnp.diagonal(C))
    values, vectors = jnp.linalg.eigh(C / jnp.outer(scale, scale))
    kept = jnp.matmul(vectors * jnp.maximum(values, least), vectors.T, precision=FULL_PRECISION)
    return jnp.where(values[0] < least, kept * jnp.outer(scale, scale), C)


def observed_inverses(C: jax.Array, patterns: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return B_p, (P, K, K), and ln|C_p|, (P,)."""
    pairs = patterns[:, :, None] * patterns[:, None, :]
    eye = jnp.eye(len(C), dtype=C.dtype)
    # Ones on the diagonal for missing outputs leave the determinant and the inverse of the others as they are.
    L = cholesky(pairs * C + (1 - pairs) * eye, symmetrize_input=False)
    inverse = triangular_solve(L, jnp.broadcast_to(eye, L.shape), left_side=True, lower=True)
    B = jnp.matmul(jnp.swapaxes(inverse, 1, 2), inverse, precision=FULL_PRECISION) * pairs
    return B, 2 * jnp.sum(jnp.log(jnp.diagonal(L, axis1=1, axis2=2)), axis=1)


def negative_log_likelihood(C: jax.Array, moments: ResidualMoments) -> jax.Array:
    """F(C) of (1)."""
    return _linear_in(moments.counts, moments.products, *observed_inverses(C, moments.patterns))


def _linear_in(counts: jax.Array, products: jax.Array, B: jax.Array, ln_determinants: jax.Array) -> jax.Array:
    """F at a fixed C, which is linear in the moments: its derivative along others is itself of those."""
    return 0.5 * (jnp.sum(counts * ln_determinants) + jnp.sum(B * products))


def most_likely_covariance(structure: str, complete: bool, moments: ResidualMoments) -> jax.Array:
    """C of the greatest likelihood, (K, K).

    Of independent outputs each variance is its residuals' mean square. A full C is the mean of r r' if nothing is
    missing. If something is, expectation maximization finds it (Dempster, Laird & Rubin, "Maximum likelihood from
    incomplete data via the EM algorithm", JRSS B 39, 1977): each step takes C to the mean of what the complete r r'
    is expected to be, given the observed ones and C itself, which is C - C B_p C + C B_p M_p B_p C in the mean of a
    pattern.
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
        return (change > smallest_change) & (n_steps < MOST_STEPS)

    def step(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        C, _, n_steps = carry
        B, _ = observed_inverses(C, patterns)
        multiply = partial(jnp.matmul, precision=FULL_PRECISION)
        news = jnp.sum(multiply(multiply(B, products), B) - counts[:, None, None] * B, axis=0) / total
        difference = multiply(multiply(C, news), C)
        scale = jnp.sqrt(jnp.diagonal(C))
        new = invertible(C + 0.5 * (difference + difference.T))
        return new, jnp.max(jnp.abs(new - C) / jnp.outer(scale, scale)), n_steps + 1

    start = (jnp.diag(variances), jnp.asarray(jnp.inf, variances.dtype), jnp.asarray(0))
    return jax.lax.while_loop(unfinished, step, start)[0]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def profile(structure: str, complete: bool, moments: ResidualMoments) -> jax.Array:
    """min_C F(C)."""
    return negative_log_likelihood(most_likely_covariance(structure, complete, moments), moments)


@profile.defjvp
def _profile_jvp(
    structure: str, complete: bool, primals: tuple[ResidualMoments], tangents: tuple[ResidualMoments]
) -> tuple[jax.Array, jax.Array]:
    (moments,), (dot,) = primals, tangents
    C = most_likely_covariance(structure, complete, moments)
    fixed = observed_inverses(C, moments.patterns)
    return _linear_in(moments.counts, moments.products, *fixed), _linear_in(dot.counts, dot.products, *fixed)
