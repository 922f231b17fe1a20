"""The objective J and its gradient, as sums over chunks.

Every term of J, error functions and penalties alike, has one form: it sums something m(x_n, w) over the samples and
makes of the mean, and of the weights, a number ::

    J(w) = sum_k f_k(M_k(w) / S, w),        M_k(w) = sum_n s_n m_k(x_n, w),        S = sum_n s_n

and so by the chain rule ::

    dJ/dw = sum_k  1/S sum_n s_n <f_k', dm_k(x_n, w)/dw>  +  df_k/dw                                            (1)

where the slope f_k' = df_k/dmean is a constant of the sum. Squared error: m = E_n, f = the mean itself. Weight decay:
no m, f = alpha/2 sum |W|^2. KL sparsity: m = z, f = beta sum_j KL(rho || mean_j).

Where every f_k is linear in its mean, the slopes are known beforehand and one pass over the data is enough. Otherwise a
first pass collects the means that the slopes of the nonlinear terms need, and a second one the gradient (1). Sums,
never means, cross a chunk's boundary, and the division by S happens once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples
from sparsam.engine.network.network import ForwardPass, Network, Parameters
from sparsam.engine.objective.input_scale import InputScale

__all__ = ["Evaluation", "Objective", "Slopes", "Term"]


KEPT_WIDTHS = 4
"""Most memory that an evaluation takes for what its first pass keeps, in units of the data's own."""


class Term(Protocol):
    """A term of J: an error function or a penalty.

    Attributes
    ----------
    name : str
        Its column in the history of a fit.
    linear : bool
        Whether f is linear in the mean, so that its slope needs no pass over the data.
    """

    name: ClassVar[str]
    linear: ClassVar[bool]

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> Any:
        """M = sum_n s_n m(x_n, w) over a chunk: any pytree of arrays, () for none."""

    def value(self, mean: Any, parameters: Parameters) -> jax.Array:
        """f(mean, w), a scalar."""


class Evaluation(NamedTuple):
    """J at some weights.

    Attributes
    ----------
    value : array of shape ()
        J.
    gradient : array of shape (n_parameters,)
        dJ/dtheta.
    terms : array of shape (n_terms,)
        The terms that J is the sum of, in the order of `Objective.terms`.
    """

    value: jax.Array
    gradient: jax.Array
    terms: jax.Array


