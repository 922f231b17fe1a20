"""Kronecker factors of J's curvature, for the minimizer's initial matrix H0.

The Gauss-Newton matrix of layer l, a = W' z + b with the constant 1 appended to z, is the mean over the samples of
z z' (x) g, where g is the curvature of J with respect to that sample's a. The mean of the Kronecker product is
approximated by the product of the means (Martens & Grosse, "Optimizing neural networks with Kronecker-factored
approximate curvature", ICML 2015, eq. 3) ::

    A_l = 1/S sum_n s_n z_n z_n'        input factor                   (n_in + 1, n_in + 1)
    G_l = 1/S sum_n s_n g_n             output factor                  (n_out, n_out)

G is propagated backward from the output layer, where the error function defines it, without sampling any targets: with
d_n = h'(a_n) the curvature of a hidden layer is g_l = diag(d_n) W_(l+1) g_(l+1) W_(l+1)' diag(d_n), and again the mean
of a product is approximated by the product of the means (Botev, Ritter & Barber, "Practical Gauss-Newton optimisation
for deep learning", ICML 2017, eq. 19) ::

    G_l = (1/S sum_n s_n d_n d_n') o (W_(l+1) G_(l+1) W_(l+1)')                                                    (1)

A penalty f on the mean activation of unit j adds f'' v_j v_j' for the weights of that unit, where the slope of the mean
is v_j = 1/S sum_n s_n d_nj z_n. A penalty whose slope f' by that mean is constant adds f' 1/S sum_n s_n h''(a_nj) to
the diagonal of G, which is not 0 where kinks are rounded. Weight decay adds alpha I; tangent propagation adds a second
product, A_dot (x) D, and P to G (`curvature.tangent_factors`). The sum is the model (2) of `curvature.kronecker`, which
inverts it. Layers that share their weights share a curvature (`curvature.tied_factors`).
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from sparsam.engine.curvature.kronecker import KroneckerFactors, Layer, Spectrum
from sparsam.engine.curvature.tangent_factors import (
    OutputCurvature,
    TangentMoments,
    add,
    diagonal_in,
    diagonal_through_weights,
    hidden_curvature,
    joint_basis,
    moment_along,
    single_product,
    tangent_moments,
    through_weights,
)
from sparsam.engine.curvature.tied_factors import tie
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.network.network import FULL_PRECISION, Network, Parameters
from sparsam.engine.objective.error_functions import ErrorFunction
from sparsam.engine.objective.input_scale import TYPICAL_CURVATURE
from sparsam.engine.objective.objective import Objective

__all__ = [
    "InputMoments",
    "assemble",
    "input_moments",
    "input_moments_of",
    "input_products",
    "kronecker_factors",
    "moments",
]

_matmul = partial(jnp.matmul, precision=FULL_PRECISION)


WIDEST = 1024
"""Layers with more units have diagonal factors: those of a full matrix take n^3 operations, and n^2 for each sample.
Sparse codes lose little by it, since few pairs of units are active together: see the page on the minimizer."""

SPREAD = 0.2
"""Share of the means' curvature that is added to all directions of a unit's weights, because v turns and f'' grows as
the means change. Without it MNIST took 104 evaluations to J = 12.1135 instead of 44."""


# Curvature that penalties may provide; an `ErrorFunction` provides its own. The curvature of a term that provides none
# reaches H through the pairs of L-BFGS only.


@runtime_checkable
class CurvesMeans(Protocol):
    """A penalty on the mean activation of each hidden unit."""

    def unit_curvature(self, network: Network, mean: Any) -> tuple[jax.Array | None, ...]:
        """Compute f'' with respect to each unit's mean z, at the mean of the term's sums.

        The result is (n_units,) for each hidden layer; None for a layer whose means have no penalty.
        """


@runtime_checkable
class CurvesKinks(Protocol):
    """A penalty whose slope by the mean activation of a unit is not negative, and does not depend on it."""

    def unit_slopes(self, parameters: Parameters) -> tuple[jax.Array, ...]:
        """Compute f' with respect to each unit's mean z, (n_units,) for each hidden layer."""


@runtime_checkable
class CurvesTangents(Protocol):
    """A penalty on the change of the outputs, or of their pre-activations, along tangents.

    Its Hessian with respect to that change is a multiple of the identity.
    """

    of: str  # "outputs" or "pre_activations"

    def tangent_curvature(self) -> jax.Array:
        """Return the multiple."""


@runtime_checkable
class CurvesWeights(Protocol):
    """A penalty whose Hessian with respect to the weights of a unit is a multiple of the identity."""

    def weight_curvature(self, network: Network) -> jax.Array | tuple[jax.Array, ...]:
        """Return the multiple, or a tuple with that of each layer: a number, or an array (n_out,) for its units."""


class Moments(NamedTuple):
    """Sums over samples, or their means, from which the factors are computed; an entry per layer."""

    weight: jax.Array  # s
    inputs: tuple[jax.Array, ...]  # z z' of the inputs of the second and later layers; its diagonal for wide ones
    slopes: tuple[jax.Array, ...]  # d d' of the hidden layers; its diagonal for wide ones
    mean_slopes: tuple[jax.Array, ...]  # v of the hidden layers, (n_in + 1, n_units); () if no penalty needs them
    bends: tuple[jax.Array, ...]  # h''(a) of the hidden layers, (n_units,); () if no penalty needs them
    output: tuple[Any, ...]  # sums of the error functions for g of the output layer
    terms: tuple[Any, ...]  # sums of the penalties on means
    tangents: TangentMoments | None  # None if no penalty is along tangents


def moments(objective: Objective, parameters: Parameters, chunk: Batch) -> Moments:
    """Sum the moments over a chunk."""
    network, s = objective.network, chunk.sample_weight
    along = next((term.of for term in objective.terms if isinstance(term, CurvesTangents)), None)
    forward = objective.forward(parameters, chunk.inputs, (), chunk.tangents if along else None)
    inputs = [_append_one(z) for z in (chunk.inputs, *forward.hidden)]
    hidden = list(zip(network.activations, forward.pre_activations[:-1], strict=False))
    slopes = [h.slope(a, objective.kink_width) for h, a in hidden]
    has_kinks = any(isinstance(term, CurvesKinks) for term in objective.terms)
    means = [term for term in objective.terms if isinstance(term, CurvesMeans)]
    targets_and_weight = (chunk.targets, chunk.sample_weight)
    return Moments(
        weight=jnp.sum(s),
        inputs=tuple(_moment(z, s, is_wide(len(d), along)) for z, d in zip(inputs[1:], slopes, strict=True)),
        slopes=tuple(_moment(d, s, is_wide(len(d), along)) for d in slopes),
        mean_slopes=tuple(_matmul(z, (s * d).T) for z, d in zip(inputs, slopes, strict=False)) if means else (),
        bends=tuple(_matmul(h.bend(a, objective.kink_width), s) for h, a in hidden) if has_kinks else (),
        output=tuple(term.curvature_sums(network, forward, *targets_and_weight) for term in _errors(objective)),
        terms=tuple(term.sums(network, forward, *targets_and_weight) for term in means),
        tangents=tangent_moments(network, forward, chunk, along) if along else None,
    )


def is_wide(n_units: int, along: str | None) -> bool:
    """Return whether a layer's factors are diagonal: if it is wide, and there is no penalty along tangents."""
    return n_units > WIDEST and along is None


