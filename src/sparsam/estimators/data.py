"""The data of a fit: rows in memory, or rows that are read again in every pass. The estimators treat both alike.

Rows in memory are brought into their canonical form (`sparsam.estimators.rows`); rows that are read are taken as they
come, and every piece of them is checked when it is first read: that it can be used, and at every later reading that it
is still the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam.devices import local_devices, max_of_processes, sum_of_processes
from sparsam.estimators import validation
from sparsam.estimators.rows import merge_repeated_parts
from sparsam.samples import Samples, choose_chunk_size
from sparsam.sources import HELD_BYTES, Source, is_stored, source_of
from sparsam.stream import Piece, Stream
from sparsam.train import precision

__all__ = [
    "Data",
    "HeldRows",
    "ReadRows",
    "Rows",
    "data_of",
    "digest",
    "fingerprint_of",
    "samples_of",
    "stream_of",
    "total",
]

PIECE_BYTES = 2**24
"""Inputs of a piece in float32: two pieces at a time, and what is computed of them, are all that is held."""


class Rows(NamedTuple):
    """Some samples.

    Attributes
    ----------
    X : array of shape (n_rows, n_features)
    targets : array of shape (n_rows, n_outputs) or None
    weights : array of shape (n_rows,) or None
        None for ones.
    """

    X: NDArray[np.floating]
    targets: NDArray[Any] | None
    weights: NDArray[np.float64] | None

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return float(len(self.X) if self.weights is None else self.weights.sum())


class Data(Protocol):
    """Rows that have been checked."""

    @property
    def mesh(self) -> Mesh | None:
        """Devices to train on."""

    @property
    def n_features(self) -> int:
        """D."""

    @property
    def n_rows(self) -> int:
        """Rows of this process."""

    def pieces(self) -> Iterator[Rows]:
        """Pass over the samples, a piece at a time."""

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples | Stream:
        """Make what the engine trains on."""

    def streamed(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Make what the engine passes over once, in pieces."""


def total(data: Data, function: Callable[[Rows], Any]) -> NDArray[np.float64]:
    """Sum an array that is made of each piece over all pieces, of all processes."""
    own = sum(np.asarray(function(rows), dtype=np.float64) for rows in data.pieces())
    return sum_of_processes(own, data.mesh)