class Slopes(NamedTuple):
    """f_k' of every term, and sum_k df_k/dw, at some weights."""

    by_mean: tuple[Any, ...]
    by_weights: Parameters


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class Objective:
    """J of a network, as the sum of its terms.

    Parameters
    ----------
    network : Network
    terms : tuple of Term
        The error function, then the penalties.
    mask : array of shape (n_features, n_units) or None
        Of the first layer's weights, 1 for those that there are and 0 for those that are none; None where all are.
    input_scale : InputScale or None
        How the inputs of the samples were scaled: the flat weights are those of the network of scaled inputs, and the
        terms get the weights of unscaled ones. None where the inputs are as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.engine.objective.error_functions import SquaredError
    >>> from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
    >>> objective = Objective(Network((2, 1, 2)), (SquaredError(), WeightDecay(1e-4), KLSparsity(0.1, 3.0)))
    >>> samples = Samples.from_arrays(np.eye(2), chunk_size=2, dtype="float32")
    >>> evaluation = jax.jit(Objective.evaluate)(objective, jnp.zeros(objective.network.n_parameters), samples)
    >>> round(evaluation.value.item(), 4)  # 1/2 (1/4 + 1/4) + 3 KL(0.1 || 0.5)
    1.3542
    """

    network: Network
    terms: tuple[Term, ...]
    mask: jax.Array | None = None
    input_scale: InputScale | None = None

    # As a pytree it says itself of which classes its terms are. JAX 0.10 holds the structures of two registered
    # dataclasses equal wherever their fields are alike, and where their hashes meet too, once in a hundred times, takes
    # the program compiled for the one to evaluate the other.

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the arrays and pytrees in it, and what is fixed when it is compiled."""
        return (self.terms, self.mask, self.input_scale), (self.network, tuple(map(type, self.terms)))

    @classmethod
    def tree_unflatten(cls, fixed: tuple[Any, ...], children: tuple[Any, ...]) -> Objective:
        """Put it together again."""
        return cls(fixed[0], *children)

    def parameters(self, theta: jax.Array) -> Parameters:
        """Cut the flat weights into a layer's arrays; 0 where the mask is."""
        return self._masked(self.network.unravel(theta))

    def unscaled_parameters(self, theta: jax.Array) -> Parameters:
        """Return the layers' arrays for inputs as they are, which are those of `parameters` where nothing is scaled."""
        return self._unscaled(self.parameters(theta))

    def sums(self, parameters: Parameters, chunk: Batch) -> tuple[Any, ...]:
        """M_k of every term over a chunk."""
        return self._sums(self.terms, self.network.forward(parameters, chunk.inputs, (), chunk.tangents), chunk)

    def values(self, sums: tuple[Any, ...], total_weight: jax.Array, parameters: Parameters) -> jax.Array:
        """f_k(M_k / S, w) of every term, (n_terms,), from the sums over all the data; their sum is J."""
        means = self._means(sums, total_weight)
        unscaled = self._unscaled(parameters)
        return jnp.stack([term.value(mean, unscaled) for term, mean in zip(self.terms, means, strict=True)])

    def evaluate(self, theta: jax.Array, samples: Samples) -> Evaluation:
        """Return J, its gradient and its terms at the flat weights theta."""
        parameters = self.parameters(theta)
        sums, known = self._first_pass(parameters, samples)
        slopes = self.slopes(parameters, sums, samples.total_weight, samples.chunk(0))

        def gradient_of_chunk(chunk: Batch, known: Any) -> tuple[Parameters, tuple[Any, ...]]:
            return self.gradient_sums(parameters, slopes, chunk, known)

        gradient, sums = samples.sum_over_chunks(gradient_of_chunk, known)
        return self.evaluation(parameters, gradient, sums, slopes, samples.total_weight)

    # The steps of an evaluation, which `training.streaming` takes one by one.

    def nonlinear_sums(self, parameters: Parameters, chunk: Batch) -> tuple[Any, ...]:
        """M_k over a chunk of the terms whose slopes need a first pass; () where there are none."""
        return self._sums(self._nonlinear(), self.network.forward(parameters, chunk.inputs), chunk)

    def slopes(self, parameters: Parameters, sums: tuple[Any, ...], total_weight: jax.Array, chunk: Batch) -> Slopes:
        """f_k' of every term, and sum_k df_k/dw, from the first pass's sums over all the data; the chunk is for shapes.

        The slope of a linear term is the same at every mean, and zeros will do.
        """
        shapes = jax.eval_shape(lambda: self.sums(parameters, chunk))
        zeros = [jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape) for shape in shapes]
        nonlinear = iter(self._means(sums, total_weight))
        means = [zero if term.linear else next(nonlinear) for term, zero in zip(self.terms, zeros, strict=True)]
        by_term = [
            jax.grad(partial(self._value, term), argnums=(0, 1))(mean, parameters)
            for term, mean in zip(self.terms, means, strict=True)
        ]
        by_mean, by_weights = zip(*by_term, strict=True)
        return Slopes(by_mean, jax.tree.map(lambda *leaves: reduce(jnp.add, leaves), *by_weights))

    def gradient_sums(
        self, parameters: Parameters, slopes: Slopes, chunk: Batch, known: tuple[jax.Array, ...] = ()
    ) -> tuple[Parameters, tuple[Any, ...]]:
        """sum_n s_n <f_k', dm_k(x_n, w)/dw> over a chunk, and M_k of every term."""

        def linearized(parameters: Parameters) -> tuple[jax.Array, tuple[Any, ...]]:
            # Its gradient is the inner product of (1); its value means nothing.
            sums = self._sums(self.terms, self.network.forward(parameters, chunk.inputs, known, chunk.tangents), chunk)
            products = jax.tree.map(lambda slope, total: jnp.sum(slope * total), slopes.by_mean, sums)
            return reduce(jnp.add, jax.tree.leaves(products), jnp.zeros((), chunk.inputs.dtype)), sums

        return jax.grad(linearized, has_aux=True)(parameters)

    def evaluation(
        self,
        parameters: Parameters,
        gradient: Parameters,
        sums: tuple[Any, ...],
        slopes: Slopes,
        total_weight: jax.Array,
    ) -> Evaluation:
        """Make J and its gradient (1) of the sums over all the data."""
        gradient = jax.tree.map(lambda g, h: g / total_weight + h, gradient, slopes.by_weights)
        terms = self.values(sums, total_weight, parameters)
        return Evaluation(jnp.sum(terms), self.network.ravel(self._masked(gradient)), terms)

    def _value(self, term: Term, mean: Any, parameters: Parameters) -> jax.Array:
        return term.value(mean, self._unscaled(parameters))

    def _unscaled(self, parameters: Parameters) -> Parameters:
        return parameters if self.input_scale is None else self.input_scale.unscaled_weights(parameters)

    def _masked(self, parameters: Parameters) -> Parameters:
        if self.mask is None:
            return parameters
        first, *others = parameters.coefs
        return parameters._replace(coefs=(first * self.mask, *others))

    def _nonlinear(self) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if not term.linear)

    def _first_pass(self, parameters: Parameters, samples: Samples) -> tuple[tuple[Any, ...], tuple[jax.Array, ...]]:
        """Return the sums of the nonlinear terms, and the hidden layers' pre-activations that are worth keeping."""
        nonlinear = self._nonlinear()
        if not nonlinear:
            return (), ()
        # Products saved for some memory. Of a single chunk the compiler sees itself that both passes begin alike.
        n_features, *hidden_sizes, _ = self.network.layer_sizes
        worth_keeping = samples.inputs.shape[0] > 1 and sum(hidden_sizes) <= KEPT_WIDTHS * n_features

        def sum_chunk(chunk: Batch) -> tuple[tuple[Any, ...], tuple[jax.Array, ...]]:
            forward = self.network.forward(parameters, chunk.inputs)
            return self._sums(nonlinear, forward, chunk), forward.pre_activations[:-1] if worth_keeping else ()

        return samples.sum_and_keep(sum_chunk)

    def _sums(self, terms: tuple[Term, ...], forward: ForwardPass, chunk: Batch) -> tuple[Any, ...]:
        return tuple(term.sums(self.network, forward, chunk.targets, chunk.sample_weight) for term in terms)

    @staticmethod
    def _means(sums: Any, total_weight: jax.Array) -> Any:
        return jax.tree.map(lambda total: total / total_weight, sums)
