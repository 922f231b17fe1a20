"""The objective J and its gradient, as sums over chunks.

All terms of J, error functions and penalties, have the same form: a term sums some m(x_n, w) over the samples, and its
value is a function of the mean and of the weights ::

    J(w) = sum_k f_k(M_k(w) / S, w),        M_k(w) = sum_n s_n m_k(x_n, w),        S = sum_n s_n

and so by the chain rule ::

    dJ/dw = sum_k  1/S sum_n s_n <f_k', dm_k(x_n, w)/dw>  +  df_k/dw                                            (1)

where the slope f_k' = df_k/dmean is constant in the sum. Squared error: m = E_n, f = the mean itself. Weight decay: no
m, f = alpha/2 sum |W|^2. KL sparsity: m = z, f = beta sum_j KL(rho || mean_j). L1 sparsity: m = z, f = beta sum_j
mean_j |w_j|, w_j the decoder's row of unit j.

If every f_k is linear in its mean, the slopes are known in advance and one pass over the data is enough; df_k/dw, which
may need the means too, is added at its end. Otherwise a first pass computes the means that the slopes of the nonlinear
terms need, and a second pass the gradient (1). Chunks contribute sums, never means, and the division by S happens once.
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

__all__ = ["Evaluation", "Objective", "Term"]


KEPT_WIDTHS = 4
"""Limit of the memory for the first pass's pre-activations, in units of the memory of the data."""


class Term(Protocol):
    """A term of J: an error function or a penalty.

    Attributes
    ----------
    name : str
        Name of its column in the history of a fit.
    linear : bool
        Whether f is linear in the mean, so that its slope needs no pass over the data.
    """

    name: ClassVar[str]
    linear: ClassVar[bool]

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> Any:
        """Compute M = sum_n s_n m(x_n, w) over a chunk: any pytree of arrays, () for none."""

    def value(self, mean: Any, parameters: Parameters) -> jax.Array:
        """Compute f(mean, w), a scalar."""


