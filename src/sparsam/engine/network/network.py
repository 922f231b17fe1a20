"""A feed-forward network: its layers, their initial weights, the forward pass, and the flat parameter vector.

Layer l maps the activations z of the layer before it (for the first layer, the inputs x) to ::

    a = W_l' z + b_l,        z = h(a)

with ``W_l`` (n_in, n_out) as in scikit-learn's MLP (PRML's w_ji transposed). h is elementwise, except for softmax
outputs.

Inside the engine samples are in columns, as in CS294A: z is (n_units, n_samples). In every product of a pass the
samples, the longest dimension, are then contiguous in memory, which is a tenth faster for large layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.activations import ACTIVATIONS, get_activation

__all__ = [
    "ForwardPass",
    "Network",
    "Parameters",
    "TangentPass",
    "affine",
    "along_tangents",
    "outer_products",
    "weighted_sum",
]

FULL_PRECISION = jax.lax.Precision.HIGHEST
"""Matrix products use the full precision of their type on every device: no TF32, no bfloat16 passes."""


ELEMENTWISE = tuple(name for name, activation in ACTIVATIONS.items() if activation.elementwise)
"""Activations for hidden units."""


class Parameters(NamedTuple):
    """The weights of a network, one entry per layer.

    Attributes
    ----------
    coefs : tuple of arrays of shape (n_in, n_out)
    intercepts : tuple of arrays of shape (n_out,)
    """

    coefs: tuple[jax.Array, ...]
    intercepts: tuple[jax.Array, ...]


class TangentPass(NamedTuple):
    """Derivatives of a forward pass along tangents, which are directions at the inputs (PRML exercise 5.26).

    ::

        a_dot = W' z_dot,        z_dot = h'(a) a_dot,        z_dot = tau at the inputs

    PRML calls a_dot beta and z_dot alpha.

    Attributes
    ----------
    pre_activations : tuple of arrays of shape (n_units, n_tangents, n_samples)
        a_dot of every layer.
    hidden : tuple of arrays of shape (n_units, n_tangents, n_samples)
        z_dot of the hidden layers.
    outputs : array of shape (n_outputs, n_tangents, n_samples)
        y_dot = Jac tau, Jac the Jacobian of the outputs with respect to the inputs.
    """

    pre_activations: tuple[jax.Array, ...]
    hidden: tuple[jax.Array, ...]
    outputs: jax.Array


class ForwardPass(NamedTuple):
    """Values of a forward pass.

    Attributes
    ----------
    pre_activations : tuple of arrays of shape (n_units, n_samples)
        a of every layer, from the first hidden layer to the output layer.
    hidden : tuple of arrays of shape (n_units, n_samples)
        Activations z of the hidden layers.
    outputs : array of shape (n_outputs, n_samples)
        y = h(a) of the output layer.
    tangents : TangentPass or None
        Derivatives along tangents, if there are any.
    """

    pre_activations: tuple[jax.Array, ...]
    hidden: tuple[jax.Array, ...]
    outputs: jax.Array
    tangents: TangentPass | None = None


class UniformSource(Protocol):
    """A random number generator: `numpy.random.Generator` or `numpy.random.RandomState`."""

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> NDArray[np.float64]:
        """Draw from the uniform distribution on [low, high)."""


@dataclass(frozen=True)
class Network:
    """The architecture of a feed-forward network, without its weights.

    It is hashable, so that every fit of the same architecture uses the same compiled program.

    Parameters
    ----------
    layer_sizes : tuple of int
        D, M_1, ..., K: inputs, hidden layers, outputs; at least (D, K).
    hidden_activation, output_activation : str
        See `network.activations`. Softmax is for the outputs only.

    Examples
    --------
    >>> network = Network((64, 25, 64))
    >>> network.n_parameters
    3289
    """

    layer_sizes: tuple[int, ...]
    hidden_activation: str = "logistic"
    output_activation: str = "logistic"

    def __post_init__(self) -> None:
        if len(self.layer_sizes) < 2 or min(self.layer_sizes) < 1:
            raise ValueError(
                "layer_sizes must be the positive sizes of at least the input and the output layer: "
                f"got {self.layer_sizes}"
            )
        get_activation(self.output_activation)
        if not get_activation(self.hidden_activation).elementwise:
            raise ValueError(
                f"{self.hidden_activation!r} is for outputs only, because its units depend on each other; "
                f"hidden units need an elementwise activation: {', '.join(ELEMENTWISE)}"
            )

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(n_in, n_out) of each layer."""
        return tuple(pairwise(self.layer_sizes))

    @property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum((n_in + 1) * n_out for n_in, n_out in self.shapes)

    @property
    def blocks(self) -> dict[str, slice]:
        """Slices of the flat vector for each weight matrix and bias: W1, W2, ..., b1, b2, ..., as in the notes."""
        sizes = {f"W{layer}": n_in * n_out for layer, (n_in, n_out) in enumerate(self.shapes, 1)}
        sizes |= {f"b{layer}": n_out for layer, (_, n_out) in enumerate(self.shapes, 1)}
        ends = np.cumsum(list(sizes.values())).tolist()
        return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    def initialize(self, random_state: UniformSource) -> NDArray[np.float64]:
        """Draw initial weights: U(-r, r) with r = sqrt(6 / (n_in + n_out + 1)), biases 0.

        Parameters
        ----------
        random_state : numpy.random.RandomState or numpy.random.Generator

        Returns
        -------
        theta : array of shape (n_parameters,), float64
            The same numbers whatever the precision of the training.

        References
        ----------
        A. Ng, *CS294A Lecture notes: Sparse autoencoder*, starter code ``initializeParameters``.
        """
        theta = np.zeros(self.n_parameters)
        for (n_in, n_out), block in zip(self.shapes, self.blocks.values(), strict=False):
            bound = np.sqrt(6.0 / (n_in + n_out + 1))
            theta[block] = random_state.uniform(-bound, bound, size=(n_in * n_out,))
        return theta

    def unravel(self, theta: jax.Array) -> Parameters:
        """Split the flat vector [W_1, ..., W_L, b_1, ..., b_L] (each in C order) into the layers' arrays."""
        pieces = [theta[block] for block in self.blocks.values()]
        n_layers = len(self.shapes)
        coefs = tuple(piece.reshape(shape) for piece, shape in zip(pieces[:n_layers], self.shapes, strict=True))
        return Parameters(coefs, tuple(pieces[n_layers:]))

    def ravel(self, parameters: Parameters) -> jax.Array:
        """Concatenate the layers' arrays to the flat vector: the inverse of `unravel`."""
        return jnp.concatenate([jnp.ravel(array) for array in (*parameters.coefs, *parameters.intercepts)])

    def forward(
        self,
        parameters: Parameters,
        inputs: jax.Array,
        known: tuple[jax.Array, ...] = (),
        tangents: jax.Array | None = None,
    ) -> ForwardPass:
        """Propagate inputs (n_features, n_samples) and, optionally, tangents (n_features, n_tangents, n_samples).

        ``known`` holds pre-activations of the first layers from an earlier pass at the same weights. They are not
        computed again; their derivatives are computed as usual.
        """
        hidden_function = get_activation(self.hidden_activation).function
        pre_activations: list[jax.Array] = []
        activations = [inputs]
        for layer, (coef, intercept) in enumerate(zip(*parameters, strict=True)):
            if layer:
                activations.append(hidden_function(pre_activations[-1]))
            z = activations[-1]
            a = known_affine(z, coef, intercept, known[layer]) if layer < len(known) else affine(z, coef, intercept)
            pre_activations.append(a)
        outputs = get_activation(self.output_activation).function(pre_activations[-1])
        along = None if tangents is None else self._along(parameters, tuple(pre_activations), tangents)
        return ForwardPass(tuple(pre_activations), tuple(activations[1:]), outputs, along)

    def _along(
        self, parameters: Parameters, pre_activations: tuple[jax.Array, ...], tangents: jax.Array
    ) -> TangentPass:
        names = [self.hidden_activation] * (len(self.shapes) - 1) + [self.output_activation]
        a_dots: list[jax.Array] = []
        z_dots = [tangents]
        for coef, a, name in zip(parameters.coefs, pre_activations, names, strict=True):
            a_dots.append(linear(z_dots[-1], coef))
            z_dots.append(along_tangents(get_activation(name).function, a, a_dots[-1]))
        return TangentPass(tuple(a_dots), tuple(z_dots[1:-1]), z_dots[-1])


