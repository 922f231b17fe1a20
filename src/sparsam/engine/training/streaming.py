"""Data that are not held: batches that are read or made again in every pass.

A batch is some thousands of rows, which become `sparsam.engine.Samples` for a moment. While one batch is computed, the
next is fetched in another thread and moved to the device. Memory is set by the batch, not by the number of samples.

The sums over the batches are those of an evaluation of `objective.objective`, taken one by one. Each device adds up its
own, and each process reads its own batches, as many as it has; at the end of a pass the sums of all are added once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import DTypeLike

from sparsam._utils.jax_settings import own_settings
from sparsam._utils.jit import quick_jit
from sparsam.engine.curvature.factors import InputMoments, assemble, input_moments_of, input_products, moments
from sparsam.engine.curvature.kronecker import KroneckerFactors
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import local_devices, n_processes, spread
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.objective import Evaluation, Objective, Slopes

__all__ = ["StreamedSamples", "evaluate_stream", "stream_factors", "stream_input_moments", "summed"]


@dataclass(frozen=True)
class StreamedSamples:
    """Batches of the data, the same in every pass.

    Attributes
    ----------
    batches : callable
        Returns an iterator over `Batch`, of at most ``batch_size`` samples each.
    batch_size, chunk_size : int
        Samples of a batch, and of a chunk of it on a device.
    total_weight : float
        S, the sum of all weights, of all processes.
    dtype : {"float32", "float64"}
        Precision in which batches reach the device.
    mesh : jax.sharding.Mesh or None
        Over whose devices each batch is divided. Of several processes each has batches of its own.
    """

    batches: Callable[[], Iterator[Batch]]
    batch_size: int
    chunk_size: int
    total_weight: float
    dtype: DTypeLike
    mesh: Mesh | None = None

    @property
    def weight(self) -> jax.Array:
        """S in the precision of the training; of NumPy, for the devices of whatever process."""
        return cast(jax.Array, np.asarray(self.total_weight, self.dtype))

    @cached_property
    def blank(self) -> Batch:
        """A chunk of zeros, for shapes."""
        no = self._no_rows
        rows = (no.inputs, no.inputs if no.targets is None else no.targets, np.ones(0), no.tangents)
        zeros = [None if a is None else np.zeros((*a.shape[:0:-1], self.chunk_size), self.dtype) for a in rows]
        return Batch(*zeros)

    @cached_property
    def _no_rows(self) -> Batch:
        first = next(iter(self.batches()), None)
        if first is None:
            raise ValueError("the stream has no batches")
        return Batch(*(None if part is None else np.array(part[:0]) for part in first))

    def __iter__(self) -> Iterator[Samples]:
        source = iter(self.batches())

        def fetch() -> Samples | None:
            batch = next(source, None)
            with own_settings(self.dtype):  # which are of the thread
                return batch and self._samples(batch)

        ahead = self._reader.submit(fetch)
        while (samples := ahead.result()) is not None:
            ahead = self._reader.submit(fetch)
            yield samples

    @cached_property
    def _reader(self) -> ThreadPoolExecutor:
        """The thread that fetches: one for all passes, since each thread has a heap of its own."""
        return ThreadPoolExecutor(1, thread_name_prefix="sparsam-stream")

    def _samples(self, batch: Batch) -> Samples:
        return Samples.from_arrays(
            *batch,
            chunk_size=self.chunk_size,
            dtype=self.dtype,
            mesh=self._local,
            n_buffered=-(-self.batch_size // (self.chunk_size * (1 if self._local is None else self._local.size))),
            total_weight=self.total_weight,
        )

    @cached_property
    def _local(self) -> Mesh | None:
        """The part of the mesh that is this process's own; None for a single device."""
        devices = [] if self.mesh is None else local_devices(self.mesh)
        return Mesh(np.array(devices), ("samples",)) if len(devices) > 1 else None

    def sum(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Sum a compiled function (*arguments, samples), a pytree of arrays, over all batches: see `summed`.

        Raises
        ------
        ValueError
            If there are no batches.
        RuntimeError
            If another process cannot read its own.
        """
        arguments = self._on_local_devices(arguments)
        if self.mesh is None or n_processes(self.mesh) == 1:
            total = self._own_sum(function, arguments)
            return total if self.mesh is None else self._of_all_devices(total)
        nothing, failure = self._samples(self._no_rows), None
        try:
            total = self._own_sum(function, arguments)
        except Exception as error:  # the others must not wait for this process: what it says goes with the sums
            total, failure = function(*arguments, nothing), error
        flag = jnp.where(nothing.n_chunks >= 0, jnp.float32(failure is not None), 0)  # one a device
        total, failures = self._of_all_devices((total, flag if self._local is not None else flag[0]))
        if failure is not None:
            raise failure
        if float(failures) > 0:
            raise RuntimeError("the data of another process cannot be read: see the log of that process")
        return total

    def _own_sum(self, function: Callable[..., Any], arguments: Any) -> Any:
        total: Any = None
        for samples in self:
            jax.block_until_ready(total)  # devices are given work, not waited for: batches would heap up before them
            part = function(*arguments, samples)
            total = part if total is None else _added(total, part)
        if total is None:
            raise ValueError("the stream has no batches")
        return total

    def _on_local_devices(self, tree: Any) -> Any:
        """Give what is the same on all devices to those of this process."""
        if n_processes(self.mesh) == 1:
            return tree

        def local(leaf: Any) -> Any:
            if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
                return leaf
            shards = [shard.data for shard in leaf.addressable_shards]
            if self._local is None:
                return shards[0]
            everywhere = NamedSharding(self._local, PartitionSpec())
            return jax.make_array_from_single_device_arrays(leaf.shape, everywhere, shards)

        return jax.tree.map(local, tree)

    def _of_all_devices(self, sums: Any) -> Any:
        """Add the sums of all devices, of which those of this process are given."""
        mesh = cast(Mesh, self.mesh)
        over = NamedSharding(mesh, spread(mesh))

        def everywhere(leaf: jax.Array) -> jax.Array:
            own = leaf[None] if self._local is None else leaf
            shards = [shard.data for shard in own.addressable_shards]
            return jax.make_array_from_single_device_arrays((mesh.size, *own.shape[1:]), over, shards)

        return _summed_everywhere(mesh)(jax.tree.map(everywhere, sums))


def evaluate_stream(objective: Objective, theta: jax.Array, stream: StreamedSamples) -> Evaluation:
    """J, its gradient and its terms, as `Objective.evaluate` has them."""
    parameters = _parameters(objective, theta)
    linear = all(term.linear for term in objective.terms)
    sums = () if linear else _nonlinear_sums(objective, parameters, stream)
    slopes = _slopes(objective, parameters, sums, stream.weight, stream.blank)
    gradient, sums = _gradient_sums(objective, parameters, slopes, stream)
    return _evaluation(objective, parameters, gradient, sums, slopes, stream.weight)


def stream_input_moments(stream: StreamedSamples, objective: Objective | None = None) -> InputMoments:
    """Do what `curvature.factors.input_moments` does."""
    return _input_moments_of(_input_products(stream), stream.weight, objective)


def stream_factors(
    objective: Objective, theta: jax.Array, stream: StreamedSamples, inputs: InputMoments
) -> KroneckerFactors:
    """Do what `curvature.factors.kronecker_factors` does, of all samples always: the pass costs more than they do."""
    parameters = _parameters(objective, theta)
    sums = _moments(objective, parameters, stream)
    return _assemble(objective, parameters, sums, inputs, stream.weight)


# The compiled steps.


def summed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function (*arguments, chunk) as one of (*arguments, data) that sums over the data's chunks.

    The data are samples, or a stream of them; the arguments, and the sums, are the same on all devices.
    """

    def over_chunks(*arguments: Any) -> Any:
        *others, samples = arguments
        return samples.sum_over_chunks(partial(function, *others))

    def is_large(*arguments: Any) -> bool:
        return len(arguments[-1].inputs) > 1

    of_samples = quick_jit(on_every_device(over_chunks), thorough=is_large)
    of_batch = quick_jit(on_every_device(over_chunks, add=False), thorough=is_large)

    def of_data(*arguments: Any) -> Any:
        *others, data = arguments
        return data.sum(of_batch, *others) if isinstance(data, StreamedSamples) else of_samples(*arguments)

    return of_data


def _gradient(objective: Objective, parameters: Parameters, slopes: Slopes, chunk: Batch) -> Any:
    return objective.gradient_sums(parameters, slopes, chunk)


_parameters = quick_jit(Objective.parameters)
_nonlinear_sums = summed(Objective.nonlinear_sums)
_slopes = quick_jit(Objective.slopes)
_gradient_sums = summed(_gradient)
_moments = summed(moments)
_input_products = summed(input_products)


@jax.jit
def _added(total: Any, part: Any) -> Any:
    return jax.tree.map(jnp.add, total, part)


@cache
def _summed_everywhere(mesh: Mesh) -> Callable[[Any], Any]:
    return jax.jit(
        lambda sums: jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums),
        out_shardings=NamedSharding(mesh, PartitionSpec()),
    )


@quick_jit
def _evaluation(
    objective: Objective, parameters: Parameters, gradient: Parameters, sums: Any, slopes: Slopes, weight: jax.Array
) -> Evaluation:
    return objective.evaluation(parameters, gradient, sums, slopes, weight)


@quick_jit
def _input_moments_of(sums: Any, weight: jax.Array, objective: Objective | None) -> InputMoments:
    return input_moments_of(jax.tree.map(lambda total: total / weight, sums), objective)


@quick_jit
def _assemble(
    objective: Objective, parameters: Parameters, sums: Any, inputs: InputMoments, weight: jax.Array
) -> KroneckerFactors:
    return assemble(objective, parameters, jax.tree.map(lambda total: total / weight, sums), inputs)
