"""The curvature of tangent propagation, for `curvature.factors`.

Omega_n = 1/2 sum_tau |y_dot|^2 is a squared error of y_dot, so its Gauss-Newton matrix needs the slope of y_dot. In the
symbols of `sparsam.reference.tangents`, a weight of layer l, a = W' z, changes y_dot through a_dot = W' z_dot and
through a, so its part of the Gauss-Newton matrix is ::

    sum_tau (delta (x) z_dot + phi (x) z)' (delta (x) z_dot + phi (x) z),     delta = dy/da,  phi = its change along tau

If the cross terms are neglected, and the mean of a product is approximated by the product of the means as in
`curvature.factors`, it is a sum of two Kronecker products ::

    A_dot (x) D  +  A (x) P                                                                                        (1)
    A_dot = 1/S sum_n s_n sum_tau z_dot z_dot',    D = 1/S sum_n s_n delta' delta,    P = 1/S sum_n s_n sum_tau phi' phi

and through a hidden layer, phi = h'' a_dot W delta + h' W phi, again without cross terms ::

    D_l = N o (W D W')                       N = 1/S sum_n s_n d d',  d = h'
    P_l = B o (W D W') + N o (W P W')        B = 1/S sum_n s_n sum_tau b b',  b = h'' a_dot

Together with the error's A (x) G the sum is A (x) (G + P) + A_dot (x) D. It is not a single product, but it is easy to
invert in a basis in which the factors of both terms are nearly diagonal (`joint_basis`).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sparsam.engine.data.batch import Batch
from sparsam.engine.network.activations import get_activation
from sparsam.engine.network.network import (
    FULL_PRECISION,
    ForwardPass,
    Network,
    along_tangents,
    outer_products,
    weighted_sum,
)
from sparsam.engine.objective.error_functions import SquaredError

__all__ = [
    "OutputCurvature",
    "TangentMoments",
    "add",
    "diagonal_in",
    "hidden_curvature",
    "joint_basis",
    "moment_along",
    "single_product",
    "tangent_moments",
    "through_weights",
]

_matmul = partial(jnp.matmul, precision=FULL_PRECISION)


class TangentMoments(NamedTuple):
    """Sums over samples, or their means, from which (1) is computed."""

    inputs: tuple[jax.Array, ...]  # A_dot of the second and later layers
    bends: tuple[jax.Array, ...]  # sum_tau (h'' a_dot) (h'' a_dot)' of the hidden layers
    output: OutputCurvature


class OutputCurvature(NamedTuple):
    """D and P of a layer, (n_units, n_units), or (n_units,) for diagonal matrices."""

    D: jax.Array
    P: jax.Array


def tangent_moments(network: Network, forward: ForwardPass, chunk: Batch, of: str) -> TangentMoments:
    """Sum the moments over a chunk, for a penalty on the change ``of`` the outputs or of their pre-activations."""
    along, s = forward.tangents, chunk.sample_weight
    assert along is not None  # samples have tangents if the objective has a penalty along tangents
    bends = [
        along_tangents(h.slope, a, a_dot)
        for h, a, a_dot in zip(network.activations, forward.pre_activations[:-1], along.pre_activations, strict=False)
    ]
    return TangentMoments(
        inputs=tuple(moment_along(z_dot, s) for z_dot in along.hidden),
        bends=tuple(_products(s * bend, bend) for bend in bends),
        output=_curvature_of_outputs(network, forward, s) if of == "outputs" else _identity_curvature(network, s),
    )


def _identity_curvature(network: Network, s: jax.Array) -> OutputCurvature:
    # For pre-activations delta = I, which is constant.
    ones = jnp.ones(network.layer_sizes[-1], s.dtype)
    return OutputCurvature(jnp.sum(s) * ones, 0 * ones)


def _curvature_of_outputs(network: Network, forward: ForwardPass, s: jax.Array) -> OutputCurvature:
    D = SquaredError().curvature_sums(network, forward, forward.outputs, s)
    return OutputCurvature(D, _bend_of_outputs(network, forward, s))


def _bend_of_outputs(network: Network, forward: ForwardPass, s: jax.Array) -> jax.Array:
    """Compute sum_n s_n sum_tau phi' phi of the output layer."""
    assert forward.tangents is not None
    if network.output_activation != "softmax":
        slope = get_activation(network.output_activation).slope
        phi = along_tangents(slope, forward.pre_activations[-1], forward.tangents.pre_activations[-1])
        return weighted_sum(jnp.sum(jnp.square(phi), axis=1), s)
    # phi = diag(d) - d y' - y d' with d = y_dot is symmetric, and so
    #   phi phi = diag(d^2) - M - M' + |y|^2 d d' + |d|^2 y y',    M = d^2 y' + (d o y) d' - (y'd) d y'
    d, s = forward.tangents.outputs, s[None, None]
    y = jnp.broadcast_to(forward.outputs[:, None], d.shape)
    squared = jnp.square(d)
    M = (
        _products(s * squared, y)
        + _products(s * d * y, d)
        - _products(s * jnp.sum(y * d, axis=0, keepdims=True) * d, y)
    )
    return (
        jnp.diag(jnp.sum(s * squared, axis=(1, 2)))
        - (M + M.T)
        + _products(s * jnp.sum(jnp.square(y), axis=0, keepdims=True) * d, d)
        + _products(s * jnp.sum(squared, axis=0, keepdims=True) * y, y)
    )


