"""Gaussian noise whose covariance depends on the input.

Besides the K means y, the network has K log deviations d and K (K - 1)/2 regression coefficients o, in the order
o_21, o_31, o_32, o_41, ... (linear outputs, all). With a constant covariance C_0 = L_0 L_0', the whitened residuals
u = L_0^-1 (t - y) of sample n are modeled one after the other ::

    u_k = sum_(j<k) o_kj u_j + exp(d_k) v_k,        v ~ N(0, I)                                                     (1)

This is the modified Cholesky decomposition (Pourahmadi, "Joint mean-covariance models with applications to longitudinal
data", Biometrika 86, 1999), here relative to C_0. With the unit lower triangular T = I - O and D = diag(exp d) it is
T u = D v, so that the Cholesky factor of the covariance, C(x) = L L', is ::

    L(x) = L_0 T^-1 D                                                                                               (2)

It is L_0 where d and o are 0. Minus the log density of complete targets needs no inverse, and is convex in y and o ::

    E_n = 1/2 |v|^2 + sum_k d_k + ln|L_0| + K/2 ln 2 pi,        v_k = exp(-d_k) (u_k - sum_(j<k) o_kj u_j)          (3)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax.linalg import cholesky, triangular_solve
from jax.typing import DTypeLike

from sparsam.engine.network.network import FULL_PRECISION, ForwardPass, Network, Parameters, weighted_sum
from sparsam.engine.objective.error_functions.covariance import LN_2_PI, require_linear_outputs

__all__ = ["HeteroscedasticGaussianError", "StandardizedSums", "cholesky_factors", "n_covariance_outputs"]


def n_covariance_outputs(n_targets: int) -> int:
    """Return the number of outputs d and o for this number of targets."""
    return n_targets * (n_targets + 1) // 2


class StandardizedSums(NamedTuple):
    """Sums over samples of what (3) needs, or their means.

    Attributes
    ----------
    counts : array of shape (n_targets,)
        sum_n s_n of the samples with each target observed.
    squares : array of shape (n_targets,)
        sum_n s_n v_n^2, v the standardized residuals, 0 for missing targets.
    ln_determinants : array of shape ()
        sum_n s_n ln|L_n|, of the observed targets' block.
    """

    counts: jax.Array
    squares: jax.Array
    ln_determinants: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class HeteroscedasticGaussianError:
    """Negative mean log density of targets with Gaussian noise of covariance C(x), by (3).

    Outputs must be linear. If targets of a sample are missing, its observed targets have the density of their block of
    C(x).

    Parameters
    ----------
    factor : array of shape (n_targets, n_targets)
        L_0, lower triangular with a positive diagonal.
    missing : bool
        Whether targets may be missing, NaN. Then each sample's block of C(x) is decomposed, which takes longer.

    Examples
    --------
    >>> network = Network((1, 2), output_activation="identity")
    >>> error, parameters = HeteroscedasticGaussianError(jnp.eye(1)), network.unravel(jnp.asarray([0, 0, 0, 1.0]))
    >>> forward, s = network.forward(parameters, jnp.ones((1, 1))), jnp.ones(1)
    >>> sums = error.sums(network, forward, jnp.asarray([[2.0]]), s)  # the mean is 0, the deviation e
    >>> round(error.value(sums, parameters).item(), 4)  # 1/2 (2/e)^2 + 1 + 1/2 ln 2 pi
    2.1896
    """

    factor: jax.Array
    missing: bool = field(default=False, metadata={"static": True})

    name: ClassVar[str] = "gaussian_error"
    linear: ClassVar[bool] = True

    def sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> StandardizedSums:
        """Compute the sums of `StandardizedSums` over a chunk."""
        v, ln_determinants = self._standardized(network, forward, targets)
        return StandardizedSums(
            weighted_sum((~jnp.isnan(targets)).astype(v.dtype), sample_weight),
            weighted_sum(jnp.square(v), sample_weight),
            weighted_sum(ln_determinants, sample_weight),
        )

    def value(self, mean: StandardizedSums, parameters: Parameters) -> jax.Array:
        """Compute 1/S sum_n s_n E_n."""
        return 0.5 * jnp.sum(mean.squares) + mean.ln_determinants + 0.5 * LN_2_PI * jnp.sum(mean.counts)

    def _standardized(self, network: Network, forward: ForwardPass, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Compute v, (n_targets, n_samples), 0 for missing targets, and ln|L| of the observed block, (n_samples,)."""
        means, d, o = self._split(network, forward)
        if self.missing:
            return _of_observed(cholesky_factors(self.factor, d, o), means, targets)
        _, v = self._residuals(means, d, o, targets)
        return v, jnp.sum(d, axis=0) + jnp.sum(jnp.log(jnp.diag(self.factor)))

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """Compute sum_n s_n g_n, (n_outputs, n_outputs).

        g_n is the expectation of the Hessian of (3) with respect to d, and with respect to y and o the Hessian itself:
        C(x)^-1 for the means, 2 I for d, and exp(-2 d_k) u_j u_l for o_kj and o_kl. Between the three the expectation
        is 0. If targets are missing, the block of the observed means is inverted; d and o have the curvature of
        complete targets, with u = 0 for missing ones.
        """
        means, d, o = self._split(network, forward)
        s, K = sample_weight, len(means)
        seen = ~jnp.isnan(targets)
        u, _ = self._residuals(means, d, o, jnp.where(seen, targets, means))
        inverses = _observed_inverses(cholesky_factors(self.factor, d, o), seen)
        rows, columns = _below_diagonal(K)
        # Coefficients of the same k belong together; the others do not interact.
        z = u[columns] * jnp.exp(-d[rows])
        of_coefficients = jnp.matmul(s * z, z.T, precision=FULL_PRECISION) * (rows[:, None] == rows)
        blocks = (
            jnp.einsum("n,nij->ij", s, inverses, precision=FULL_PRECISION),
            jnp.diag(2 * weighted_sum(seen.astype(s.dtype), s)),
            of_coefficients,
        )
        return jax.scipy.linalg.block_diag(*blocks)

    def output_curvature(self, mean: jax.Array) -> jax.Array:
        """Return the mean of g_n."""
        return mean

    def _split(self, network: Network, forward: ForwardPass) -> tuple[jax.Array, ...]:
        """Split the outputs into means, d and o.

        Raises
        ------
        ValueError
            If the outputs are not linear.
        """
        require_linear_outputs(network)
        K = len(self.factor)
        outputs = forward.outputs
        return outputs[:K], outputs[K : 2 * K], outputs[2 * K :]

    def _residuals(
        self, means: jax.Array, d: jax.Array, o: jax.Array, targets: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Compute u and v of complete targets, (n_targets, n_samples)."""
        # Products with small matrices: XLA's triangular solver and its scatter take 20 times longer here.
        K = len(means)
        inverse = triangular_solve(self.factor, jnp.eye(K, dtype=means.dtype), left_side=True, lower=True)
        u = jnp.matmul(inverse, targets - means, precision=FULL_PRECISION)
        rows, columns = _below_diagonal(K)
        sums_by_row = (rows == np.arange(K)[:, None]).astype(u.dtype)
        explained = jnp.matmul(sums_by_row, o * u[columns], precision=FULL_PRECISION)
        return u, (u - explained) * jnp.exp(-d)


def cholesky_factors(factor: jax.Array, d: jax.Array, o: jax.Array) -> jax.Array:
    """Compute L(x) by (2), (n_samples, n_targets, n_targets), from d and o, with samples in columns."""
    K, n_samples = d.shape
    rows, columns = _below_diagonal(K)
    T = jnp.broadcast_to(jnp.eye(K, dtype=d.dtype), (n_samples, K, K)).at[:, rows, columns].add(-o.T)
    # L_0 T^-1, by L T = L_0
    L = triangular_solve(T, jnp.broadcast_to(factor, T.shape), lower=True, unit_diagonal=True)
    return L * jnp.exp(d.T)[:, None, :]


def _of_observed(L: jax.Array, means: jax.Array, targets: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Standardize the observed targets by their block of L L', and compute the logarithm of its root's determinant."""
    seen = ~jnp.isnan(targets)
    r = jnp.where(seen, jnp.where(seen, targets, 0) - means, 0)
    root = cholesky(_observed_blocks(L, seen), symmetrize_input=False)
    v = triangular_solve(root, r.T[:, :, None], left_side=True, lower=True)[:, :, 0].T
    return v, jnp.sum(jnp.log(jnp.diagonal(root, axis1=1, axis2=2)), axis=1)


def _observed_inverses(L: jax.Array, seen: jax.Array) -> jax.Array:
    """Compute the inverse of each sample's observed block, 0 elsewhere, (n_samples, n_targets, n_targets)."""
    return jnp.linalg.inv(_observed_blocks(L, seen)) * _pairs(seen, L.dtype)


def _observed_blocks(L: jax.Array, seen: jax.Array) -> jax.Array:
    """Compute L L' of the observed targets.

    Ones on the diagonal for missing targets do not change the determinant and the inverse of the others.
    """
    pairs = _pairs(seen, L.dtype)
    C = jnp.matmul(L, jnp.swapaxes(L, 1, 2), precision=FULL_PRECISION)
    return C * pairs + jnp.eye(L.shape[1], dtype=L.dtype) * (1 - pairs)


def _pairs(seen: jax.Array, dtype: DTypeLike) -> jax.Array:
    """Return 1 where both targets are observed, (n_samples, n_targets, n_targets)."""
    return (seen.T[:, :, None] & seen.T[:, None, :]).astype(dtype)


def _below_diagonal(n_targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row and column of each coefficient o, row by row."""
    return np.tril_indices(n_targets, -1)
