"""Rows that are not in memory: mapped files, HDF5, Zarr, Dask, and objects that yield chunks of rows.

A `Source` reads them in batches, in order, any number of times. Blocks of a stored array, such as those of a compressed
file, are read as a whole. A failed read is tried again; if it fails for good, the error names the chunk and the rows.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Source", "is_large", "is_stored", "map_rows", "source_of"]

HELD_BYTES = 2**26
"""Stored arrays up to this size are read whole, since streaming them would save nothing."""

READ_BYTES = 2**24  # size of one read if the array has no blocks
PAUSES = (0.1, 0.5)  # seconds before a read is tried again

STORED = ("h5py", "zarr", "dask")  # packages whose arrays are read by slicing


def map_rows(path: str | os.PathLike[str]) -> np.memmap:
    """Memory-map a ``.npy`` file of rows without reading it yet; nothing in it is executed.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    memmap of shape (n_samples, n_features)
        Read-only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or is not a two-dimensional array of real numbers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.npy"
    >>> np.save(path, np.zeros((5, 2)))
    >>> map_rows(path).shape
    (5, 2)
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        # np.load would also open zip archives and pickles, by their magic number; this reads .npy only.
        rows = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header may raise any exception
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if rows.dtype.kind not in "fiub":
        raise ValueError(f"{path}: expected real numbers, got {rows.dtype}")
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(
            f"{path}: expected a table (n_samples, n_features) with at least one row, got shape {rows.shape}"
        )
    return rows


def is_stored(X: Any) -> bool:
    """Return whether X is an array on disk (or one to be computed), or an object that yields chunks."""
    return _is_stored_array(X) or _yields_chunks(X)


def is_large(X: Any) -> bool:
    """Return whether X is stored and too large to be read whole, or of unknown size."""
    # Dask returns NaN for an unknown size.
    return is_stored(X) and not getattr(X, "nbytes", HELD_BYTES + 1) <= HELD_BYTES


def _is_stored_array(X: Any) -> bool:
    package = type(X).__module__.partition(".")[0]
    mapped = isinstance(X, np.memmap) and getattr(X, "_mmap", None) is not None
    return mapped or (package in STORED and hasattr(X, "shape") and hasattr(X, "__getitem__"))


def _yields_chunks(X: Any) -> bool:
    arrays = ("shape", "__array__", "__getitem__", "__dataframe__", "__arrow_c_stream__")
    return isinstance(X, Iterable) and not any(hasattr(X, name) for name in arrays) and not isinstance(X, set)


def source_of(X: Any, *others: Any, names: Sequence[str] = ("X", "y", "sample_weight", "tangents")) -> Source:
    """Make a source of X and of the arrays with matching rows, such as targets and weights; None for a missing one.

    Chunks that X yields may be tuples of x and the first of the others. Error messages use ``names``.

    Raises
    ------
    ValueError
        If X yields its chunks only once, or if arrays differ in length.
    """
    if _yields_chunks(X):
        if iter(X) is X:
            raise ValueError(
                "X is an iterator, which yields its chunks only once, but a fit reads them in every step: pass an "
                "object whose __iter__ begins again, such as a class with a generator __iter__"
            )
        if any(other is not None for other in others):
            separate = [name for name, other in zip(names[1:], others, strict=False) if other is not None]
            raise ValueError(
                f"X yields chunks, so {' and '.join(separate)} cannot be passed separately: let X yield tuples "
                f"({', '.join(names[: 1 + len(others)])})"
            )
        return Source((_Yielded(X),), 1 + len(others))
    others = tuple(other if other is None or is_stored(other) else np.asarray(other) for other in others)
    if any(other is not None and np.ndim(other) == 0 for other in others):
        raise ValueError("targets and weights must have an entry for each row, not a single number")
    columns = [
        None if array is None else _Stored(array, name) for array, name in zip((X, *others), names, strict=False)
    ]
    lengths = {_length(column.array) for column in columns if column is not None}
    if len(lengths) > 1:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {sorted(lengths)}")
    if lengths == {0}:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    return Source(tuple(columns), 1 + len(others))


@dataclass(frozen=True)
class Source:
    """Reader of batches of rows, from several arrays in parallel or from an object that yields chunks.

    Attributes
    ----------
    columns : tuple
        The arrays that are read in parallel, or the object.
    n_parts : int
        Number of parts of a batch: x, targets, ...
    """

    columns: tuple[Any, ...]
    n_parts: int

    def batches(self, size: int) -> Iterator[tuple[NDArray[Any] | None, ...]]:
        """Read all rows, ``size`` at a time; a batch is a tuple of x, targets, ..., with None for a missing part."""
        if isinstance(self.columns[0], _Yielded):
            return self._padded(_regrouped(self.columns[0].chunks(), size))
        readers = [None if c is None else _regrouped(c.chunks(), size) for c in self.columns]
        present = [reader for reader in readers if reader is not None]

        def in_parallel() -> Iterator[tuple[NDArray[Any] | None, ...]]:
            for parts in zip(*present, strict=True):
                remaining = iter(parts)
                yield tuple(None if reader is None else next(remaining)[0] for reader in readers)

        return in_parallel()

    def _padded(self, batches: Iterator[tuple[NDArray[Any], ...]]) -> Iterator[tuple[NDArray[Any] | None, ...]]:
        for parts in batches:
            if len(parts) > self.n_parts:
                raise ValueError(f"X yields tuples of {len(parts)} parts; at most {self.n_parts} are allowed here")
            yield parts + (None,) * (self.n_parts - len(parts))