def _moment(z: jax.Array, s: jax.Array, diagonal: bool) -> jax.Array:
    """Compute sum_n s_n z_n z_n', or its diagonal."""
    return _matmul(jnp.square(z), s) if diagonal else _matmul(z, (s * z).T)


class InputMoments(NamedTuple):
    """Factors of a layer's inputs: A and, if there are tangents, the diagonal of A_dot.

    Those of the first layer do not depend on the weights. With tangents, A's vectors are the joint basis of A and
    A_dot. If inputs are scaled, A's vectors depend on weight decay too: see `input_moments_of`.
    """

    A: Spectrum
    A_dot: jax.Array | None


@jax.jit
@on_every_device
def input_moments(samples: Samples, objective: Objective | None = None) -> InputMoments:
    """Compute the factors of the first layer's inputs, which do not change in a training.

    The objective provides its weight decay.
    """
    sums = samples.sum_over_chunks(input_products)
    return input_moments_of(jax.tree.map(lambda total: total / samples.total_weight, sums), objective)


def input_products(chunk: Batch) -> tuple[jax.Array, jax.Array | None]:
    """Sum x x' and tau tau' over a chunk."""
    x, s = _append_one(chunk.inputs), chunk.sample_weight
    return _matmul(x, (s * x).T), None if chunk.tangents is None else moment_along(chunk.tangents, s)