@dataclass(frozen=True)
class HeldRows:
    """Rows in memory."""

    X: NDArray[np.floating]
    targets: NDArray[Any] | None
    weights: NDArray[np.float64] | None
    mesh: Mesh | None = None

    @property
    def n_features(self) -> int:
        """D."""
        return self.X.shape[1]

    @property
    def n_rows(self) -> int:
        """Rows of this process."""
        return len(self.X)

    def pieces(self) -> Iterator[Rows]:
        """All of them at once."""
        yield Rows(self.X, self.targets, self.weights)

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples:
        """Bring them into their canonical form, and to the devices."""
        options: Any = {"dtype": dtype, "layer_sizes": layer_sizes, "chunk_size": chunk_size, "mesh": self.mesh}
        return samples_of(self.X, self.targets, self.weights, **options)

    def streamed(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Bring them to the devices a piece at a time, as they are."""
        weights = np.ones(len(self.X)) if self.weights is None else self.weights
        size = min(max(PIECE_BYTES // (4 * self.X[:1].size), 1), len(self.X))

        def pieces() -> Iterator[Piece]:
            for start in range(0, len(self.X), size):
                rows = slice(start, start + size)
                yield Piece(self.X[rows], None if self.targets is None else self.targets[rows], weights[rows])

        chunk = chunk_for(size, layer_sizes, chunk_size, mesh=self.mesh)
        return Stream(pieces, size, chunk, float(sum_of_processes(weights.sum(), self.mesh)), dtype, self.mesh)


def samples_of(
    X: NDArray[np.floating],
    targets: NDArray[np.floating] | None,
    sample_weight: NDArray[np.float64] | None,
    tangents: NDArray[np.floating] | None = None,
    *,
    dtype: DTypeLike,
    layer_sizes: tuple[int, ...],
    chunk_size: int | None,
    mesh: Mesh | None = None,
) -> Samples:
    """Bring rows into their canonical form, and then to the engine; targets None are the inputs themselves."""
    parts = [None if part is None else part.astype(dtype, copy=False) for part in (X, targets, tangents)]
    (inputs, targets, tangents), weights = merge_repeated_parts(parts, sample_weight)
    n_rows = int(max_of_processes(len(weights), mesh))
    size = chunk_for(n_rows, layer_sizes, chunk_size, 0 if tangents is None else tangents.shape[1], mesh)
    with precision(dtype):
        return Samples.from_arrays(inputs, targets, weights, tangents, chunk_size=size, dtype=dtype, mesh=mesh)  # type: ignore[arg-type]


def stream_of(
    X: NDArray[np.floating],
    targets: NDArray[np.floating],
    sample_weight: NDArray[np.float64] | None,
    tangents: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    piece_size: int,
    n_tangents: int,
    *,
    dtype: DTypeLike,
    layer_sizes: tuple[int, ...],
    chunk_size: int | None,
    mesh: Mesh | None = None,
) -> Stream:
    """Bring rows into their canonical form, and make their tangents in every pass, a piece at a time."""
    (inputs, t), weights = merge_repeated_parts([X.astype(dtype), targets.astype(dtype)], sample_weight)
    assert inputs is not None
    assert t is not None
    piece_size = min(piece_size, len(inputs))

    def pieces() -> Iterator[Piece]:
        for start in range(0, len(inputs), piece_size):
            rows = slice(start, start + piece_size)
            yield Piece(inputs[rows], t[rows], weights[rows], tangents(inputs[rows]))

    chunk = chunk_for(piece_size, layer_sizes, chunk_size, n_tangents, mesh)
    return Stream(pieces, piece_size, chunk, float(sum_of_processes(weights.sum(), mesh)), dtype, mesh)


def chunk_for(
    n_rows: int, layer_sizes: tuple[int, ...], asked: int | None, n_tangents: int = 0, mesh: Mesh | None = None
) -> int:
    """Choose the samples of a chunk, of so many rows that a process divides among its devices."""
    n_devices = 1 if mesh is None else len(local_devices(mesh))
    return choose_chunk_size(-(-n_rows // n_devices), layer_sizes, asked, n_tangents)


@dataclass(frozen=True)
class ReadRows:
    """Rows that are read again in every pass.

    Attributes
    ----------
    source : Source
        Of x, targets and weights.
    check : callable
        Takes x, targets and weights of a piece as they are read, and the number of its first row; returns `Rows`, or
        raises ValueError or TypeError. Called at the first reading of a piece.
    prepare : callable
        The same without checks, at every later reading.
    """

    source: Source
    check: Callable[[tuple[Any, ...], int], Rows]
    prepare: Callable[[tuple[Any, ...], int], Rows]
    mesh: Mesh | None = None
    digests: list[tuple[int, int]] = field(default_factory=list)

    @cached_property
    def piece_size(self) -> int:
        """Rows of a piece."""
        few = next(self.source.pieces(1), (None,))[0]
        if few is None:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return max(PIECE_BYTES // max(4 * few.size, 1), 1)

    @cached_property
    def first(self) -> tuple[int, int, float]:
        """Features, rows and total weight, of all processes, once all is read and checked.

        Raises
        ------
        ValueError, TypeError
            If the data cannot be used.
        RuntimeError
            If those of another process cannot.
        """
        failure, n_features, n_rows, weight = None, 0, 0, 0.0
        try:
            for rows in self._read(self.check):
                n_features = rows.X.shape[1]
                n_rows += len(rows.X)
                weight += rows.total_weight
            if n_rows and not weight > 0:
                raise ValueError("sample_weight is zero for every sample: nothing is left to fit")
        except (ValueError, TypeError, OSError) as error:
            failure = error
        if max_of_processes(int(failure is not None), self.mesh) and failure is None:
            raise RuntimeError("the data of another process cannot be used: its own message says why")
        if failure is not None:
            raise failure
        widths = max_of_processes([n_features, -n_features], self.mesh)
        if widths[0] != -widths[1]:
            raise ValueError(f"processes bring rows of {-widths[1]} to {widths[0]} features: they must be as long")
        return n_features, int(sum_of_processes(n_rows, self.mesh)), float(sum_of_processes(weight, self.mesh))

    @property
    def n_features(self) -> int:
        """D."""
        return self.first[0]

    @property
    def n_rows(self) -> int:
        """Rows of this process."""
        assert self.first
        return sum(count for count, _ in self.digests)

    def pieces(self) -> Iterator[Rows]:
        """Read them."""
        assert self.first  # all has been checked
        yield from self._read(self.prepare)

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Make a stream of them."""
        size = self.piece_size

        def pieces() -> Iterator[Piece]:
            for rows in self.pieces():
                yield Piece(rows.X, rows.targets, rows.weights)

        n_rows = min(size, self.first[1])
        chunk = chunk_for(n_rows, layer_sizes, chunk_size, mesh=self.mesh)
        return Stream(pieces, n_rows, chunk, self.first[2], dtype, self.mesh)

    streamed = for_engine

    def mapped(self, function: Callable[[Rows], Rows]) -> ReadRows:
        """Return the same rows with something else made of each piece."""
        return replace(
            self,
            check=lambda parts, row: function(self.check(parts, row)),
            prepare=lambda parts, row: function(self.prepare(parts, row)),
        )

    def _read(self, prepare: Callable[[tuple[Any, ...], int], Rows]) -> Iterator[Rows]:
        row, known = 0, bool(self.digests)
        k = -1
        for k, parts in enumerate(self.source.pieces(self.piece_size)):
            read = (len(parts[0]), digest(*parts))  # type: ignore[arg-type]
            if not known:
                self.digests.append(read)
            elif k >= len(self.digests) or self.digests[k] != read:
                raise ValueError(
                    f"rows {row} to {row + read[0] - 1} of X are not those that were read before: a fit reads the "
                    "data in every step, and they must stay the same (no shuffling, no random changes, nobody who "
                    "writes to the file)"
                )
            yield prepare(parts, row)
            row += read[0]
        if k + 1 < len(self.digests):
            raise ValueError(
                f"X ended after {row} rows, and had {sum(count for count, _ in self.digests)} when it was read before"
            )


def fingerprint_of(data: Samples | Stream) -> int:
    """A checksum of all the data, of all processes."""
    if isinstance(data, Stream):
        own = 0
        for piece in data.pieces():
            own = zlib.crc32(digest(*piece).to_bytes(4), own)
    else:
        arrays = (data.inputs, data.targets, data.sample_weight, data.tangents)
        shards = [shard.data for array in arrays if array is not None for shard in array.addressable_shards]
        own = digest(*map(np.asarray, shards))
    return int(sum_of_processes(own, data.mesh))


def digest(*parts: NDArray[Any] | None) -> int:
    """A checksum of the bits of some arrays: of sums over blocks of words, which are fast."""
    check = 0
    for part in parts:
        if part is None:
            continue
        if part.dtype.kind not in "biufc":
            check = zlib.crc32("\0".join(map(str, part.ravel().tolist())).encode(), check)
            continue
        octets = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
        whole = len(octets) // 8 * 8
        words = octets[:whole].view(np.uint64)
        blocks = len(words) // 512 * 512
        sums = words[:blocks].reshape(-1, 512).sum(axis=1)
        for block in (sums, words[blocks:], octets[whole:]):
            check = zlib.crc32(block.tobytes(), check)
    return check


def data_of(
    estimator: Any,
    X: Any,
    sample_weight: Any,
    check_range: Callable[[NDArray[np.floating], int], None] | None = None,
    *,
    reset: bool = True,
) -> Data:
    """Return inputs, checked, in memory; or, of a stored array or an object that yields chunks, to be read in passes.

    ``check_range`` is given inputs, and the number of the first of them, and raises ValueError where they are not in
    range. With ``reset`` the estimator learns the number and names of the features; without, they must agree.
    """
    mesh = validation.checked_mesh(estimator.mesh)
    stored = is_stored(X)
    if stored and getattr(X, "nbytes", HELD_BYTES + 1) <= HELD_BYTES:
        X, stored = np.asarray(X), False
    if not stored:
        inputs = validation.validate_inputs(estimator, X, reset=reset)
        weights = validation.check_sample_weight(sample_weight, inputs)
        if check_range is not None:
            check_range(inputs, 0)
        return HeldRows(inputs, None, weights, mesh)

    def prepare(parts: tuple[Any, ...], row: int) -> Rows:
        return Rows(parts[0], None, parts[1])

    def check(parts: tuple[Any, ...], row: int) -> Rows:
        x = validation.check_piece(parts[0], row)
        if check_range is not None:
            check_range(x, row)
        return prepare((x, validation.check_sample_weight(parts[1], x, some=False)), row)

    data = ReadRows(source_of(X, sample_weight), check, prepare, mesh)
    validation.check_width(estimator, data.n_features, reset=reset)
    return data
