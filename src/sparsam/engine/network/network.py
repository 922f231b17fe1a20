"""A feed-forward network: its layers, their initial weights, the forward pass, and the flat parameter vector.

Layer l maps the activations z of the layer before it (for the first layer, the inputs x) to ::

    a = W_l' z + b_l,        z = h(a)

with ``W_l`` (n_in, n_out) as in scikit-learn's MLP (PRML's w_ji transposed). h is elementwise, except for softmax
outputs.

Inside the engine samples are in columns, as in CS294A: z is (n_units, n_samples). In every product of a pass the
samples, the longest dimension, are then contiguous in memory, which is a tenth faster for large layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.network.activations import ACTIVATIONS, Activation, get_activation

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


DICTIONARY_LENGTH = 0.3
"""Length of the rows of a new decoder in `Network.initialize_dictionary`. Longer rows, whose first reconstructions are
too large, leave units dead: 32 of 400 on word vectors at 0.5, 119 at 1."""


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


class NormalSource(Protocol):
    """A random number generator, as for `UniformSource`."""

    def standard_normal(self, size: tuple[int, ...]) -> NDArray[np.float64]:
        """Draw from the standard normal distribution."""


@dataclass(frozen=True)
class Network:
    """The architecture of a feed-forward network, without its weights.

    It is hashable, so that every fit of the same architecture uses the same compiled program.

    Parameters
    ----------
    layer_sizes : tuple of int
        D, M_1, ..., K: inputs, hidden layers, outputs; at least (D, K).
    hidden_activation : str or tuple of str
        Activation of all hidden layers, or of each; see `network.activations`.
    output_activation : str
        Softmax is for the outputs only.
    tied : bool
        Whether the second half of the layers has the weights of the first half, transposed, in reverse order: the
        layers of an autoencoder whose decoder is tied to its encoder. Biases are not tied.

    Examples
    --------
    >>> network = Network((64, 25, 64))
    >>> network.n_parameters
    3289
    """

    layer_sizes: tuple[int, ...]
    hidden_activation: str | tuple[str, ...] = "logistic"
    output_activation: str = "logistic"
    tied: bool = False

    def __post_init__(self) -> None:
        if len(self.layer_sizes) < 2 or min(self.layer_sizes) < 1:
            raise ValueError(
                "layer_sizes must be the positive sizes of at least the input and the output layer: "
                f"got {self.layer_sizes}"
            )
        if not isinstance(self.hidden_activation, str) and len(self.hidden_activation) != len(self.layer_sizes) - 2:
            raise ValueError(
                f"hidden_activation names {len(self.hidden_activation)} activations, but there are "
                f"{len(self.layer_sizes) - 2} hidden layers"
            )
        get_activation(self.output_activation)
        hidden = (self.hidden_activation,) if isinstance(self.hidden_activation, str) else self.hidden_activation
        for name in hidden:
            if not get_activation(name).elementwise:
                raise ValueError(
                    f"{name!r} is for outputs only, because its units depend on each other; "
                    f"hidden units need an elementwise activation: {', '.join(ELEMENTWISE)}"
                )

        if self.tied and (len(self.layer_sizes) % 2 == 0 or self.layer_sizes != self.layer_sizes[::-1]):
            raise ValueError(f"layers of the sizes {self.layer_sizes} cannot be tied: they are not symmetric")

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Activation of each layer; the last one is that of the outputs."""
        hidden = self.hidden_activation
        names = [hidden] * (len(self.layer_sizes) - 2) if isinstance(hidden, str) else hidden
        return tuple(get_activation(name) for name in (*names, self.output_activation))

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(n_in, n_out) of each layer."""
        return tuple(pairwise(self.layer_sizes))

    @property
    def n_free(self) -> int:
        """Number of layers, the first ones, whose weights are not those of another layer."""
        return len(self.shapes) // 2 if self.tied else len(self.shapes)

    @property
    def n_parameters(self) -> int:
        """Length of the flat parameter vector."""
        return sum(n_in * n_out for n_in, n_out in self.shapes[: self.n_free]) + sum(self.layer_sizes[1:])

    @property
    def blocks(self) -> dict[str, slice]:
        """Slices of the flat vector for each weight matrix and bias: W1, W2, ..., b1, b2, ..., as in the notes.

        Tied layers have no slice for their weights.
        """
        sizes = {f"W{layer}": n_in * n_out for layer, (n_in, n_out) in enumerate(self.shapes[: self.n_free], 1)}
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
        for (n_in, n_out), block in zip(self.shapes[: self.n_free], self.blocks.values(), strict=False):
            bound = np.sqrt(6.0 / (n_in + n_out + 1))
            theta[block] = random_state.uniform(-bound, bound, size=(n_in * n_out,))
        return theta

    def initialize_dictionary(self, random_state: NormalSource) -> NDArray[np.float64]:
        """Draw initial weights of an autoencoder whose units stand for directions; biases 0.

        Row j of the decoder W_2 is a direction drawn uniformly, of length `DICTIONARY_LENGTH`, and the encoder its
        transpose: each unit responds to the direction that it adds to the outputs, and none has a lead.

        Parameters
        ----------
        random_state : numpy.random.RandomState or numpy.random.Generator

        Returns
        -------
        theta : array of shape (n_parameters,), float64

        Raises
        ------
        ValueError
            Unless there is one hidden layer, and as many outputs as inputs.
        """
        n_in, n_units, n_out = self.layer_sizes
        if n_in != n_out:
            raise ValueError(f"an autoencoder has as many outputs as inputs, but there are {n_out} and {n_in}")
        directions = random_state.standard_normal(size=(n_units, n_in))
        decoder = DICTIONARY_LENGTH * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        coefs = [decoder.T, decoder][: self.n_free]
        return np.concatenate([*map(np.ravel, coefs), np.zeros(n_units + n_out)])

    def unravel(self, theta: jax.Array) -> Parameters:
        """Split the flat vector [W_1, ..., W_L, b_1, ..., b_L] (each in C order) into the layers' arrays."""
        pieces = [theta[block] for block in self.blocks.values()]
        free = tuple(piece.reshape(shape) for piece, shape in zip(pieces[: self.n_free], self.shapes, strict=False))
        tied = tuple(coef.T for coef in reversed(free)) if self.tied else ()
        return Parameters(free + tied, tuple(pieces[self.n_free :]))

    def ravel(self, parameters: Parameters) -> jax.Array:
        """Concatenate the layers' arrays to the flat vector: the inverse of `unravel`."""
        return jnp.concatenate([jnp.ravel(a) for a in (*parameters.coefs[: self.n_free], *parameters.intercepts)])

    def tie_gradient(self, gradient: Parameters) -> Parameters:
        """Add the slopes by the weights of tied layers, transposed, to those by the weights that they are."""
        if not self.tied:
            return gradient
        coefs = gradient.coefs
        pairs = zip(coefs[: self.n_free], coefs[: self.n_free - 1 : -1], strict=True)
        return gradient._replace(coefs=tuple(own + tied.T for own, tied in pairs))

    def forward(
        self,
        parameters: Parameters,
        inputs: jax.Array,
        known: tuple[jax.Array, ...] = (),
        tangents: jax.Array | None = None,
        kink_width: float | jax.Array | None = None,
    ) -> ForwardPass:
        """Propagate inputs (n_features, n_samples) and, optionally, tangents (n_features, n_tangents, n_samples).

        ``known`` holds pre-activations of the first layers from an earlier pass at the same weights. They are not
        computed again; their derivatives are computed as usual. If there is a ``kink_width``, kinks of activations are
        rounded over it.
        """
        pre_activations: list[jax.Array] = []
        z = [inputs]
        functions = [activation.smooth(kink_width) for activation in self.activations]
        for layer, (coef, intercept, h) in enumerate(zip(*parameters, functions, strict=True)):
            if layer < len(known):
                a = known_affine(z[-1], coef, intercept, known[layer])
            else:
                a = affine(z[-1], coef, intercept)
            pre_activations.append(a)
            z.append(h(a))
        along = None if tangents is None else _along(functions, parameters, tuple(pre_activations), tangents)
        return ForwardPass(tuple(pre_activations), tuple(z[1:-1]), z[-1], along)


def _along(
    functions: Sequence[Callable[[jax.Array], jax.Array]],
    parameters: Parameters,
    pre_activations: tuple[jax.Array, ...],
    tangents: jax.Array,
) -> TangentPass:
    a_dots: list[jax.Array] = []
    z_dots = [tangents]
    for coef, a, h in zip(parameters.coefs, pre_activations, functions, strict=True):
        a_dots.append(linear(z_dots[-1], coef))
        z_dots.append(along_tangents(h, a, a_dots[-1]))
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
