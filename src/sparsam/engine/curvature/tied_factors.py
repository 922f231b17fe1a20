"""Curvature of layers that share their weights: an encoder, and a decoder with the transposed weights.

J depends on W through both layers. Its Gauss-Newton matrix by the encoder, a = W' x + b, is A (x) G, and by the
decoder, y = W z + c, it is A_z (x) G_y for the transposed weights. If the cross terms are neglected, the sum is ::

    A (x) G  +  G_y (x) A_z                                                                                        (1)

with G_y extended by 0 to the constant input of A, and A_z without its constant: a sum of two Kronecker products, like
that of tangents. G_y, for outputs, is nearly a multiple of the identity, so that A's eigenvectors, which for the first
layer do not change in a training, nearly diagonalize it; G and A_z get a joint basis. The biases c have G_y alone.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sparsam.engine.curvature.kronecker import Layer, Spectrum
from sparsam.engine.curvature.tangent_factors import diagonal_in, joint_basis, single_product
from sparsam.engine.network.network import FULL_PRECISION

__all__ = ["tie"]


def tie(layers: list[Layer]) -> list[Layer]:
    """Combine the curvature of each encoder with that of its decoder; decoders keep that of their biases."""
    n = len(layers) // 2
    return [*map(_tied, layers[:n], reversed(layers[n:])), *map(_biases, layers[n:])]


def _tied(encoder: Layer, decoder: Layer) -> Layer:
    A, G, A_z, G_y = encoder.inputs, encoder.outputs, decoder.inputs, _matrix(decoder.outputs)
    c = _diagonal(A, jnp.pad(G_y, (0, 1)))
    V: jax.Array | None
    if G.vectors is None and A_z.vectors is None:  # of a wide layer
        V, q, d = None, G.values, A_z.values[:-1]
    else:
        V, q, d = joint_basis(_matrix(G), _matrix(A_z)[:-1, :-1])
    if encoder.means is None:
        return Layer(A, Spectrum(q, V), None, (c, d))
    p, q = single_product(A.values, q, c, d)
    return Layer(Spectrum(p, A.vectors), Spectrum(q, V), encoder.means)


def _biases(decoder: Layer) -> Layer:
    return Layer(Spectrum(jnp.ones(1, decoder.outputs.values.dtype), None), decoder.outputs, None)


def _matrix(spectrum: Spectrum) -> jax.Array:
    U, values = spectrum.vectors, spectrum.values
    return jnp.diag(values) if U is None else jnp.matmul(U * values, U.T, precision=FULL_PRECISION)


def _diagonal(basis: Spectrum, matrix: jax.Array) -> jax.Array:
    return jnp.diagonal(matrix) if basis.vectors is None else diagonal_in(basis.vectors, matrix)
