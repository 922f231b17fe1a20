"""Data that are not held: chunks that are made or read again for every pass.

The same steps as of samples that reside on the device, taken from a Python loop: while one chunk is computed, the next
is fetched in another thread and moved to the device. Memory is set by the chunk, not by the number of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from sparsam.compilation import quick_jit
from sparsam.curvature import InputMoments, assemble, input_moments_of, input_products, moments
from sparsam.kronecker import KroneckerFactors
from sparsam.network import Parameters
from sparsam.objective import Evaluation, Objective, Slopes
from sparsam.samples import Chunk

__all__ = ["Stream", "evaluate_stream", "stream_factors", "stream_input_moments"]

Sums = TypeVar("Sums")


@dataclass(frozen=True)
class Stream:
    """Chunks of host arrays, all of one shape, the same in every pass.

    Attributes
    ----------
    chunks : callable
        Returns an iterator over `sparsam.samples.Chunk` of NumPy arrays, samples in the last axis; those that only fill
        up have weight 0.
    total_weight : float
        S, the sum of all weights.
    dtype : {"float32", "float64"}
        Precision in which chunks reach the device.
    """

    chunks: Callable[[], Iterator[Chunk]]
    total_weight: float
    dtype: DTypeLike

    @property
    def weight(self) -> jax.Array:
        """S in the precision of the training."""
        return jnp.asarray(self.total_weight, self.dtype)

    def __iter__(self) -> Iterator[Chunk]:
        source = iter(self.chunks())

        def fetch() -> Chunk | None:
            chunk = next(source, None)
            # The precision is a setting of the thread.
            with jax.enable_x64(np.dtype(self.dtype) == np.float64):
                return chunk and jax.tree.map(lambda array: jax.device_put(np.asarray(array, self.dtype)), chunk)

        with ThreadPoolExecutor(1) as other:
            ahead = other.submit(fetch)
            while (chunk := ahead.result()) is not None:
                ahead = other.submit(fetch)
                yield chunk

    def sum(self, function: Callable[[Chunk], Sums]) -> tuple[Sums, Chunk]:
        """Sum a compiled function of the chunk, a pytree of arrays, over all chunks; return the last chunk, too.

        Raises
        ------
        ValueError
            If there are no chunks.
        """
        total: Any = None
        for chunk in self:
            part = function(chunk)
            total = part if total is None else _added(total, part)
        if total is None:
            raise ValueError("the stream has no chunks")
        return total, chunk


def evaluate_stream(objective: Objective, theta: jax.Array, stream: Stream) -> Evaluation:
    """J, its gradient and its terms, as `Objective.evaluate` has them."""
    parameters = _parameters(objective, theta)
    sums: Any = ()
    if all(term.linear for term in objective.terms):
        chunk = next(iter(stream))
    else:
        sums, chunk = stream.sum(partial(_nonlinear_sums, objective, parameters))
    slopes = _slopes(objective, parameters, sums, stream.weight, chunk)
    (gradient, sums), _ = stream.sum(partial(_gradient_sums, objective, parameters, slopes))
    return _evaluation(objective, parameters, gradient, sums, slopes, stream.weight)


def stream_input_moments(stream: Stream) -> InputMoments:
    """Do what `sparsam.curvature.input_moments` does."""
    sums, _ = stream.sum(_input_products)
    return _input_moments_of(sums, stream.weight)


def stream_factors(objective: Objective, theta: jax.Array, stream: Stream, inputs: InputMoments) -> KroneckerFactors:
    """Do what `sparsam.curvature.kronecker_factors` does, of all samples always: the pass costs more than they do."""
    parameters = _parameters(objective, theta)
    sums, _ = stream.sum(partial(_moments, objective, parameters))
    return _assemble(objective, parameters, sums, inputs, stream.weight)


# The compiled steps.

_parameters = quick_jit(Objective.parameters)
_nonlinear_sums = quick_jit(Objective.nonlinear_sums)
_slopes = quick_jit(Objective.slopes)
_gradient_sums = quick_jit(Objective.gradient_sums)
_moments = quick_jit(moments)
_input_products = quick_jit(input_products)


@jax.jit
def _added(total: Sums, part: Sums) -> Sums:
    return jax.tree.map(jnp.add, total, part)


@quick_jit
def _evaluation(
    objective: Objective, parameters: Parameters, gradient: Parameters, sums: Any, slopes: Slopes, weight: jax.Array
) -> Evaluation:
    return objective.evaluation(parameters, gradient, sums, slopes, weight)


@quick_jit
def _input_moments_of(sums: Any, weight: jax.Array) -> InputMoments:
    return input_moments_of(jax.tree.map(lambda total: total / weight, sums))


@quick_jit
def _assemble(
    objective: Objective, parameters: Parameters, sums: Any, inputs: InputMoments, weight: jax.Array
) -> KroneckerFactors:
    return assemble(objective, parameters, jax.tree.map(lambda total: total / weight, sums), inputs)