def _length(array: Any) -> int:
    if hasattr(array, "shape") and array.shape[0] != array.shape[0]:  # NaN, Dask's unknown size
        raise ValueError("the number of rows of X is unknown: call its compute_chunk_sizes() first")
    return int(array.shape[0]) if hasattr(array, "shape") else len(array)


Chunks = Iterator[tuple[NDArray[Any], ...]]


@dataclass(frozen=True)
class _Stored:
    """An array, stored or in memory, that is read by slices."""

    array: Any
    name: str

    def chunks(self) -> Chunks:
        n_samples, rows = _length(self.array), self._rows_at_once()
        for k, start in enumerate(range(0, n_samples, rows)):
            stop = min(start + rows, n_samples)

            def read(start: int = start, stop: int = stop) -> NDArray[Any]:
                return np.asarray(self.array[start:stop])

            yield (_read_with_retries(read, f"chunk {k} of {self.name} (rows {start} to {stop - 1})"),)

    def _rows_at_once(self) -> int:
        """Choose the rows of one read: whole blocks if the array has any, otherwise about `READ_BYTES`."""
        shape, dtype = self.array.shape, np.dtype(self.array.dtype)
        row_bytes = max(int(np.prod(shape[1:], dtype=np.int64)) * max(dtype.itemsize, 1), 1)
        many = max(READ_BYTES // row_bytes, 1)
        blocks = getattr(self.array, "chunks", None)
        if not blocks:
            return many
        first = blocks[0] if isinstance(blocks[0], int) else max(blocks[0])
        return max(many - many % first, int(first))


@dataclass(frozen=True)
class _Yielded:
    """An object that yields chunks."""

    source: Iterable[Any]

    def chunks(self) -> Chunks:
        done, row, iterator = 0, 0, iter(self.source)
        first: list[Any] = []

        def read_next() -> Any:
            nonlocal iterator
            if iterator is None:  # after a failure, begin again and skip the chunks already read
                iterator = islice(iter(self.source), done, None)
            try:
                return next(iterator, None)
            except BaseException:
                iterator = None  # type: ignore[assignment]
                raise

        while (chunk := _read_with_retries(read_next, f"chunk {done} of X (from row {row} on)")) is not None:
            # Copies, since the next chunk may reuse the buffer.
            parts = tuple(np.array(part) for part in (chunk if isinstance(chunk, tuple) else (chunk,)))
            row_shapes = [part.shape[1:] if part.ndim else "scalar" for part in parts]
            if done == 0:
                first = row_shapes
            where = f"chunk {done} of X (from row {row} on)"
            if "scalar" in row_shapes:
                kind = type(parts[row_shapes.index("scalar")].item()).__name__
                raise ValueError(
                    f"{where} has a {kind} where an array of rows is needed: yield dense arrays; a tuple may be "
                    "shorter, but must not contain None"
                )
            if len({part.shape[:1] for part in parts}) > 1:
                raise ValueError(f"{where} has parts of different lengths: {[part.shape for part in parts]}")
            if row_shapes != first:
                raise ValueError(f"{where} has rows of shapes {row_shapes}, but the first chunk had {first}")
            yield parts
            done, row = done + 1, row + len(parts[0])


def _read_with_retries(read: Callable[[], Any], what: str) -> Any:
    """Read, and after a failure pause and try again.

    Raises
    ------
    OSError
        If all tries fail; the message names the chunk and the rows.
    """
    for pause in (*PAUSES, None):
        try:
            return read()
        except Exception as error:
            if pause is None:
                tries = len(PAUSES) + 1
                raise OSError(f"{what} cannot be read, tried {tries} times: {error or type(error).__name__}") from error
            time.sleep(pause)
    raise AssertionError  # the last try returns or raises


def _regrouped(chunks: Chunks, size: int) -> Chunks:
    """Regroup chunks of any length into chunks of ``size`` rows; the last one may be shorter."""
    held: list[Sequence[NDArray[Any]]] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += len(chunk[0])
        while count >= size:
            held, whole = _split(held, size)
            count -= size
            yield whole
    if count:
        yield _split(held, count)[1]


def _split(
    held: list[Sequence[NDArray[Any]]], size: int
) -> tuple[list[Sequence[NDArray[Any]]], tuple[NDArray[Any], ...]]:
    """Split the first ``size`` rows off the chunks held."""
    taken: list[Sequence[NDArray[Any]]] = []
    rest = list(held)
    missing = size
    while missing:
        first = rest.pop(0)
        taken.append([part[:missing] for part in first])
        if len(first[0]) > missing:
            rest.insert(0, [part[missing:] for part in first])
        missing -= len(taken[-1][0])
    if len(taken) == 1:
        return rest, tuple(taken[0])
    return rest, tuple(np.concatenate(parts) for parts in zip(*taken, strict=True))
