"""Kronecker factors of J's curvature: what the minimizer's initial matrix H0 is made of.

The Gauss-Newton matrix of layer l, a = W' z + b with the constant 1 appended to z, is the mean over the samples of
z z' (x) g with g the curvature of J with respect to that sample's a. The mean of a Kronecker product is taken for the
product of the means (Martens & Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature",
ICML 2015, eq. 3) ::

    A_l = 1/S sum_n s_n z_n z_n'        of the layer's inputs          (n_in + 1, n_in + 1)
    G_l = 1/S sum_n s_n g_n             of its outputs a               (n_out, n_out)

G comes down from the output layer, where it belongs to the error function, without sampling any targets: with
d_n = h'(a_n) the curvature of a hidden layer is g_l = diag(d_n) W_(l+1) g_(l+1) W_(l+1)' diag(d_n), and again the mean
of a product is taken for the product of the means (Botev, Ritter & Barber, "Practical Gauss-Newton optimisation for
deep learning", ICML 2017, eq. 19) ::

    G_l = (1/S sum_n s_n d_n d_n') o (W_(l+1) G_(l+1) W_(l+1)')                                                    (1)

A penalty f on the mean activation of unit j adds f'' v_j v_j' for the weights of that unit, the slope of the mean
being v_j = 1/S sum_n s_n d_nj z_n. Weight decay adds alpha I. So the model of layer l's curvature, for its weights as
a matrix R (n_in + 1, n_out) with the biases in the last row, is ::

    R  ->  A R G  +  v o (f'' o t(R))  +  alpha R,        t_j(R) = v_j' R_j                                         (2)

where o multiplies unit by unit. `sparsam.lbfgs` wants its inverse at any damping, which is added to alpha.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.lax.linalg import cholesky, triangular_solve

from sparsam.activations import get_activation
from sparsam.error_functions import ErrorFunction
from sparsam.network import FULL_PRECISION, Network, Parameters
from sparsam.objective import Objective
from sparsam.samples import Chunk, Samples

__all__ = ["KroneckerFactors", "input_spectrum", "kronecker_factors"]

_matmul = partial(jnp.matmul, precision=FULL_PRECISION)


# The inverse of (2)


class Spectrum(NamedTuple):
    """A symmetric, nonnegative matrix by its eigenvalues (n,) and orthonormal eigenvectors in columns, (n, n).

    Of a diagonal matrix the eigenvectors are None.
    """

    values: jax.Array
    vectors: jax.Array | None

    @classmethod
    def of(cls, matrix: jax.Array) -> Spectrum:
        """Decompose a matrix, or a diagonal given as a vector; rounding below zero is cut off."""
        if matrix.ndim == 1:
            return cls(matrix, None)
        values, vectors = jnp.linalg.eigh(matrix)
        return cls(jnp.maximum(values, 0), vectors)

    def to(self, rows: jax.Array) -> jax.Array:
        """Rows in the basis of the eigenvectors."""
        return rows if self.vectors is None else _matmul(rows, self.vectors)

    def back(self, rows: jax.Array) -> jax.Array:
        """Inverse of `to`."""
        return rows if self.vectors is None else _matmul(rows, self.vectors.T)


class Layer(NamedTuple):
    """The curvature (2) of a layer but for alpha: A = U diag(p) U', G = V diag(q) V', and B = U' v sqrt(f'')."""

    inputs: Spectrum
    outputs: Spectrum
    means: jax.Array | None  # B, (n_in + 1, n_out); None where no penalty is on the means

    def trace(self) -> jax.Array:
        """Of (2) without alpha."""
        product = jnp.sum(self.inputs.values) * jnp.sum(self.outputs.values)
        return product if self.means is None else product + jnp.sum(jnp.square(self.means))

    def inverse_root(self, damping: jax.Array) -> jax.Array | None:
        """L^-1 of C = L L' in (4), (n_out, n_out)."""
        if self.means is None:
            return None
        B, p, q, V = self.means, self.inputs.values, self.outputs.values, self.outputs.vectors
        # C_ij = I_ij + sum_ab B_ai B_aj V_ib V_jb / (p_a q_b + damping) is n_in n_out^3 operations as it stands. As a
        # function of q, 1 / (p q + damping) is interpolated linearly between a few nodes. Being convex it is
        # overestimated, and C with it, so that (4) stays positive definite.
        largest = jnp.where(jnp.max(q) > 0, jnp.max(q), 1)  # 0 where all units are saturated
        nodes = jnp.concatenate([jnp.zeros(1, q.dtype), jnp.geomspace(1e-6, 1, NODES, dtype=q.dtype)]) * largest
        rise = (q - nodes[:-1, None]) / jnp.diff(nodes)[:, None]  # of the hat function of the node above
        hats = jnp.clip(jnp.minimum(jnp.vstack([jnp.ones_like(q), rise]), jnp.vstack([1 - rise, jnp.ones_like(q)])), 0)

        def add_node(k: jax.Array, C: jax.Array) -> jax.Array:
            inputs = _matmul(B.T / (p * nodes[k] + damping), B)
            outputs = jnp.diag(hats[k]) if V is None else _matmul(V * hats[k], V.T)
            return C + inputs * outputs

        C = jax.lax.fori_loop(0, len(nodes), add_node, jnp.eye(len(q), dtype=q.dtype))
        L = cholesky(C, symmetrize_input=False)
        return triangular_solve(L, jnp.eye(len(q), dtype=q.dtype), left_side=True, lower=True)

    def inverse_product(self, R: jax.Array, damping: jax.Array, inverse_root: jax.Array | None) -> jax.Array:
        """Solve (2), alpha and damping in one, for R, (n_in + 1, n_out)."""
        eigenvalues = jnp.outer(self.inputs.values, self.outputs.values) + damping

        def without_means(rotated: jax.Array) -> jax.Array:
            # (3)  (A (x) G + damping I)^-1 R = U ( U' R V / (p q' + damping) ) V', here but for the U on either side
            return self.outputs.back(self.outputs.to(rotated) / eigenvalues)

        solution = without_means(self.inputs.to(R.T).T)
        if inverse_root is not None and self.means is not None:
            # (4)  Sherman, Morrison & Woodbury: with K = A (x) G + damping I, and for column j of B that of the same
            #      name in unit j and 0 elsewhere, (K + B B')^-1 = K^-1 - K^-1 B C^-1 B' K^-1,   C = I + B' K^-1 B
            t = jnp.sum(self.means * solution, axis=0)
            solution -= without_means(self.means * _matmul(inverse_root.T, _matmul(inverse_root, t)))
        return self.inputs.back(solution.T).T


