"""Streamed data: batches that are read or generated again in every pass.

A batch is some thousands of rows, which become `sparsam.engine.Samples` temporarily. While one batch is computed, a
thread fetches the next one and moves it to the device. The memory needed depends on the batch, not on the number of
samples.

An evaluation sums over the batches in the steps of `objective.objective`. Each device sums over its own samples, and
each process reads its own batches, any number of them; at the end of a pass all sums are added once.
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

from sparsam._utils.jit import quick_jit
from sparsam.engine.curvature.factors import InputMoments, assemble, input_moments_of, input_products, moments
from sparsam.engine.curvature.kronecker import KroneckerFactors
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import local_devices, n_processes, spread
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Parameters
from sparsam.engine.objective.objective import Evaluation, Objective

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
        S, the sum of all weights over all processes.
    dtype : {"float32", "float64"}
        Precision in which batches reach the device.
    mesh : jax.sharding.Mesh or None
        Each batch is divided over its devices. With several processes, each has its own batches.
    """

    batches: Callable[[], Iterator[Batch]]
    batch_size: int
    chunk_size: int
    total_weight: float
    dtype: DTypeLike
    mesh: Mesh | None = None

    @property
    def weight(self) -> jax.Array:
        """S in the precision of the training; a NumPy array, which is valid on the devices of any process."""
        return cast(jax.Array, np.asarray(self.total_weight, self.dtype))

    @property
    def row_bytes(self) -> int:
        """Size of a row, with its targets, weight and tangents, in the precision of the training."""
        numbers = sum(int(np.prod(part.shape[1:])) for part in self._no_rows if part is not None)
        return numbers * np.dtype(self.dtype).itemsize

    @property
    def n_tangents(self) -> int:
        """Number of tangents of a sample."""
        return 0 if self._no_rows.tangents is None else int(self._no_rows.tangents.shape[1])

    @cached_property
    def blank(self) -> Batch:
        """A chunk of zeros, for shapes."""
        empty = self._no_rows
        rows = (empty.inputs, empty.inputs if empty.targets is None else empty.targets, np.ones(0), empty.tangents)
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
            with precision(self.dtype):  # settings are per thread
                return batch and self._samples(batch)

        ahead = self._reader.submit(fetch)
        while (samples := ahead.result()) is not None:
            ahead = self._reader.submit(fetch)
            yield samples

    @cached_property
    def _reader(self) -> ThreadPoolExecutor:
        """The thread that fetches batches: one for all passes, since each thread has its own heap."""
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
        """The devices of the mesh that belong to this process; None for a single device."""
        devices = [] if self.mesh is None else local_devices(self.mesh)
        return Mesh(np.array(devices), ("samples",)) if len(devices) > 1 else None

    def sum(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Sum a compiled function of (*arguments, samples), a pytree of arrays, over all batches; see `summed`.

        Raises
        ------
        ValueError
            If there are no batches.
        RuntimeError
            If another process cannot read its batches.
        """
        arguments = self._on_local_devices(arguments)
        if self.mesh is None or n_processes(self.mesh) == 1:
            total = self._local_sum(function, arguments)
            return total if self.mesh is None else self._add_devices(total)
        empty, failure = self._samples(self._no_rows), None
        try:
            total = self._local_sum(function, arguments)
        except Exception as error:  # the other processes must not wait: send a flag of the failure with the sums
            total, failure = function(*arguments, empty), error
        flag = jnp.where(empty.n_chunks >= 0, jnp.float32(failure is not None), 0)  # one per device
        total, failures = self._add_devices((total, flag if self._local is not None else flag[0]))
        if failure is not None:
            raise failure
        if float(failures) > 0:
            raise RuntimeError("the data of another process cannot be read: see the log of that process")
        return total

    def _local_sum(self, function: Callable[..., Any], arguments: Any) -> Any:
        total: Any = None
        for samples in self:
            jax.block_until_ready(total)  # computation is asynchronous: batches would pile up in memory
            part = function(*arguments, samples)
            total = part if total is None else _added(total, part)
        if total is None:
            raise ValueError("the stream has no batches")
        return total

    def _on_local_devices(self, tree: Any) -> Any:
        """Restrict arrays that are replicated on all devices to the devices of this process."""
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

    def _add_devices(self, sums: Any) -> Any:
        """Add the sums of all devices, given those of this process's devices."""
        mesh = cast(Mesh, self.mesh)
        sharding = NamedSharding(mesh, spread(mesh))
        if self._local is None:
            sums = _stacked(sums)

        def everywhere(own: jax.Array) -> jax.Array:
            shards = [shard.data for shard in own.addressable_shards]
            return jax.make_array_from_single_device_arrays((mesh.size, *own.shape[1:]), sharding, shards)

        return _compiled_add_devices(mesh)(jax.tree.map(everywhere, sums))


def evaluate_stream(objective: Objective, theta: jax.Array, stream: StreamedSamples) -> Evaluation:
    """Compute J, its gradient and its terms, as `Objective.evaluate` does."""
    parameters = _parameters(objective, theta)
    linear = all(term.linear for term in objective.terms)
    sums = () if linear else _nonlinear_sums(objective, parameters, stream)
    slopes = _slopes(objective, parameters, sums, stream.weight, stream.blank)
    gradient, sums = _gradient_sums(objective, parameters, slopes, stream)
    return _evaluation(objective, parameters, gradient, sums, stream.weight)


def stream_input_moments(stream: StreamedSamples, objective: Objective | None = None) -> InputMoments:
    """Compute the input moments, as `curvature.factors.input_moments` does."""
    return _input_moments_of(_input_products(stream), stream.weight, objective)


def stream_factors(
    objective: Objective, theta: jax.Array, stream: StreamedSamples, inputs: InputMoments
) -> KroneckerFactors:
    """Compute the factors, as `curvature.factors.kronecker_factors` does, but always from all samples.

    Reading the data costs more than computing the factors.
    """
    parameters = _parameters(objective, theta)
    sums = _moments(objective, parameters, stream)
    return _assemble(objective, parameters, sums, inputs, stream.weight)


# The compiled steps.


def summed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function of (*arguments, chunk) into a compiled function of (*arguments, data) that sums over the chunks.

    The data are samples, or a stream of them; the arguments and the sums are the same on all devices.
    """

    def over_chunks(*arguments: Any) -> Any:
        *others, samples = arguments
        return samples.sum_over_chunks(partial(function, *others))

    def is_large(*arguments: Any) -> bool:
        return bool(arguments[-1].is_large)

    sum_samples = quick_jit(on_every_device(over_chunks), thorough=is_large)
    sum_batch = quick_jit(on_every_device(over_chunks, add=False), thorough=is_large)

    def sum_data(*arguments: Any) -> Any:
        *others, data = arguments
        return data.sum(sum_batch, *others) if isinstance(data, StreamedSamples) else sum_samples(*arguments)

    return sum_data


def _gradient(objective: Objective, parameters: Parameters, slopes: tuple[Any, ...], chunk: Batch) -> Any:
    return objective.gradient_sums(parameters, slopes, chunk)


_parameters = quick_jit(Objective.parameters)
_nonlinear_sums = summed(Objective.nonlinear_sums)
_slopes = quick_jit(Objective.slopes)
_gradient_sums = summed(_gradient)
_moments = summed(moments)
_input_products = summed(input_products)


@quick_jit
def _added(total: Any, part: Any) -> Any:
    return jax.tree.map(jnp.add, total, part)


@quick_jit
def _stacked(sums: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[None], sums)


@cache
def _compiled_add_devices(mesh: Mesh) -> Callable[[Any], Any]:
    return quick_jit(
        lambda sums: jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), sums),
        out_shardings=NamedSharding(mesh, PartitionSpec()),
    )


@quick_jit
def _evaluation(
    objective: Objective, parameters: Parameters, gradient: Parameters, sums: Any, weight: jax.Array
) -> Evaluation:
    return objective.evaluation(parameters, gradient, sums, weight)


@quick_jit
def _input_moments_of(sums: Any, weight: jax.Array, objective: Objective | None) -> InputMoments:
    return input_moments_of(jax.tree.map(lambda total: total / weight, sums), objective)


@quick_jit
def _assemble(
    objective: Objective, parameters: Parameters, sums: Any, inputs: InputMoments, weight: jax.Array
) -> KroneckerFactors:
    return assemble(objective, parameters, jax.tree.map(lambda total: total / weight, sums), inputs)
