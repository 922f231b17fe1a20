"""Product of the inverse BFGS matrix H of the last steps with a vector.

H is the initial matrix H0, updated by the pairs (s, y) = (change of the weights, change of the gradient) so that
H y = s. The two-loop recursion multiplies by it without forming it (Nocedal & Wright, *Numerical Optimization*, 2nd
ed., algorithm 7.4). H0 is a multiple of the identity, or of the inverse of a curvature model that the caller supplies,
such that y'H0 y = s'y for the newest pair.

The recursion's successive inner products with the pairs are two triangular systems. Its first loop, from the newest
pair to the oldest, is ::

    alpha_i = s_i'(q - sum_(j newer than i) alpha_j y_j) / s_i'y_i        or        R alpha = S'q

with the pairs in the columns of S and Y, oldest first, and R the upper triangle of S'Y, diagonal included. Its second
loop, from the oldest pair to the newest, with r = H0 (q - Y alpha), c = alpha - beta and
beta_i = y_i'(r + sum_(j older than i) c_j s_j) / s_i'y_i, is ::

    R' c = D alpha - Y'r,        H q = r + S c,        D = diag(S'Y)

So a step takes four products with S or Y, and a fifth to update R.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax.linalg import triangular_solve

from sparsam.engine.minimizer.line_search import host_array

__all__ = ["Inverse", "Pairs", "inverse_hessian_product", "remember"]

FULL_PRECISION = jax.lax.Precision.HIGHEST


class Inverse(Protocol):
    """The positive definite inverse of a curvature model: a pytree of arrays."""

    def product(self, vector: jax.Array) -> jax.Array:
        """Multiply the inverse by a vector (n_parameters,)."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Pairs:
    """The last pairs (s, y), in a ring buffer."""

    s: jax.Array  # (n_pairs, n_parameters)
    y: jax.Array
    products: jax.Array  # s_i'y_j, (n_pairs, n_pairs)
    stored: jax.Array  # number of pairs stored since the last restart

    @classmethod
    def none(cls, theta: jax.Array, n_pairs: int) -> Pairs:
        """Make an empty buffer for n_pairs."""
        s, y = (host_array(0, theta.dtype, (n_pairs, theta.size)) for _ in "sy")
        return cls(s, y, host_array(0, theta.dtype, (n_pairs, n_pairs)), host_array(0, np.int32))

    def forget(self, wanted: jax.Array) -> Pairs:
        """Forget all pairs where wanted."""
        return replace(self, stored=jnp.where(wanted, 0, self.stored))


def remember(
    pairs: Pairs, s: jax.Array, y: jax.Array, squares: tuple[jax.Array, jax.Array, jax.Array], wanted: jax.Array
) -> Pairs:
    """Store (s, y) in place of the oldest pair, where wanted and if its curvature s'y is positive beyond rounding.

    ``squares`` are s's, s'y and y'y.
    """
    ss, sy, yy = squares
    store = wanted & (sy > jnp.finfo(s.dtype).eps * jnp.sqrt(ss) * jnp.sqrt(yy))
    slot = jax.lax.rem(pairs.stored, np.int32(len(pairs.s)))
    # Write in any case, the old row if not wanted, so that the buffer is updated in place rather than copied.
    S = pairs.s.at[slot].set(jnp.where(store, s, pairs.s[slot]))
    Y = pairs.y.at[slot].set(jnp.where(store, y, pairs.y[slot]))
    products = pairs.products.at[slot].set(_matmul(Y, S[slot])).at[:, slot].set(_matmul(S, Y[slot]))
    return Pairs(S, Y, products, pairs.stored + store)


def inverse_hessian_product(pairs: Pairs, inverse: Inverse | None, vector: jax.Array) -> jax.Array:
    """Compute H v."""
    n_pairs = len(pairs.s)
    slots, identity = np.arange(n_pairs, dtype=np.int32), np.eye(n_pairs, dtype=vector.dtype)
    order = jax.lax.rem(pairs.stored + slots, np.full_like(slots, n_pairs))  # empty slots, then the pairs, oldest first
    full = order < pairs.stored
    # Rows of the identity in that order, zero for empty slots. Products with it call a library routine, whereas each
    # indexing operation would have to be compiled.
    P = (full[:, None] & (order[:, None] == slots)).astype(vector.dtype)
    ordered = _matmul(_matmul(P, pairs.products), P.T)
    D = jnp.sum(ordered * identity, axis=0) + (1 - full)
    R = jnp.where(slots[:, None] < slots, ordered, D * identity)
    inverse_R = triangular_solve(R, identity, left_side=True)

    alpha = _matmul(inverse_R, _matmul(P, _matmul(pairs.s, vector)))
    q = vector - _matmul(_matmul(alpha, P), pairs.y)
    # H0 q and H0 y of the newest pair, which sets the scale of H0.
    newest = jax.lax.rem(pairs.stored + np.int32(n_pairs - 1), np.int32(n_pairs))
    both = jnp.stack([q, pairs.y[newest]])
    both = both if inverse is None else jax.vmap(inverse.product)(both)
    products = _matmul(pairs.y, both.T)
    scale = pairs.products[newest, newest] / products[newest, 1]
    scale = jnp.where((pairs.stored > 0) & (scale > 0), scale, 1)
    r = scale * both[0]
    c = _matmul(D * alpha - _matmul(P, scale * products[:, 0]), inverse_R)
    return r + _matmul(_matmul(c, P), pairs.s)


def _matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=FULL_PRECISION)
