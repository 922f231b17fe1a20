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

from sparsam.engine.data.devices import max_of_processes, sum_of_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.data.sources import Source, is_large, is_stored, source_of
from sparsam.engine.training.streaming import Stream
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import PIECE_BYTES, Data, HeldRows, Rows, stream_of, together

__all__ = ["Check", "ReadRows", "data_of", "digest", "fingerprint_of"]


@dataclass(frozen=True)
class ReadRows:
    """Rows that are read again in every pass.

    Attributes
    ----------
    source : Source
    parts : tuple of str
        What the source reads: names of `_data.dataset.Rows`.
    check : callable
        Takes rows of a piece as they are read, and the number of its first row; raises ValueError or TypeError
        if they cannot be used. Called at the first reading of a piece.
    tell : callable
        Told at the first reading, after each piece, how many rows have been read.
    """

    source: Source
    parts: tuple[str, ...]
    check: Callable[[Rows, int], None]
    mesh: Mesh | None = None
    tell: Callable[[int], None] = lambda n_rows: None
    digests: list[tuple[int, int]] = field(default_factory=list)

    @cached_property
    def _first(self) -> tuple[int, int, int, float]:
        """Features, rows of this process and of the one that has the most, total weight of all; once all is checked."""

        def look() -> tuple[int, int, float]:
            n_features, n_rows, weight = 0, 0, 0.0
            for rows in self._read(self.check):
                n_features = rows.X.shape[1]
                n_rows += len(rows.X)
                weight += float(rows.s.sum())
                self.tell(n_rows)
            if not weight > 0:
                raise ValueError("sample_weight is zero for every sample: nothing is left to fit")
            return n_features, n_rows, weight

        n_features, n_rows, weight = together(look, self.mesh)
        most = int(max_of_processes(n_rows, self.mesh))
        return n_features, n_rows, most, float(sum_of_processes(weight, self.mesh))

    @property
    def n_features(self) -> int:
        """D."""
        return self._first[0]

    @property
    def n_rows(self) -> int:
        """Rows of this process."""
        return self._first[1]

    @property
    def total_weight(self) -> float:
        """S, of all processes."""
        return self._first[3]

    @property
    def piece_size(self) -> int:
        """Rows of a piece, at most, the same in all processes."""
        return min(self._rows_at_once, self._first[2])

    def pieces(self) -> Iterator[Rows]:
        """Read them."""
        assert self._first  # all has been checked
        yield from self._read()

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Make a stream of them."""
        return stream_of(self, dtype, layer_sizes, chunk_size)

    @cached_property
    def _rows_at_once(self) -> int:
        few = next(self.source.pieces(1), (None,))[0]
        if few is None:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return max(PIECE_BYTES // max(4 * few.size, 1), 1)

    def _read(self, check: Callable[[Rows, int], None] | None = None) -> Iterator[Rows]:
        row, known = 0, bool(self.digests)
        k = -1
        for k, parts in enumerate(self.source.pieces(self._rows_at_once)):
            rows = Rows(**dict(zip(self.parts, parts, strict=True)))  # type: ignore[arg-type]
            n_rows = len(rows.X)
            read = (n_rows, digest(*parts))
            if not known:
                self.digests.append(read)
            elif k >= len(self.digests) or self.digests[k] != read:
                raise ValueError(
                    f"rows {row} to {row + n_rows - 1} of X are not those that were read before: a fit reads the "
                    "data in every step, and they must stay the same (no shuffling, no random changes, nobody who "
                    "writes to the file)"
                )
            if check is not None:
                check(rows, row)
            yield _in_floats(rows)
            row += n_rows
        if k + 1 < len(self.digests):
            raise ValueError(
                f"X ended after {row} rows, and had {sum(count for count, _ in self.digests)} when it was read before"
            )


def _in_floats(rows: Rows) -> Rows:
    """Rows whose numbers are floats, as those in memory are: what is computed of them takes their type."""

    def floats(array: Any) -> Any:
        if array is None or array.dtype in (np.float32, np.float64):
            return array
        return array.astype(np.float32 if np.can_cast(array.dtype, np.float32, "safe") else np.float64)

    weights = None if rows.weights is None else rows.weights.astype(np.float64, copy=False)
    return rows._replace(X=floats(rows.X), weights=weights, tangents=floats(rows.tangents))


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


Check = Callable[[Rows, int], Rows]


def data_of(
    estimator: Any,
    X: Any,
    sample_weight: Any,
    check: Check | None = None,
    *,
    others: dict[str, Any] | None = None,
    reset: bool = True,
    tell: Callable[[int], None] = lambda n_rows: None,
) -> Data:
    """Return rows, checked, in memory; or, of a stored array or an object that yields chunks, to be read in passes.

    ``check`` is given rows whose inputs and weights are good, and the number of the first of them. It returns them with
    whatever else is made good, which is kept of rows in memory, and raises ValueError where the estimator cannot use
    them. ``others``, targets and tangents, go with the inputs. With ``reset`` the estimator learns the number and names
    of the features; without, they must agree. ``tell`` is told of the first reading: see `ReadRows`.
    """
    mesh = validation.checked_mesh(estimator.mesh) if reset else None  # what is asked of a model, one process asks
    others = others or {}
    stored = bool(max_of_processes(is_large(X), mesh))  # all processes must pass over their rows in the same manner
    if stored:
        data: Data = _read_rows(X, sample_weight, check, others, mesh, tell)
        narrowest, widest = _least_and_most(data.n_features, mesh)
    else:
        in_memory = {name: np.asarray(part) if is_stored(part) else part for name, part in others.items()}

        def look() -> Rows:
            inputs = validation.validate_inputs(estimator, np.asarray(X) if is_stored(X) else X, reset=reset)
            rows = Rows(inputs, validation.check_sample_weight(sample_weight, inputs), **in_memory)
            return rows if check is None else check(rows, 0)

        data = HeldRows(together(look, mesh), mesh)
        narrowest, widest = _least_and_most(data.n_features, mesh)
    if narrowest != widest:
        raise ValueError(f"processes bring rows of {narrowest} to {widest} features: they must be as long")
    if stored:
        validation.check_width(estimator, data.n_features, reset=reset)
    return data


def _read_rows(
    X: Any,
    sample_weight: Any,
    check: Check | None,
    others: dict[str, Any],
    mesh: Mesh | None,
    tell: Callable[[int], None],
) -> ReadRows:
    # In the order of the tuples that an object may yield: x, targets, weights, tangents.
    parts = {"X": X, "targets": None, "weights": sample_weight, "tangents": None} | others
    names = tuple(name for name in parts if name in ("X", "weights") or name in others)

    def look(rows: Rows, row: int) -> None:
        inputs = validation.check_piece(rows.X, row)
        validation.check_sample_weight(rows.weights, inputs, row, some=False)
        if check is not None:
            check(rows._replace(X=inputs), row)

    told = [{"targets": "y", "weights": "sample_weight"}.get(name, name) for name in names]

    def source() -> Source:
        parts["X"] = X if is_stored(X) else np.asarray(X)  # those of another process are stored
        return source_of(*(parts[name] for name in names), names=told)

    return ReadRows(together(source, mesh), names, look, mesh, tell)


def _least_and_most(number: int, mesh: Mesh | None) -> tuple[int, int]:
    most, least = max_of_processes([number, -number], mesh)
    return -int(least), int(most)
