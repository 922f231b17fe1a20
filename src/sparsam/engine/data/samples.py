"""Samples in chunks, resident on the device.

A chunk is small enough for its intermediates to stay in the processor's cache; J and its gradient are sums over the
chunks. All chunks have the same shape, with samples in columns (see `network.network`). The samples that pad the last
chunk have weight 0, as have the chunks that pad the buffer. The buffer's length is rounded up coarsely, so that data of
another length can use a program that is already compiled; the loop runs only over the chunks that contain data.

With several devices (`data.devices`), each has a buffer of the same size for its own samples and sums over these; then
the sums of the devices are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial, wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import (
    from_local,
    local_devices,
    max_of_processes,
    replicated,
    spread,
    sum_of_processes,
)

__all__ = ["SMALL", "Samples", "choose_chunk_size", "on_every_device"]

Sums = TypeVar("Sums")

INDEX = jax.ShapeDtypeStruct((), np.int32)  # shape and type of the index of a chunk


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Samples:
    """All samples, in chunks on the device.

    Attributes
    ----------
    inputs : array of shape (n_buffered, n_features, chunk_size)
    targets : array of shape (n_buffered, n_outputs, chunk_size) or None
        None if the inputs are their own targets, as in an autoencoder, which saves a copy.
    sample_weight : array of shape (n_buffered, chunk_size)
        s_n; 0 for padding.
    n_chunks : int array of shape (1,)
        Number of chunks that contain data.
    total_weight : array of shape ()
        S = sum_n s_n.
    tangents : array of shape (n_buffered, n_features, n_tangents, chunk_size) or None
    mesh : jax.sharding.Mesh or None
        The first axis of every array, n_chunks included, is divided over its devices; None for one device.
    """

    inputs: jax.Array
    targets: jax.Array | None
    sample_weight: jax.Array
    n_chunks: jax.Array
    total_weight: jax.Array
    tangents: jax.Array | None = None
    mesh: Mesh | None = field(default=None, metadata={"static": True})

    @classmethod
    def from_arrays(
        cls,
        inputs: NDArray[np.floating],
        targets: NDArray[np.floating] | None = None,
        sample_weight: ArrayLike | None = None,
        tangents: NDArray[np.floating] | None = None,
        *,
        chunk_size: int,
        dtype: DTypeLike,
        mesh: Mesh | None = None,
        n_buffered: int | None = None,
        total_weight: float | None = None,
    ) -> Samples:
        """Copy host arrays (n_samples, ...), samples in rows, into chunks on the default device or a mesh's devices.

        Tangents are (n_samples, n_tangents, n_features). If a mesh spans several processes, each passes its own rows.
        For a batch of the data, pass the number of chunks in a device's buffer, and the global total weight S.

        Call it within the scope of the wanted precision (see `sparsam.engine.precision`).
        """
        n_samples = len(inputs)
        weights = np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        n_devices = 1 if mesh is None else len(local_devices(mesh))
        bounds = [n_samples * k // n_devices for k in range(n_devices + 1)]
        n_chunks = -(-np.diff(bounds) // chunk_size)
        if n_buffered is None:
            n_buffered = _round_up(int(max_of_processes(max(n_chunks.max(), 1), mesh)), 3)
        if total_weight is None:
            total_weight = float(sum_of_processes(weights.sum(), mesh))

        def put(array: NDArray[Any]) -> jax.Array:
            return jax.device_put(array) if mesh is None else from_local(array, mesh)

        def chunked(rows: NDArray[np.floating]) -> jax.Array:
            buffer = np.zeros((n_devices, n_buffered, *rows.shape[:0:-1], chunk_size), dtype=dtype)
            for k in range(n_devices):
                _fill(buffer[k], rows[bounds[k] : bounds[k + 1]])
            return put(buffer.reshape(-1, *buffer.shape[2:]))

        total = np.asarray(total_weight, dtype)
        return cls(
            inputs=chunked(inputs),
            targets=None if targets is None else chunked(targets),
            sample_weight=chunked(weights),
            n_chunks=put(n_chunks.astype(np.int32)),
            total_weight=jax.device_put(total) if mesh is None else replicated(total, mesh),
            tangents=None if tangents is None else chunked(tangents),
            mesh=mesh,
        )

    @property
    def is_large(self) -> bool:
        """Whether a device has several chunks, and so much to compute that it is worth waiting for the compiler."""
        n_buffered = len(self.inputs) // (1 if self.mesh is None else self.mesh.size)
        return n_buffered > 1 and n_buffered * self.inputs.shape[-1] > SMALL

    @property
    def most_chunks(self) -> int:
        """Number of chunks with data on the device that has the most."""
        return int(max_of_processes(self._own_chunks.max(), self.mesh))

    @property
    def _own_chunks(self) -> NDArray[np.int32]:
        """Numbers of chunks with data on the devices of this process."""
        return np.concatenate([np.asarray(shard.data) for shard in self.n_chunks.addressable_shards])

    @property
    def n_rows(self) -> int:
        """Number of rows of this process with a positive weight."""
        return sum(int(np.count_nonzero(shard.data)) for shard in self.sample_weight.addressable_shards)

    @property
    def n_tangents(self) -> int:
        """Number of tangents of a sample."""
        return 0 if self.tangents is None else self.tangents.shape[2]

    def first_chunks(self, n_chunks: int) -> Samples:
        """Return the first chunks of each device as samples, which share the buffers and the compiled programs.

        The device with the most chunks has ``n_chunks`` in them, and the others in proportion.
        """
        own = (-(-self._own_chunks * n_chunks // self.most_chunks)).astype(np.int32)
        some = replace(self, n_chunks=jax.device_put(own) if self.mesh is None else from_local(own, self.mesh))
        return replace(some, total_weight=_total_weight(some))

    def chunk(self, index: int | jax.Array) -> Batch:
        """Return one chunk."""
        return self._take(lambda buffer: jax.lax.dynamic_index_in_dim(buffer, index, keepdims=False))

    def batch(self, index: jax.Array, size: int) -> Samples:
        """Return a batch as samples of their own: ``size`` columns of a chunk of each device.

        Batches are counted through all chunks. The last one of a chunk overlaps the one before, if ``size`` does not
        divide the chunk. One that is all padding has no weight.
        """
        of_chunk = -(-self.inputs.shape[-1] // size)
        chunk, start = index // of_chunk, index % of_chunk * size

        def take(buffer: jax.Array) -> jax.Array:
            row = jax.lax.dynamic_slice_in_dim(buffer, chunk, 1, axis=0)
            return jax.lax.dynamic_slice_in_dim(row, start, size, axis=-1)

        weights = take(self.sample_weight)
        return replace(
            self,
            inputs=take(self.inputs),
            targets=None if self.targets is None else take(self.targets),
            sample_weight=weights,
            n_chunks=jnp.ones_like(self.n_chunks[:1]),
            total_weight=self._add_devices(jnp.sum(weights)),
            tangents=None if self.tangents is None else take(self.tangents),
        )

    def _take(self, take: Callable[[jax.Array], jax.Array]) -> Batch:
        inputs = take(self.inputs)
        targets = inputs if self.targets is None else take(self.targets)
        tangents = None if self.tangents is None else take(self.tangents)
        return Batch(inputs, targets, take(self.sample_weight), tangents)

    def sum_over_chunks(self, function: Callable[..., Sums], *kept: Any) -> Sums:
        """Sum a function of the chunk (a pytree of arrays) over the chunks that contain data.

        If ``kept`` is given, the result of `sum_and_keep` in an earlier pass, the function's second argument is the
        chunk's entry in it.
        """
        return self.sum_and_keep(lambda *arguments: (function(*arguments), ()), *kept)[0]

    def sum_over_parts(self, function: Callable[[Batch], Sums], n_parts: int | jax.Array, of: int) -> Sums:
        """Sum a function of the chunk over the first ``n_parts`` of ``of`` equal parts of each chunk with data."""
        size = self.inputs.shape[-1] // of

        def part(index: jax.Array) -> Batch:
            chunk, start = index // n_parts, index % n_parts * size

            def take(buffer: jax.Array) -> jax.Array:
                return jax.lax.dynamic_slice_in_dim(
                    jax.lax.dynamic_index_in_dim(buffer, chunk, keepdims=False), start, size, axis=-1
                )

            return self._take(take)

        @partial(jax.jit, inline=True)  # which traces it once, for the shapes and for the loop
        def of_part(index: jax.Array) -> Sums:
            return function(part(index))

        def add_part(index: jax.Array, total: Sums) -> Sums:
            return jax.tree.map(jnp.add, total, of_part(index))

        sums = jax.eval_shape(of_part, INDEX)
        n_indices = (self.n_chunks[0] * n_parts).astype(np.int32)
        return self._add_devices(jax.lax.fori_loop(np.int32(0), n_indices, add_part, _zeros(sums)))

    def sum_and_keep(self, function: Callable[..., tuple[Sums, Any]], *kept: Any) -> tuple[Sums, Any]:
        """Sum a function's first result over the chunks, and keep its second result of each chunk for another pass."""

        @partial(jax.jit, inline=True)  # which traces it once, for the shapes and for the loop
        def of_chunk(index: jax.Array) -> tuple[Sums, Any]:
            parts = jax.tree.map(lambda buffer: jax.lax.dynamic_index_in_dim(buffer, index, keepdims=False), kept)
            return function(self.chunk(index), *parts)

        sums, keep = jax.eval_shape(of_chunk, INDEX)
        n_buffered = self.inputs.shape[0]

        def add_chunk(index: jax.Array, carry: tuple[Sums, Any]) -> tuple[Sums, Any]:
            more, keep = of_chunk(index)
            return (
                jax.tree.map(jnp.add, carry[0], more),
                jax.tree.map(lambda buffer, part: buffer.at[index].set(part), carry[1], keep),
            )

        zeros = _zeros(sums), _zeros(keep, n_buffered)
        total, keep = jax.lax.fori_loop(np.int32(0), self.n_chunks[0], add_chunk, zeros)
        return self._add_devices(total), keep

    def _add_devices(self, sums: Sums) -> Sums:
        if self.mesh is None:
            return sums
        flat, unravel = ravel_pytree(sums)  # a single message, since each has a latency whatever its length
        return unravel(jax.lax.psum(flat, self.mesh.axis_names)) if flat.size else sums