class Evaluation(NamedTuple):
    """J and its gradient at some weights.

    Attributes
    ----------
    value : array of shape ()
        J.
    gradient : array of shape (n_parameters,)
        dJ/dtheta.
    terms : array of shape (n_terms,)
        The terms whose sum is J, in the order of `Objective.terms`.
    """

    value: jax.Array
    gradient: jax.Array
    terms: jax.Array


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True)
class Objective:
    """The objective J of a network, a sum of terms.

    Parameters
    ----------
    network : Network
    terms : tuple of Term
        The error function, then the penalties.
    mask : array of shape (n_features, n_units) or None
        1 for the first layer's weights that exist, 0 for those fixed at zero; None if all exist.
    input_scale : InputScale or None
        The scaling of the samples' inputs. The flat weights belong to the scaled inputs; the terms get the weights for
        unscaled inputs. None if the inputs are not scaled.
    kink_width : float or None
        Width over which kinks of activations are rounded, which makes J smooth; None or 0 for J itself.

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
    kink_width: float | jax.Array | None = None

    # The pytree structure includes the classes of the terms. JAX 0.10 considers the structures of two registered
    # dataclasses equal if their fields are alike. If their hashes collide as well, about one time in a hundred, it
    # evaluates one with the program compiled for the other.

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the children of the pytree, and its static parts, which are fixed at compilation."""
        children = (self.terms, self.mask, self.input_scale, self.kink_width)
        return children, (self.network, tuple(map(type, self.terms)))

    @classmethod
    def tree_unflatten(cls, fixed: tuple[Any, ...], children: tuple[Any, ...]) -> Objective:
        """Rebuild the objective from its static parts and children."""
        return cls(fixed[0], *children)

    def parameters(self, theta: jax.Array) -> Parameters:
        """Split the flat weights into the layers' arrays; weights are 0 where the mask is 0."""
        return self._masked(self.network.unravel(theta))

    def unscaled_parameters(self, theta: jax.Array) -> Parameters:
        """Return the layers' arrays for unscaled inputs; without `input_scale` they equal `parameters`."""
        return self._unscaled(self.parameters(theta))

    def forward(
        self,
        parameters: Parameters,
        inputs: jax.Array,
        known: tuple[jax.Array, ...] = (),
        tangents: jax.Array | None = None,
    ) -> ForwardPass:
        """Propagate inputs and tangents: see `Network.forward`."""
        return self.network.forward(parameters, inputs, known, tangents, self.kink_width)

    def sums(self, parameters: Parameters, chunk: Batch) -> tuple[Any, ...]:
        """Compute M_k of every term over a chunk."""
        return self._sums(self.terms, self.forward(parameters, chunk.inputs, (), chunk.tangents), chunk)

    def values(self, sums: tuple[Any, ...], total_weight: jax.Array, parameters: Parameters) -> jax.Array:
        """Compute f_k(M_k / S, w) of every term, (n_terms,), from the sums over all data; their sum is J."""
        means = self._means(sums, total_weight)
        unscaled = self._unscaled(parameters)
        return jnp.stack([term.value(mean, unscaled) for term, mean in zip(self.terms, means, strict=True)])

    def evaluate(self, theta: jax.Array, samples: Samples) -> Evaluation:
        """Compute J, its gradient and its terms at the flat weights theta."""
        parameters = self.parameters(theta)
        sums, known = self._first_pass(parameters, samples)
        slopes = self.slopes(parameters, sums, samples.total_weight, samples.chunk(0))

        def gradient_of_chunk(chunk: Batch, known: Any) -> tuple[Parameters, tuple[Any, ...]]:
            return self.gradient_sums(parameters, slopes, chunk, known)

        gradient, sums = samples.sum_over_chunks(gradient_of_chunk, known)
        return self.evaluation(parameters, gradient, sums, samples.total_weight)

    # The steps of an evaluation, which `training.streaming` calls separately.

    def nonlinear_sums(self, parameters: Parameters, chunk: Batch) -> tuple[Any, ...]:
        """Compute M_k over a chunk for the terms whose slopes need a first pass; () if there are none."""
        return self._sums(self._nonlinear(), self.forward(parameters, chunk.inputs), chunk)

    def slopes(
        self, parameters: Parameters, sums: tuple[Any, ...], total_weight: jax.Array, chunk: Batch
    ) -> tuple[Any, ...]:
        """Compute f_k' of every term from the first pass's sums over all data.

        Only the shapes of the chunk are used. The slope of a linear term is the same at every mean, so it is taken at
        zeros.
        """
        shapes = jax.eval_shape(lambda: self.sums(parameters, chunk))
        zeros = [jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape) for shape in shapes]
        nonlinear = iter(self._means(sums, total_weight))
        means = [zero if term.linear else next(nonlinear) for term, zero in zip(self.terms, zeros, strict=True)]
        return tuple(
            jax.grad(partial(self._value, term))(mean, parameters) for term, mean in zip(self.terms, means, strict=True)
        )

    def gradient_sums(
        self, parameters: Parameters, slopes: tuple[Any, ...], chunk: Batch, known: tuple[jax.Array, ...] = ()
    ) -> tuple[Parameters, tuple[Any, ...]]:
        """Compute sum_n s_n <f_k', dm_k(x_n, w)/dw> over a chunk, and M_k of every term."""

        def linearized(parameters: Parameters) -> tuple[jax.Array, tuple[Any, ...]]:
            # Its gradient is the inner product in (1); its value has no meaning.
            sums = self._sums(self.terms, self.forward(parameters, chunk.inputs, known, chunk.tangents), chunk)
            products = jax.tree.map(lambda slope, total: jnp.sum(slope * total), slopes, sums)
            return reduce(jnp.add, jax.tree.leaves(products), jnp.zeros((), chunk.inputs.dtype)), sums

        return jax.grad(linearized, has_aux=True)(parameters)

    def evaluation(
        self,
        parameters: Parameters,
        gradient: Parameters,
        sums: tuple[Any, ...],
        total_weight: jax.Array,
    ) -> Evaluation:
        """Compute J and its gradient (1) from the sums over all data."""
        by_weights = [
            jax.grad(partial(self._value, term), argnums=1)(mean, parameters)
            for term, mean in zip(self.terms, self._means(sums, total_weight), strict=True)
        ]
        by_all = jax.tree.map(lambda *leaves: reduce(jnp.add, leaves), *by_weights)
        gradient = jax.tree.map(lambda g, h: g / total_weight + h, gradient, by_all)
        terms = self.values(sums, total_weight, parameters)
        slopes_by_theta = self.network.tie_gradient(self._masked(gradient))
        return Evaluation(jnp.sum(terms), self.network.ravel(slopes_by_theta), terms)

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
        """Return the sums of the nonlinear terms, and the hidden layers' pre-activations if they are worth keeping."""
        nonlinear = self._nonlinear()
        if not nonlinear:
            return (), ()
        # Keeping them saves matrix products and costs memory. For a single chunk, the compiler itself recognizes that
        # both passes begin with the same products.
        n_features, *hidden_sizes, _ = self.network.layer_sizes
        worth_keeping = samples.inputs.shape[0] > 1 and sum(hidden_sizes) <= KEPT_WIDTHS * n_features

        def sum_chunk(chunk: Batch) -> tuple[tuple[Any, ...], tuple[jax.Array, ...]]:
            forward = self.forward(parameters, chunk.inputs)
            return self._sums(nonlinear, forward, chunk), forward.pre_activations[:-1] if worth_keeping else ()

        return samples.sum_and_keep(sum_chunk)

    def _sums(self, terms: tuple[Term, ...], forward: ForwardPass, chunk: Batch) -> tuple[Any, ...]:
        return tuple(term.sums(self.network, forward, chunk.targets, chunk.sample_weight) for term in terms)

    @staticmethod
    def _means(sums: Any, total_weight: jax.Array) -> Any:
        return jax.tree.map(lambda total: total / total_weight, sums)