def input_moments_of(means: tuple[jax.Array, jax.Array | None], objective: Objective | None = None) -> InputMoments:
    """Compute the factors of the first layer's inputs from the means of `input_products`.

    The first layer's curvature is A (x) G + diag(decay) (x) I. A's eigenvectors diagonalize only A. Those of
    A + diag(decay) / g, with g a typical eigenvalue of G, nearly diagonalize both terms where it matters.
    """
    A, A_dot = means
    if A_dot is not None:
        return InputMoments(*_diagonalize_jointly(A, A_dot))
    decay = None if objective is None else _decay_of_inputs(objective)
    if decay is None:
        return InputMoments(Spectrum.of(A), None)
    vectors = jnp.linalg.eigh(A + jnp.diag(decay[:, 0]) / TYPICAL_CURVATURE)[1]
    return InputMoments(Spectrum(diagonal_in(vectors, A), vectors), None)


def _diagonalize_jointly(A: jax.Array, A_dot: jax.Array) -> tuple[Spectrum, jax.Array]:
    vectors, values, along = joint_basis(A, A_dot)
    return Spectrum(values, vectors), along


@jax.jit
@on_every_device
def kronecker_factors(
    objective: Objective, theta: jax.Array, samples: Samples, inputs: InputMoments, iteration: jax.Array
) -> KroneckerFactors:
    """Compute the factors of J at the flat weights theta.

    Parameters
    ----------
    objective : Objective
    theta : array of shape (n_parameters,)
    samples : Samples
    inputs : InputMoments
        From `input_moments`.
    iteration : int array
        The minimizer's iteration. Early factors, which serve for a few steps only, use a part of the samples.

    Returns
    -------
    KroneckerFactors
    """
    parameters = objective.parameters(theta)
    n_buffered, _, chunk_size = samples.inputs.shape
    divide = chunk_size % PARTS == 0 and n_buffered * chunk_size // PARTS >= ENOUGH
    n_parts = jnp.clip(1 + iteration // ITERATIONS, 1, PARTS) if divide else 1
    sums = samples.sum_over_parts(partial(moments, objective, parameters), n_parts, PARTS if divide else 1)
    return assemble(objective, parameters, jax.tree.map(lambda total: total / sums.weight, sums), inputs)


PARTS, ITERATIONS, ENOUGH = 4, 16, 2048
"""Early factors use one of PARTS parts of the samples, if these are ENOUGH samples, and one more part after every
ITERATIONS iterations. With all samples from the beginning the notes' job takes a sixth longer to J = 0.45; with a
quarter to the end, it takes a tenth more evaluations until it converges."""


def assemble(objective: Objective, parameters: Parameters, means: Moments, inputs: InputMoments) -> KroneckerFactors:
    """Compute the factors by (1) from the means of the moments, from the output layer backward."""
    network = objective.network
    along = curvature_along(objective, parameters, means)
    A, c = zip(inputs, *(_input_spectrum(l, means, along) for l in range(len(means.inputs))), strict=True)
    penalties = [term for term in objective.terms if isinstance(term, CurvesMeans)]
    of_kinks = [term.unit_slopes(parameters) for term in objective.terms if isinstance(term, CurvesKinks)]
    by_penalty = [term.unit_curvature(network, mean) for term, mean in zip(penalties, means.terms, strict=True)]

    def layer(l: int, G: jax.Array, v: jax.Array | None = None) -> Layer:
        # v is already multiplied by sqrt(f'').
        B = None if v is None else A[l].to(v.T).T
        if along is None:
            return Layer(A[l], Spectrum.of(G), B)
        D, P = along[l]
        outputs, d = _diagonalize_jointly(add(G, P), D)
        if B is None:
            return Layer(A[l], outputs, None, (c[l], d))
        p, q = single_product(A[l].values, outputs.values, c[l], d)
        return Layer(Spectrum(p, A[l].vectors), Spectrum(q, outputs.vectors), B)

    G = reduce(jnp.add, [error.output_curvature(m) for error, m in zip(_errors(objective), means.output, strict=True)])
    layers = [layer(len(means.slopes), G)]
    for l in reversed(range(len(means.slopes))):
        slopes = means.slopes[l]
        through = diagonal_through_weights if slopes.ndim == 1 else through_weights
        G = slopes * through(parameters.coefs[l + 1], G)
        for by_layer in of_kinks:
            G = add(G, by_layer[l] * means.bends[l])
        of_layer = [curvature for curvatures in by_penalty if (curvature := curvatures[l]) is not None]
        if not of_layer:
            layers.insert(0, layer(l, G))
            continue
        f, v = reduce(jnp.add, of_layer), means.mean_slopes[l]
        trace = f * jnp.sum(jnp.square(v), axis=0) / jnp.sum(A[l].values)
        layers.insert(0, layer(l, add(G, SPREAD * trace), v * jnp.sqrt(f)))
        # The weights of the layers below change this layer's means too; for them the penalty's curvature is
        # approximated by a diagonal matrix of the same trace.
        G = add(G, trace)
    if network.tied:
        layers = tie(layers)
    return KroneckerFactors(network, tuple(layers), _ridges(objective, layers))


def _ridges(objective: Objective, layers: list[Layer]) -> tuple[jax.Array, ...]:
    """Compute the curvature of the penalties on weights, in the basis of each layer's factors: see `_ridge`."""
    curvatures = [curvature.reshape(1, -1) for curvature in _weight_curvature(objective)]
    first = _decay_of_inputs(objective)
    if first is not None:
        curvatures[0] = first
    return tuple(_ridge(curvature, layer) for curvature, layer in zip(curvatures, layers, strict=True))


def _ridge(curvature: jax.Array, layer: Layer) -> jax.Array:
    """Approximate a diagonal matrix by its diagonal in the basis of the factors.

    It has an entry for each weight R, (n_in + 1, n_out), or where they are equal for all rows or columns, one row or
    column.
    """
    U, V = layer.inputs.vectors, layer.outputs.vectors
    if curvature.shape[0] > 1 and U is not None:
        curvature = _matmul(jnp.square(U.T), curvature)
    if curvature.shape[1] > 1 and V is not None:
        curvature = _matmul(curvature, jnp.square(V))
    return curvature


def _decay_of_inputs(objective: Objective) -> jax.Array | None:
    """Compute weight decay's curvature in the first layer, (n_features + 1, 1 or n_units), if inputs are scaled."""
    return None if objective.input_scale is None else objective.input_scale.decay(_weight_curvature(objective)[0])


def _weight_curvature(objective: Objective) -> tuple[jax.Array, ...]:
    """Compute the curvature of the penalties on weights for each layer: a number, or an array (n_out,)."""
    network = objective.network
    n_layers = len(network.shapes)
    given = [term.weight_curvature(network) for term in objective.terms if isinstance(term, CurvesWeights)]
    by_term = [curvature if isinstance(curvature, tuple) else (curvature,) * n_layers for curvature in given]
    none = (jnp.zeros(()),) * n_layers
    return tuple(reduce(jnp.add, curvatures) for curvatures in zip(none, *by_term, strict=True))


def _input_spectrum(l: int, means: Moments, along: list[OutputCurvature] | None) -> InputMoments:
    """Compute the input factors of the layer after hidden layer l."""
    if along is None or means.tangents is None:
        return InputMoments(Spectrum.of(means.inputs[l]), None)
    return InputMoments(*_diagonalize_jointly(means.inputs[l], means.tangents.inputs[l]))


def curvature_along(objective: Objective, parameters: Parameters, means: Moments) -> list[OutputCurvature] | None:
    """Compute D and P of every layer, multiplied by the weight of Omega; None without a penalty along tangents."""
    if means.tangents is None:
        return None
    weight = reduce(jnp.add, [term.tangent_curvature() for term in objective.terms if isinstance(term, CurvesTangents)])
    layers = [OutputCurvature(*(weight * matrix for matrix in means.tangents.output))]
    for l in reversed(range(len(means.slopes))):
        W = parameters.coefs[l + 1]
        layers.insert(0, hidden_curvature(layers[0], W, means.slopes[l], means.tangents.bends[l]))
    return layers


def _errors(objective: Objective) -> list[ErrorFunction]:
    return [term for term in objective.terms if isinstance(term, ErrorFunction)]


def _append_one(z: jax.Array) -> jax.Array:
    return jnp.concatenate([z, jnp.ones((1, z.shape[1]), z.dtype)])