def on_every_device(function: Callable[..., Any], *, add: bool = True) -> Callable[..., Any]:
    """Wrap a function that takes samples, to run on every device of their mesh with that device's samples.

    All other arguments, and the result, are the same on every device. With ``add=False`` the sums of the devices are
    not added: the results have a leading axis, divided over the devices, with an entry for each.
    """

    @wraps(function)
    def call(*arguments: Any) -> Any:
        mesh = next(argument.mesh for argument in arguments if isinstance(argument, Samples))
        if mesh is None:
            return function(*arguments)

        def alone(*arguments: Any) -> Any:
            own = [replace(part, mesh=None) if isinstance(part, Samples) else part for part in arguments]
            return jax.tree.map(lambda leaf: leaf[None], function(*own))

        def specification(argument: Any) -> Any:
            if not isinstance(argument, Samples):
                return PartitionSpec()
            divided: Any = {part.name: spread(mesh) for part in fields(Samples)}
            return Samples(**divided | {"total_weight": PartitionSpec(), "mesh": mesh})

        return jax.shard_map(
            function if add else alone,
            mesh=mesh,
            in_specs=tuple(map(specification, arguments)),
            out_specs=PartitionSpec() if add else spread(mesh),
            check_vma=False,  # the compiler cannot infer that the minimizer's decisions are the same everywhere
        )(*arguments)

    return call


