"""Rows that are read again in every pass: checked at the first reading, and compared with it at every later one."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

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
