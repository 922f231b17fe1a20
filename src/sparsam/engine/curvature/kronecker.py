"""A model of J's curvature by Kronecker products, layer by layer, and its damped inverse.

For the weights of layer l as a matrix R (n_in + 1, n_out), biases in the last row ::

    R  ->  A R G  +  A_dot R D  +  v o (f'' o t(R))  +  alpha R,        t_j(R) = v_j' R_j                           (2)

where o multiplies unit by unit; `curvature.factors` defines and computes the factors. `minimizer.lbfgs` needs the
inverse at any damping, which is added to alpha. alpha may differ between the weights of a layer: if inputs are scaled,
between the rows of the first layer's R; for a covariance that depends on the input, between the columns of the last
layer's. It is then a diagonal matrix, which in the basis of the factors' eigenvectors is approximated by its diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax.linalg import cholesky, triangular_solve

from sparsam.engine.network.network import FULL_PRECISION, Network, Parameters

__all__ = ["DampedInverse", "KroneckerFactors", "Layer", "Spectrum"]

_matmul = partial(jnp.matmul, precision=FULL_PRECISION)


class Spectrum(NamedTuple):
    """A symmetric, nonnegative matrix as its eigenvalues (n,) and orthonormal eigenvectors in columns, (n, n).

    For a diagonal matrix the eigenvectors are None.
    """

    values: jax.Array
    vectors: jax.Array | None

    @classmethod
    def of(cls, matrix: jax.Array) -> Spectrum:
        """Decompose a matrix, or a diagonal matrix given as a vector; eigenvalues rounded below zero become zero."""
        if matrix.ndim == 1:
            return cls(matrix, None)
        values, vectors = jnp.linalg.eigh(matrix)
        return cls(jnp.maximum(values, 0), vectors)

    def to(self, rows: jax.Array) -> jax.Array:
        """Transform rows to the basis of the eigenvectors."""
        return rows if self.vectors is None else _matmul(rows, self.vectors)

    def back(self, rows: jax.Array) -> jax.Array:
        """Transform rows back from the basis of the eigenvectors."""
        return rows if self.vectors is None else _matmul(rows, self.vectors.T)


class Layer(NamedTuple):
    """The curvature (2) of a layer without alpha: A = U diag(p) U', G = V diag(q) V', and B = U' v sqrt(f'').

    Along tangents, U' A_dot U and V' D V are approximated by their diagonals c and d.
    """

    inputs: Spectrum
    outputs: Spectrum
    means: jax.Array | None  # B, (n_in + 1, n_out); None without a penalty on the means
    along: tuple[jax.Array, jax.Array] | None = None  # c and d; None without tangents, or with B

    def trace(self) -> jax.Array:
        """Compute the trace of (2) without alpha."""
        products = jnp.sum(self._values())
        return products if self.means is None else products + jnp.sum(jnp.square(self.means))

    def _values(self) -> jax.Array:
        """Compute p q' + c d', (n_in + 1, n_out)."""
        values = jnp.outer(self.inputs.values, self.outputs.values)
        return values if self.along is None else values + jnp.outer(*self.along)

    def inverse_root(self, damping: jax.Array) -> jax.Array | None:
        """Compute L^-1 for C = L L' in (4), (n_out, n_out); its diagonal (n_out,) if C is diagonal.

        The damping includes alpha: a number, (1, 1), or (n_in + 1, 1).
        """
        if self.means is None:
            return None
        damping = jnp.atleast_2d(damping)[:, 0]
        B, p, q, V = self.means, self.inputs.values, self.outputs.values, self.outputs.vectors
        if V is None:  # K does not couple the units
            return (1 + jnp.sum(jnp.square(B) / (jnp.outer(p, q) + damping[:, None]), axis=0)) ** -0.5
        # C_ij = I_ij + sum_ab B_ai B_aj V_ib V_jb / (p_a q_b + damping) would take n_in n_out^3 operations. So
        # 1 / (p q + damping), as a function of q, is interpolated linearly between a few nodes. Since it is convex,
        # this overestimates it, and C too, so that (4) stays positive definite.
        largest = jnp.where(jnp.max(q) > 0, jnp.max(q), 1)  # q is 0 if all units are saturated
        nodes = NODES.astype(q.dtype) * largest
        widths = np.diff(NODES).astype(q.dtype) * largest
        rise = (q - nodes[:-1, None]) / widths[:, None]  # of the hat function of the node above
        hats = jnp.clip(jnp.minimum(jnp.vstack([jnp.ones_like(q), rise]), jnp.vstack([1 - rise, jnp.ones_like(q)])), 0)

        def add_node(k: jax.Array, C: jax.Array) -> jax.Array:
            inputs = _matmul(B.T / (p * nodes[k] + damping), B)
            return C + inputs * _matmul(V * hats[k], V.T)

        identity = np.eye(len(q), dtype=q.dtype)
        C = jax.lax.fori_loop(0, len(NODES), add_node, jnp.asarray(identity))
        L = cholesky(C, symmetrize_input=False)
        return triangular_solve(L, identity, left_side=True, lower=True)

    def inverse_product(self, R: jax.Array, damping: jax.Array, inverse_root: jax.Array | None) -> jax.Array:
        """Apply the inverse of (2), with alpha included in the damping, to R, (n_in + 1, n_out)."""
        eigenvalues = self._values() + damping

        def without_means(rotated: jax.Array) -> jax.Array:
            # (3)  (A (x) G + A_dot (x) D + damping I)^-1 R = U ( U' R V / (p q' + c d' + damping) ) V',
            #      here without U on either side
            return self.outputs.back(self.outputs.to(rotated) / eigenvalues)

        solution = without_means(self.inputs.to(R.T).T)
        if inverse_root is not None and self.means is not None:
            # (4)  Sherman, Morrison & Woodbury: with K = A (x) G + damping I, and column j of B extended by 0 to the
            #      weights of the other units, (K + B B')^-1 = K^-1 - K^-1 B C^-1 B' K^-1,   C = I + B' K^-1 B
            t = jnp.sum(self.means * solution, axis=0)
            if inverse_root.ndim == 1:
                t *= jnp.square(inverse_root)
            else:
                t = _matmul(inverse_root.T, _matmul(inverse_root, t))
            solution -= without_means(self.means * t)
        return self.inputs.back(solution.T).T


NODES = np.concatenate([np.zeros(1), np.geomspace(1e-6, 1, 32)])
"""Nodes of the interpolation in `Layer.inverse_root`, in units of the largest eigenvalue."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DampedInverse:
    """The inverse of the curvature model at a given damping."""

    factors: KroneckerFactors
    dampings: tuple[jax.Array, ...]
    inverse_roots: tuple[jax.Array | None, ...]

    def product(self, vector: jax.Array) -> jax.Array:
        """Multiply the inverse, layer by layer, by a vector (n_parameters,)."""
        network = self.factors.network
        coefs, intercepts = network.unravel(vector)
        products = []
        for l, (layer, damping, inverse_root) in enumerate(
            zip(self.factors.layers, self.dampings, self.inverse_roots, strict=True)
        ):
            # Of a tied layer only the biases are parameters of its own.
            R = jnp.vstack([coefs[l], intercepts[l]]) if l < network.n_free else intercepts[l][None]
            products.append(layer.inverse_product(R, damping, inverse_root))
        return network.ravel(Parameters(tuple(p[:-1] for p in products), tuple(p[-1] for p in products)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KroneckerFactors:
    """The curvature (2) of every layer."""

    network: Network = field(metadata={"static": True})
    layers: tuple[Layer, ...]
    ridges: tuple[jax.Array, ...]  # weight decay's curvature in each layer, (1 or n_in + 1, 1 or n_out)

    def damped(self, damping: jax.Array) -> DampedInverse:
        """Prepare the inverse at a damping that is relative to the mean eigenvalue."""
        damping = jnp.maximum(damping * self._mean_eigenvalue(), jnp.finfo(damping.dtype).tiny)
        totals = tuple(ridge + damping for ridge in self.ridges)
        roots = [layer.inverse_root(total) for layer, total in zip(self.layers, totals, strict=True)]
        return DampedInverse(self, totals, tuple(roots))

    def _mean_eigenvalue(self) -> jax.Array:
        return reduce(jnp.add, [layer.trace() for layer in self.layers]) / self.network.n_parameters