@partial(quick_jit, runs_once=True)
@on_every_device
def _total_weight(samples: Samples) -> jax.Array:
    return samples.sum_over_chunks(lambda chunk: jnp.sum(chunk.sample_weight))


def _fill(chunks: NDArray[np.floating], rows: NDArray[np.floating]) -> None:
    """Write rows into the columns of chunks, one chunk after the other."""
    chunk_size = chunks.shape[-1]
    for chunk, begin in zip(chunks, range(0, len(rows), chunk_size), strict=False):
        chunk_rows = rows[begin : begin + chunk_size]
        # Transpose a few rows at a time, which stay in cache: all at once takes six times as long.
        for start in range(0, len(chunk_rows), 64):
            block = chunk_rows[start : start + 64]
            chunk[..., start : start + len(block)] = block.T


def _zeros(shapes: Any, *leading: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros((*leading, *leaf.shape), leaf.dtype), shapes)


def choose_chunk_size(
    n_samples: int, layer_sizes: tuple[int, ...], asked: int | None = None, n_tangents: int = 0
) -> int:
    """Choose the number of samples in a chunk from the shapes, unless the user ``asked`` for one.

    All data are one chunk, which need not be copied out of the buffer, if their activations (float32, all layers) take
    at most `ONE_CHUNK_BYTES`. Otherwise the activations of a chunk take at most `CHUNK_BYTES`, and its size is a power
    of two of at least 1024. The size of a single chunk is rounded up, so that few programs are compiled for all numbers
    of samples: up to `SMALL` to a power of two, where the cost is negligible, above it to four significant bits. Each
    tangent counts as an additional sample, but a single chunk may be larger with tangents.
    """
    if asked is not None:
        return min(int(asked), n_samples)
    columns = 1 + n_tangents
    bytes_each = 4 * sum(layer_sizes) * columns
    if n_samples * columns <= SMALL:
        return max(_round_up(n_samples, 1), SMALLEST)
    if n_samples * bytes_each <= ONE_CHUNK_BYTES * (3 if n_tangents else 1):
        return _round_up(n_samples, 4)
    least = 2 ** math.floor(math.log2(max(1024 / columns, 16)))
    return max(2 ** math.floor(math.log2(max(CHUNK_BYTES / bytes_each, 1))), least)


SMALLEST, SMALL = 64, 1024  # samples in a chunk; a step of the minimizer takes longer than the evaluation of 64 samples

ONE_CHUNK_BYTES, CHUNK_BYTES = 2**24, 2**22
"""Measured on two cores with 2 MB of second-level cache each. Above the first, moving the intermediates to memory costs
more than copying and looping over chunks; chunks of up to the second are the fastest."""


def _round_up(number: int, significant_bits: int) -> int:
    """Round up to a number of significant bits: with 3 bits to one of 1 ... 8, 10, 12, 14, 16, 20, ..."""
    step = 2 ** max((number - 1).bit_length() - significant_bits, 0)
    return -(-number // step) * step