NODES = 32
"""Of the interpolation in `Layer.inverse_root`."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DampedInverse:
    """The inverse of the factors' curvature at some damping."""

    factors: KroneckerFactors
    damping: jax.Array
    inverse_roots: tuple[jax.Array | None, ...]

    def product(self, vector: jax.Array) -> jax.Array:
        """Apply it, layer by layer, to a vector (n_parameters,)."""
        network = self.factors.network
        coefs, intercepts = network.unravel(vector)
        products = [
            layer.inverse_product(jnp.vstack([coef, intercept]), self.damping, inverse_root)
            for layer, inverse_root, coef, intercept in zip(
                self.factors.layers, self.inverse_roots, coefs, intercepts, strict=True
            )
        ]
        return network.ravel(Parameters(tuple(p[:-1] for p in products), tuple(p[-1] for p in products)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KroneckerFactors:
    """The curvature (2) of every layer."""

    network: Network = field(metadata={"static": True})
    layers: tuple[Layer, ...]
    ridge: jax.Array  # the curvature of weight decay

    def damped(self, damping: jax.Array) -> DampedInverse:
        """Prepare the inverse at a damping, which is relative to the mean eigenvalue."""
        total = self.ridge + jnp.maximum(damping * self._mean_eigenvalue(), jnp.finfo(damping.dtype).tiny)
        return DampedInverse(self, total, tuple(layer.inverse_root(total) for layer in self.layers))

    def _mean_eigenvalue(self) -> jax.Array:
        return reduce(jnp.add, [layer.trace() for layer in self.layers]) / self.network.n_parameters


SPREAD = 0.2
"""Share of the means' curvature that goes to all directions of a unit's weights besides, since v turns and f'' grows as
the means move. Without it MNIST took 104 evaluations to J = 12.1135 where 44 do."""


# The factors of J. What a penalty may know of its curvature, beside what an `ErrorFunction` knows of its own; of a term
# that knows nothing, the minimizer learns as it goes.


@runtime_checkable
class CurvesMeans(Protocol):
    """A penalty on the mean activation of each hidden unit."""

    def unit_curvature(self, network: Network, mean: Any) -> tuple[jax.Array, ...]:
        """f'' by each unit's mean z, an array (n_units,) a hidden layer, at the term's own mean."""


@runtime_checkable
class CurvesWeights(Protocol):
    """A penalty whose Hessian by the weights is a multiple of the identity."""

    def weight_curvature(self) -> jax.Array:
        """Return the multiple."""


class Moments(NamedTuple):
    """Sums over samples, or their means, that the factors are made of; an entry a layer."""

    weight: jax.Array  # s
    inputs: tuple[jax.Array, ...]  # z z' of the second layer's inputs and the following's
    slopes: tuple[jax.Array, ...]  # d d' of the hidden layers
    mean_slopes: tuple[jax.Array, ...]  # v of the hidden layers, (n_in + 1, n_units); () where nothing needs them
    output: tuple[Any, ...]  # what the error functions make g of the output layer of
    terms: tuple[Any, ...]  # what the penalties on means sum


def moments(objective: Objective, parameters: Parameters, chunk: Chunk) -> Moments:
    """Sum the moments over a chunk."""
    network, s = objective.network, chunk.sample_weight
    forward = network.forward(parameters, chunk.inputs)
    inputs = [_with_one(z) for z in (chunk.inputs, *forward.hidden)]
    slopes = [get_activation(network.hidden_activation).slope(a) for a in forward.pre_activations[:-1]]
    means = [term for term in objective.terms if isinstance(term, CurvesMeans)]
    chunk_of = (chunk.targets, chunk.sample_weight)
    return Moments(
        weight=jnp.sum(s),
        inputs=tuple(_matmul(z, (s * z).T) for z in inputs[1:]),
        slopes=tuple(_matmul(d, (s * d).T) for d in slopes),
        mean_slopes=tuple(_matmul(z, (s * d).T) for z, d in zip(inputs, slopes, strict=False)) if means else (),
        output=tuple(term.curvature_sums(network, forward, *chunk_of) for term in _errors(objective)),
        terms=tuple(term.sums(network, forward, *chunk_of) for term in means),
    )


@jax.jit
def input_spectrum(samples: Samples) -> Spectrum:
    """A_1, on which no weight has an influence: once is enough."""

    def moment(chunk: Chunk) -> jax.Array:
        x = _with_one(chunk.inputs)
        return _matmul(x, (chunk.sample_weight * x).T)

    return Spectrum.of(samples.sum_over_chunks(moment) / samples.total_weight)


@jax.jit
def kronecker_factors(
    objective: Objective, theta: jax.Array, samples: Samples, inputs: Spectrum, iteration: jax.Array
) -> KroneckerFactors:
    """Make the factors of J at the flat weights theta.

    Parameters
    ----------
    objective : Objective
    theta : array of shape (n_parameters,)
    samples : Samples
    inputs : Spectrum
        Of A_1, from `input_spectrum`.
    iteration : int array
        Of the minimizer. What serves for a few early steps is made of a part of the samples.

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
"""The factors are made of one of four parts of the samples, if that is enough of them, and after every so many
iterations of a part more. With all from the beginning the notes' job takes a sixth longer to J = 0.45; with a quarter
to the end, a tenth more evaluations until it converges."""


def assemble(objective: Objective, parameters: Parameters, means: Moments, inputs: Spectrum) -> KroneckerFactors:
    """Make the factors of the means of the moments: (1), from the output layer down."""
    network = objective.network
    spectra = [inputs, *(Spectrum.of(A) for A in means.inputs)]
    penalties = [term for term in objective.terms if isinstance(term, CurvesMeans)]
    curvatures = [
        reduce(jnp.add, of_layer)
        for of_layer in zip(
            *(term.unit_curvature(network, mean) for term, mean in zip(penalties, means.terms, strict=True)),
            strict=True,
        )
    ]
    G = reduce(jnp.add, [error.output_curvature(m) for error, m in zip(_errors(objective), means.output, strict=True)])
    layers = [Layer(spectra[-1], Spectrum.of(G), None)]
    for l in reversed(range(len(means.slopes))):
        W = parameters.coefs[l + 1]
        G = means.slopes[l] * (_matmul(W * G, W.T) if G.ndim == 1 else _matmul(_matmul(W, G), W.T))
        if not curvatures:
            layers.insert(0, Layer(spectra[l], Spectrum.of(G), None))
            continue
        f, v = curvatures[l], means.mean_slopes[l]
        trace = jnp.diag(f * jnp.sum(jnp.square(v), axis=0) / jnp.sum(spectra[l].values))
        means_of_layer = spectra[l].to((v * jnp.sqrt(f)).T).T
        layers.insert(0, Layer(spectra[l], Spectrum.of(G + SPREAD * trace), means_of_layer))
        # To the layers below, whose weights move this layer's means too, it goes as a diagonal of the same trace.
        G += trace
    ridge = [term.weight_curvature() for term in objective.terms if isinstance(term, CurvesWeights)]
    return KroneckerFactors(network, tuple(layers), reduce(jnp.add, ridge, jnp.zeros((), G.dtype)))


def _errors(objective: Objective) -> list[ErrorFunction]:
    return [term for term in objective.terms if isinstance(term, ErrorFunction)]


def _with_one(z: jax.Array) -> jax.Array:
    return jnp.concatenate([z, jnp.ones((1, z.shape[1]), z.dtype)])