def _products(u: jax.Array, v: jax.Array) -> jax.Array:
    """Sum u v' over tangents and samples."""
    return outer_products(u.reshape(len(u), -1), v.reshape(len(v), -1))


def hidden_curvature(above: OutputCurvature, W: jax.Array, slopes: jax.Array, bends: jax.Array) -> OutputCurvature:
    """Compute D and P of a hidden layer from those of the next layer, whose weights are W; N is slopes, B bends."""
    D = through_weights(W, above.D)
    return OutputCurvature(slopes * D, bends * D + slopes * through_weights(W, above.P))


def moment_along(z_dot: jax.Array, s: jax.Array) -> jax.Array:
    """Compute sum_n s_n sum_tau z_dot z_dot', with a row and a column of 0 for the constant 1."""
    return jnp.pad(_products(s * z_dot, z_dot), (0, 1))


def joint_basis(A: jax.Array, A_dot: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Find an orthonormal basis in which two nonnegative matrices are nearly diagonal, and their diagonals in it.

    The basis, vectors in columns, consists of the eigenvectors of A/tr(A) + A_dot/tr(A_dot). If A and A_dot have the
    same eigenvectors, these are the basis.
    """
    A, A_dot = (jnp.diag(matrix) if matrix.ndim == 1 else matrix for matrix in (A, A_dot))
    vectors = jnp.linalg.eigh(A / _trace(A) + A_dot / _trace(A_dot))[1]
    return vectors, diagonal_in(vectors, A), diagonal_in(vectors, A_dot)


def diagonal_in(vectors: jax.Array, matrix: jax.Array) -> jax.Array:
    """Compute the diagonal of a nonnegative matrix in an orthonormal basis, vectors in columns, clipped at zero."""
    return jnp.maximum(jnp.sum(vectors * _matmul(matrix, vectors), axis=0), 0)


def single_product(p: jax.Array, q: jax.Array, c: jax.Array, d: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Approximate p q' + c d' by a single product u v', which penalties on means need; return u and v.

    Each is a mean of the two vectors, weighted by their shares of the sum of all elements, t = sum p sum q + sum c
    sum d ::

        u = theta p + (1 - theta) sum p/sum c c                theta = sum p sum q / t
        v = t/sum p [theta q/sum q + (1 - theta) d/sum d]

    u v' equals the sum if c is proportional to p, or d to q, and always has the same sum of elements.
    """
    a, g, a_dot, d_sum = (_trace(vector) for vector in (p, q, c, d))
    t = a * g + a_dot * d_sum
    theta = a * g / t
    return theta * p + (1 - theta) * (a / a_dot) * c, (t / a) * (theta / g * q + (1 - theta) / d_sum * d)


def _trace(matrix: jax.Array) -> jax.Array:
    """Compute the trace of a matrix or a diagonal, at least a tiny positive number to divide by."""
    trace = jnp.sum(matrix) if matrix.ndim == 1 else jnp.trace(matrix)
    return jnp.maximum(trace, jnp.finfo(trace.dtype).tiny ** 0.5)


def through_weights(W: jax.Array, G: jax.Array) -> jax.Array:
    """Compute W G W', where G is a matrix or a diagonal."""
    return _matmul(W * G, W.T) if G.ndim == 1 else _matmul(_matmul(W, G), W.T)


def diagonal_through_weights(W: jax.Array, G: jax.Array) -> jax.Array:
    """Compute the diagonal of W G W', where G is a matrix or a diagonal."""
    return _matmul(jnp.square(W), G) if G.ndim == 1 else jnp.sum(_matmul(W, G) * W, axis=1)


def add(G: jax.Array, H: jax.Array) -> jax.Array:
    """Add G and H, each a matrix or a diagonal."""
    if G.ndim == H.ndim:
        return G + H
    return jnp.diag(G) + H if G.ndim == 1 else G + jnp.diag(H)
