"""Rows that are not in memory: mapped files, HDF5, Zarr, Dask, and objects that yield chunks of rows.

A `Source` reads them in batches, in order, as often as it is asked. What a stored array keeps together, a block of a
compressed file, is read at once. A read that fails is tried again; what fails for good is named by chunk and row.
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
"""Stored arrays up to this size are read whole: nothing is saved by streaming them."""

READ_BYTES = 2**24  # of one read, where the array has no blocks of its own
PAUSES = (0.1, 0.5)  # seconds before a read is tried again

STORED = ("h5py", "zarr", "dask")  # packages whose arrays are read as they are sliced


def map_rows(path: str | os.PathLike[str]) -> np.memmap:
    """Map a ``.npy`` file of rows: nothing of it is read yet, and nothing executed.

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
        If it is damaged, or holds anything but real numbers in two dimensions.

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
        # np.load would turn to zip archives and pickles where the magic number says so; this reads .npy only.
        rows = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # of a damaged header it may be any
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if rows.dtype.kind not in "fiub":
        raise ValueError(f"{path}: real numbers are needed, not {rows.dtype}")
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"{path}: a table (n_samples, n_features) with rows is needed, not an array {rows.shape}")
    return rows


def is_stored(X: Any) -> bool:
    """Whether X is an array on disk (or to be computed), or an object that yields chunks."""
    return _is_stored_array(X) or _yields_chunks(X)


def is_large(X: Any) -> bool:
    """Whether X is stored and too large to be read whole; so is what does not tell its size."""
    # Dask says NaN where it does not know.
    return is_stored(X) and not getattr(X, "nbytes", HELD_BYTES + 1) <= HELD_BYTES


def _is_stored_array(X: Any) -> bool:
    package = type(X).__module__.partition(".")[0]
    mapped = isinstance(X, np.memmap) and getattr(X, "_mmap", None) is not None
    return mapped or (package in STORED and hasattr(X, "shape") and hasattr(X, "__getitem__"))


def _yields_chunks(X: Any) -> bool:
    arrays = ("shape", "__array__", "__getitem__", "__dataframe__", "__arrow_c_stream__")
    return isinstance(X, Iterable) and not any(hasattr(X, name) for name in arrays) and not isinstance(X, set)


def source_of(X: Any, *others: Any, names: Sequence[str] = ("X", "y", "sample_weight", "tangents")) -> Source:
    """Make a source of X and, row by row, of what belongs to it: targets, weights; None where there is none.

    Chunks that X yields may be tuples of x and some of the others, in their order. ``names`` are those of messages.

    Raises
    ------
    ValueError
        If X yields its chunks only once, or if arrays differ in length.
    """
    if _yields_chunks(X):
        if iter(X) is X:
            raise ValueError(
                "X is an iterator, which yields its chunks only once, and a fit reads them in every step: give an "
                "object whose __iter__ begins anew, such as a class with a generator __iter__"
            )
        if any(other is not None for other in others):
            whole = f"({', '.join(names[: 1 + len(others)])})"
            raise ValueError(f"an object that yields chunks yields what belongs to them too, as tuples {whole}")
        return Source((_Yielded(X),), 1 + len(others))
    others = tuple(other if other is None or is_stored(other) else np.asarray(other) for other in others)
    if any(other is not None and np.ndim(other) == 0 for other in others):
        raise ValueError("targets and weights must have an entry a row, not a single number")
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
    """Rows of arrays side by side, or of an object, in batches.

    Attributes
    ----------
    columns : tuple
        What is read side by side.
    n_parts : int
        Parts of a batch: x, targets, ...
    """

    columns: tuple[Any, ...]
    n_parts: int

    def batches(self, size: int) -> Iterator[tuple[NDArray[Any] | None, ...]]:
        """Read all rows, ``size`` at a time; a batch is a tuple of x, targets, ..., None where there are none."""
        if isinstance(self.columns[0], _Yielded):
            return self._padded(_regrouped(self.columns[0].chunks(), size))
        readers = [None if c is None else _regrouped(c.chunks(), size) for c in self.columns]
        present = [reader for reader in readers if reader is not None]

        def side_by_side() -> Iterator[tuple[NDArray[Any] | None, ...]]:
            for parts in zip(*present, strict=True):
                of = iter(parts)
                yield tuple(None if reader is None else next(of)[0] for reader in readers)

        return side_by_side()

    def _padded(self, batches: Iterator[tuple[NDArray[Any], ...]]) -> Iterator[tuple[NDArray[Any] | None, ...]]:
        for parts in batches:
            if len(parts) > self.n_parts:
                raise ValueError(f"X yields chunks of {len(parts)} parts, of which this takes at most {self.n_parts}")
            yield parts + (None,) * (self.n_parts - len(parts))


def _length(array: Any) -> int:
    if hasattr(array, "shape") and array.shape[0] != array.shape[0]:  # NaN, as Dask has it
        raise ValueError("X does not know how many rows it has: call its compute_chunk_sizes() before")
    return int(array.shape[0]) if hasattr(array, "shape") else len(array)


Chunks = Iterator[tuple[NDArray[Any], ...]]


@dataclass(frozen=True)
class _Stored:
    """An array that is read by slices, those in memory among them."""

    array: Any
    name: str

    def chunks(self) -> Chunks:
        n_samples, rows = _length(self.array), self._rows_at_once()
        for k, start in enumerate(range(0, n_samples, rows)):
            stop = min(start + rows, n_samples)

            def read(start: int = start, stop: int = stop) -> NDArray[Any]:
                return np.asarray(self.array[start:stop])

            yield (_persistently(read, f"chunk {k} of {self.name} (rows {start} to {stop - 1})"),)

    def _rows_at_once(self) -> int:
        """A whole number of blocks, where it has any; else what makes a read worth its while."""
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

        def following() -> Any:
            nonlocal iterator
            if iterator is None:  # after a failure from the beginning again
                iterator = islice(iter(self.source), done, None)
            try:
                return next(iterator, None)
            except BaseException:
                iterator = None  # type: ignore[assignment]
                raise

        while (chunk := _persistently(following, f"chunk {done} of X (from row {row} on)")) is not None:
            # Copies, for the next chunk may come in the same buffer.
            parts = tuple(np.array(part) for part in (chunk if isinstance(chunk, tuple) else (chunk,)))
            of_part = [part.shape[1:] if part.ndim else "nothing" for part in parts]
            if done == 0:
                first = of_part
            where = f"chunk {done} of X (from row {row} on)"
            if "nothing" in of_part:
                kind = type(parts[of_part.index("nothing")].item()).__name__
                raise ValueError(
                    f"{where} has a {kind} where an array of rows is needed: give dense arrays, and of a tuple leave "
                    "out only the last ones"
                )
            if len({part.shape[:1] for part in parts}) > 1:
                raise ValueError(f"{where} has parts of different lengths: {[part.shape for part in parts]}")
            if of_part != first:
                raise ValueError(f"{where} has rows of shapes {of_part}, and the first chunk had {first}")
            yield parts
            done, row = done + 1, row + len(parts[0])


def _persistently(read: Callable[[], Any], what: str) -> Any:
    """Read, and where that fails pause and try again.

    Raises
    ------
    OSError
        If it fails for good; it says what could not be read.
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
    """Chunks of any number of rows as chunks of so many each, the last one apart."""
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
    """Take so many rows off the front of the chunks held."""
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
