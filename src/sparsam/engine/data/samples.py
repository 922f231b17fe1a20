"""The data as the engine sees it: chunks of samples, resident on the device.

A chunk is small enough for its intermediates to stay in the processor's cache; sums over the chunks make J and its
gradient. All chunks have one shape, with samples in columns (see `network.network`). Samples that fill up the last
chunk have weight 0, and so do whole chunks that fill up the buffer: its length is rounded to a coarse step so that data
of another length meets a program already compiled, while the loop runs only over the chunks that hold data.

On several devices (`data.devices`) each holds a buffer of as many chunks, with samples of its own, and sums over
these; then the devices' sums are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jax.typing import DTypeLike
from numpy.typing import ArrayLike, NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import (
    from_local,
    local_devices,
    max_of_processes,
    replicated,
    spread,
    sum_of_processes,
)

__all__ = ["Samples", "choose_chunk_size", "on_every_device"]

Sums = TypeVar("Sums")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Samples:
    """All the data, in chunks on the device.

    Attributes
    ----------
    inputs : array of shape (n_buffered, n_features, chunk_size)
    targets : array of shape (n_buffered, n_outputs, chunk_size) or None
        None where the inputs are their own targets, as in an autoencoder: then no copy is held.
    sample_weight : array of shape (n_buffered, chunk_size)
        s_n; 0 of samples that only fill up.
    n_chunks : int array of shape (1,)
        How many chunks hold data.
    total_weight : array of shape ()
        S = sum_n s_n.
    tangents : array of shape (n_buffered, n_features, n_tangents, chunk_size) or None
    mesh : jax.sharding.Mesh or None
        Over whose devices the first axis of every array is divided, that of n_chunks too; None for one device.
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
        """Copy host arrays (n_samples, ...), samples in rows, into chunks on the default device, or those of a mesh.

        Tangents are (n_samples, n_tangents, n_features). Of a mesh over several processes each brings its own rows.
        For a batch of the data, pass the number of chunks for which there is room on a device, and the global total
        weight S.

        Called within the scope of the precision asked for (see `sparsam.engine.precision`).
        """
        n_samples = len(inputs)
        weights = np.ones(n_samples) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        n_devices = 1 if mesh is None else len(local_devices(mesh))
        cuts = [n_samples * k // n_devices for k in range(n_devices + 1)]
        n_chunks = -(-np.diff(cuts) // chunk_size)
        if n_buffered is None:
            n_buffered = _round_up(int(max_of_processes(max(n_chunks.max(), 1), mesh)), 3)
        if total_weight is None:
            total_weight = float(sum_of_processes(weights.sum(), mesh))

        def put(array: NDArray[Any]) -> jax.Array:
            return jax.device_put(array) if mesh is None else from_local(array, mesh)

        def chunked(rows: NDArray[np.floating]) -> jax.Array:
            buffer = np.zeros((n_devices, n_buffered, *rows.shape[:0:-1], chunk_size), dtype=dtype)
            for k in range(n_devices):
                _fill(buffer[k], rows[cuts[k] : cuts[k + 1]])
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

    def chunk(self, index: int | jax.Array) -> Batch:
        """Return one chunk."""
        return self._take(lambda buffer: jax.lax.dynamic_index_in_dim(buffer, index, keepdims=False))

    def _take(self, take: Callable[[jax.Array], jax.Array]) -> Batch:
        inputs = take(self.inputs)
        targets = inputs if self.targets is None else take(self.targets)
        tangents = None if self.tangents is None else take(self.tangents)
        return Batch(inputs, targets, take(self.sample_weight), tangents)

    def sum_over_chunks(self, function: Callable[..., Sums], *kept: Any) -> Sums:
        """Sum a function of the chunk (a pytree of arrays) over the chunks that hold data.

        Of what `sum_and_keep` kept in an earlier pass the function's second argument is the chunk's part.
        """
        return self.sum_and_keep(lambda *arguments: (function(*arguments), ()), *kept)[0]

    def sum_over_parts(self, function: Callable[[Batch], Sums], n_parts: int | jax.Array, of: int) -> Sums:
        """Sum a function of the chunk over the first parts of every chunk that holds data.

        A chunk has ``of`` equal parts; ``n_parts`` of them are taken.
        """
        size = self.inputs.shape[-1] // of

        def part(index: int | jax.Array) -> Batch:
            chunk, start = index // n_parts, index % n_parts * size

            def take(buffer: jax.Array) -> jax.Array:
                return jax.lax.dynamic_slice_in_dim(
                    jax.lax.dynamic_index_in_dim(buffer, chunk, keepdims=False), start, size, axis=-1
                )

            return self._take(take)

        def add_part(index: jax.Array, total: Sums) -> Sums:
            return jax.tree.map(jnp.add, total, function(part(index)))

        sums = jax.eval_shape(lambda: function(part(0)))
        return self._of_all_devices(jax.lax.fori_loop(0, self.n_chunks[0] * n_parts, add_part, _zeros(sums)))

    def sum_and_keep(self, function: Callable[..., tuple[Sums, Any]], *kept: Any) -> tuple[Sums, Any]:
        """Sum the first result of a function of the chunk, and keep the second of each chunk for another pass."""

        def part(index: jax.Array | int) -> Any:
            return jax.tree.map(lambda buffer: jax.lax.dynamic_index_in_dim(buffer, index, keepdims=False), kept)

        sums, keep = jax.eval_shape(lambda: function(self.chunk(0), *part(0)))
        n_buffered = self.inputs.shape[0]

        def add_chunk(index: jax.Array, carry: tuple[Sums, Any]) -> tuple[Sums, Any]:
            more, keep = function(self.chunk(index), *part(index))
            return (
                jax.tree.map(jnp.add, carry[0], more),
                jax.tree.map(lambda buffer, part: buffer.at[index].set(part), carry[1], keep),
            )

        total, keep = jax.lax.fori_loop(0, self.n_chunks[0], add_chunk, (_zeros(sums), _zeros(keep, n_buffered)))
        return self._of_all_devices(total), keep

    def _of_all_devices(self, sums: Sums) -> Sums:
        if self.mesh is None:
            return sums
        together, apart = ravel_pytree(sums)  # one message, for each takes its time whatever its length
        return apart(jax.lax.psum(together, self.mesh.axis_names)) if together.size else sums


def on_every_device(function: Callable[..., Any], *, add: bool = True) -> Callable[..., Any]:
    """Make a function of samples, among its arguments, run on every device of their mesh, each with its own samples.

    All other arguments, and the result, are the same on every device. Without ``add`` the devices' sums are not added:
    a leading axis of the results is divided over the devices, an entry for each.
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
            check_vma=False,  # the minimizer's decisions are the same everywhere, which no compiler can see
        )(*arguments)

    return call


def _fill(chunks: NDArray[np.floating], rows: NDArray[np.floating]) -> None:
    """Write rows into the columns of chunks, one after the other."""
    chunk_size = chunks.shape[-1]
    for chunk, begin in zip(chunks, range(0, len(rows), chunk_size), strict=False):
        of_chunk = rows[begin : begin + chunk_size]
        # A few at a time, which stay in cache while they are transposed: as a whole it takes six times as long.
        for start in range(0, len(of_chunk), 64):
            few = of_chunk[start : start + 64]
            chunk[..., start : start + len(few)] = few.T


def _zeros(shapes: Any, *leading: int) -> Any:
    return jax.tree.map(lambda leaf: jnp.zeros((*leading, *leaf.shape), leaf.dtype), shapes)


def choose_chunk_size(
    n_samples: int, layer_sizes: tuple[int, ...], asked: int | None = None, n_tangents: int = 0
) -> int:
    """Choose the samples of a chunk from the shapes; or take those asked for, but no more than there are.

    All the data are one chunk, which needs not be copied out of the buffer, if their activations (float32, all layers)
    take at most `ONE_CHUNK_BYTES`. Otherwise a chunk takes at most `CHUNK_BYTES`, and is a power of two of at least
    1024. The samples of a single chunk are rounded up, so that few programs serve every number of samples: to a power
    of two where the cost is no matter, above 1024 to four significant bits. Each tangent counts as one sample more, but
    one chunk may be larger with them.
    """
    if asked is not None:
        return min(int(asked), n_samples)
    columns = 1 + n_tangents
    bytes_each = 4 * sum(layer_sizes) * columns
    if n_samples * columns <= 1024:
        return max(_round_up(n_samples, 1), 16)
    if n_samples * bytes_each <= ONE_CHUNK_BYTES * (3 if n_tangents else 1):
        return _round_up(n_samples, 4)
    least = 2 ** math.floor(math.log2(max(1024 / columns, 16)))
    return max(2 ** math.floor(math.log2(max(CHUNK_BYTES / bytes_each, 1))), least)


ONE_CHUNK_BYTES, CHUNK_BYTES = 2**24, 2**22
"""Measured, on two cores with 2 MB of second-level cache each: beyond the first the intermediates' way to memory costs
more than the copies of chunks and their handling; chunks of up to the second are the fastest."""


def _round_up(number: int, significant_bits: int) -> int:
    """The least number of so many significant bits that is not less: of 3 bits 1 ... 8, 10, 12, 14, 16, 20, ..."""
    step = 2 ** max((number - 1).bit_length() - significant_bits, 0)
    return -(-number // step) * step
