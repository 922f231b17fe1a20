"""Rows that are read again in every pass: checked at the first reading, and compared with it at every later one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam.devices import max_of_processes, sum_of_processes
from sparsam.estimators import validation
from sparsam.estimators.data import PIECE_BYTES, Data, HeldRows, Rows, chunk_for
from sparsam.samples import Samples
from sparsam.sources import HELD_BYTES, Source, is_stored, source_of
from sparsam.stream import Piece, Stream

__all__ = ["ReadRows", "data_of", "digest", "fingerprint_of"]


@dataclass(frozen=True)
class ReadRows:
    """Rows that are read again in every pass.

    Attributes
    ----------
    source : Source
        Of x and weights.
    check : callable
        Takes x and weights of a piece as they are read, and the number of its first row; raises ValueError or TypeError
        if they cannot be used. Called at the first reading of a piece.
    tell : callable
        Told at the first reading, after each piece, how many rows have been read.
    """

    source: Source
    check: Callable[[NDArray[Any], NDArray[Any] | None, int], None]
    mesh: Mesh | None = None
    tell: Callable[[int], None] = lambda n_rows: None
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
        n_rows, weight = 0, 0.0

        def look() -> int:
            nonlocal n_rows, weight
            n_features = 0
            for rows in self._read(self.check):
                n_features = rows.X.shape[1]
                n_rows += len(rows.X)
                weight += rows.total_weight
                self.tell(n_rows)
            if not weight > 0:
                raise ValueError("sample_weight is zero for every sample: nothing is left to fit")
            return n_features

        n_features = _together(look, self.mesh)
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
        yield from self._read()

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Make a stream of them."""
        size = self.piece_size

        def pieces() -> Iterator[Piece]:
            for rows in self.pieces():
                yield Piece(rows.X, None, rows.weights)

        n_rows = min(size, self.first[1])
        chunk = chunk_for(n_rows, layer_sizes, chunk_size, mesh=self.mesh)
        return Stream(pieces, n_rows, chunk, self.first[2], dtype, self.mesh)

    streamed = for_engine

    def _read(self, check: Callable[[NDArray[Any], NDArray[Any] | None, int], None] | None = None) -> Iterator[Rows]:
        row, known = 0, bool(self.digests)
        k = -1
        for k, (x, weights) in enumerate(self.source.pieces(self.piece_size)):
            assert x is not None  # what a source always has
            read = (len(x), digest(x, weights))
            if not known:
                self.digests.append(read)
            elif k >= len(self.digests) or self.digests[k] != read:
                raise ValueError(
                    f"rows {row} to {row + read[0] - 1} of X are not those that were read before: a fit reads the "
                    "data in every step, and they must stay the same (no shuffling, no random changes, nobody who "
                    "writes to the file)"
                )
            if check is not None:
                check(x, weights, row)
            yield Rows(x, weights)
            row += read[0]
        if k + 1 < len(self.digests):
            raise ValueError(
                f"X ended after {row} rows, and had {sum(count for count, _ in self.digests)} when it was read before"
            )


def _together(look: Callable[[], int], mesh: Mesh | None) -> int:
    """Look at the data of each process and return their number of features, or fail in all processes.

    Raises
    ------
    ValueError, TypeError, OSError
        What looking raises here, or if processes have rows of different lengths.
    RuntimeError
        If it raises in another process.
    """
    failure, n_features = None, 0
    try:
        n_features = look()
    except (ValueError, TypeError, OSError) as error:
        failure = error
    failed, widest, narrowest = max_of_processes([failure is not None, n_features, -n_features], mesh)
    if failure is not None:
        raise failure
    if failed:
        raise RuntimeError("the data of another process cannot be used: its own message says why")
    if widest != -narrowest:
        raise ValueError(f"processes bring rows of {-narrowest} to {widest} features: they must be as long")
    return n_features


def fingerprint_of(data: Samples | Stream) -> int:
    """A checksum of all the samples, of all processes, however they are cut into chunks."""
    if isinstance(data, Stream):
        own = 0
        for piece in data.pieces():
            own = zlib.crc32(digest(*piece).to_bytes(4), own)
        return int(sum_of_processes(own, data.mesh))

    def in_rows(array: jax.Array) -> NDArray[Any]:
        shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
        chunks = np.concatenate([np.asarray(shard.data) for shard in shards])
        rows = np.moveaxis(chunks, -1, 1)
        return rows.reshape(-1, *rows.shape[2:])

    parts = [data.inputs, data.targets, data.sample_weight, data.tangents]
    rows = [None if part is None else in_rows(part) for part in parts]
    real = in_rows(data.sample_weight) > 0
    return int(sum_of_processes(digest(*(None if part is None else part[real] for part in rows)), data.mesh))


def digest(*parts: NDArray[Any] | None) -> int:
    """A checksum of some arrays: of their types, shapes and bits, in order."""
    check = 0
    for part in parts:
        if part is None:
            continue
        check = zlib.crc32(f"{part.dtype.str} {part.shape}".encode(), check)
        if part.dtype.kind in "biufc":
            octets: Any = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
            check = zlib.crc32(octets, check)
        else:
            check = zlib.crc32("\0".join(map(str, part.ravel().tolist())).encode(), check)
    return check


def data_of(
    estimator: Any,
    X: Any,
    sample_weight: Any,
    check_range: Callable[[NDArray[np.floating], int], None] | None = None,
    *,
    reset: bool = True,
    tell: Callable[[int], None] = lambda n_rows: None,
) -> Data:
    """Return inputs, checked, in memory; or, of a stored array or an object that yields chunks, to be read in passes.

    ``check_range`` is given inputs, and the number of the first of them, and raises ValueError where they are not in
    range. With ``reset`` the estimator learns the number and names of the features; without, they must agree. ``tell``
    is told of the first reading: see `ReadRows`.
    """
    mesh = validation.checked_mesh(estimator.mesh) if reset else None  # what is asked of a model, one process asks
    stored = is_stored(X)
    if stored and getattr(X, "nbytes", HELD_BYTES + 1) <= HELD_BYTES:
        X, stored = np.asarray(X), False
    if not stored:
        held: list[HeldRows] = []

        def look() -> int:
            inputs = validation.validate_inputs(estimator, X, reset=reset)
            held.append(HeldRows(inputs, validation.check_sample_weight(sample_weight, inputs), mesh))
            if check_range is not None:
                check_range(inputs, 0)
            return inputs.shape[1]

        _together(look, mesh)
        return held[0]

    def check(x: NDArray[Any], weights: NDArray[Any] | None, row: int) -> None:
        rows = validation.check_piece(x, row)
        validation.check_sample_weight(weights, rows, some=False)
        if check_range is not None:
            check_range(rows, row)

    data = ReadRows(source_of(X, sample_weight), check, mesh, tell)
    validation.check_width(estimator, data.n_features, reset=reset)
    return data