def along_tangents(function: Callable[[jax.Array], jax.Array], a: jax.Array, a_dot: jax.Array) -> jax.Array:
    """Differentiate a function at a, (n_units, n_samples), along tangents a_dot, (n_units, n_tangents, n_samples)."""
    return jax.vmap(lambda a_dot: jax.jvp(function, (a,), (a_dot,))[1], in_axes=1, out_axes=1)(a_dot)


def linear(z_dot: jax.Array, coef: jax.Array) -> jax.Array:
    """Compute W' z_dot for all tangents in one product."""
    n_in, *others = z_dot.shape
    return jnp.matmul(coef.T, z_dot.reshape(n_in, -1), precision=FULL_PRECISION).reshape(-1, *others)


def affine(z: jax.Array, coef: jax.Array, intercept: jax.Array) -> jax.Array:
    """Compute a = W' z + b."""
    return jnp.matmul(coef.T, z, precision=FULL_PRECISION) + intercept[:, None]


@jax.custom_vjp
def known_affine(z: jax.Array, coef: jax.Array, intercept: jax.Array, a: jax.Array) -> jax.Array:
    """Return a = W' z + b, which is known already; its derivatives are those of `affine`."""
    return a


def _known_affine_forward(
    z: jax.Array, coef: jax.Array, intercept: jax.Array, a: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return a, (z, coef, intercept)


def _known_affine_backward(kept: tuple[jax.Array, ...], delta: jax.Array) -> tuple[jax.Array, ...]:
    return (*jax.vjp(affine, *kept)[1](delta), jnp.zeros_like(delta))


known_affine.defvjp(_known_affine_forward, _known_affine_backward)


def weighted_sum(columns: jax.Array, sample_weight: jax.Array) -> jax.Array:
    """Compute sum_n s_n columns_n."""
    return jnp.matmul(columns, sample_weight, precision=FULL_PRECISION)


def outer_products(u: jax.Array, v: jax.Array) -> jax.Array:
    """Compute sum_n u_n v_n'."""
    return jnp.matmul(u, v.T, precision=FULL_PRECISION)
