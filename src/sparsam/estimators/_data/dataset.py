"""The data of a fit: rows in memory, or rows that are read again in every pass. The estimators treat both alike.

Rows in memory are brought into their canonical form (`_data.deduplicate`); rows that are read
(`_data.streamed`) are taken as they come. What an estimator must know of all rows, a mean, it asks by
`sum_over` and `mean_over`, which add up over the pieces and over the processes of a distributed run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam.engine.data.devices import local_devices, max_of_processes, n_processes, sum_of_processes
from sparsam.engine.data.samples import Samples, choose_chunk_size
from sparsam.engine.training.streaming import Piece, Stream
from sparsam.engine.training.train import precision
from sparsam.estimators._data.deduplicate import merge_repeated_parts

__all__ = [
    "PIECE_BYTES",
    "Data",
    "HeldRows",
    "Rows",
    "Through",
    "chunk_for",
    "cut",
    "mapped",
    "mean_over",
    "stream_of",
    "sum_over",
    "together",
]

PIECE_BYTES = 2**24
"""Inputs of a piece in float32: two pieces at a time, and what is computed of them, are all that is held."""


class Rows(NamedTuple):
    """Some samples.

    Attributes
    ----------
    X : array of shape (n_rows, n_features)
    weights : array of shape (n_rows,) or None
        None for ones.
    targets : array of shape (n_rows, n_outputs) or None
        None where the inputs are their own targets.
    tangents : array of shape (n_rows, n_tangents, n_features) or None
    counts : int array of shape (n_rows,) or None
        How many samples each row stands for; None for one.
    """

    X: NDArray[np.floating]
    weights: NDArray[np.float64] | None = None
    targets: NDArray[Any] | None = None
    tangents: NDArray[np.floating] | None = None
    counts: NDArray[np.int64] | None = None

    @property
    def s(self) -> NDArray[np.float64]:
        """The weights, of ones too."""
        return np.ones(len(self.X)) if self.weights is None else self.weights

    @property
    def t(self) -> NDArray[Any]:
        """The targets, where there are any."""
        assert self.targets is not None
        return self.targets

    @property
    def tau(self) -> NDArray[np.floating]:
        """The tangents, where there are any."""
        assert self.tangents is not None
        return self.tangents

    @property
    def n_samples(self) -> int:
        """How many samples the rows stand for."""
        return len(self.X) if self.counts is None else int(self.counts.sum())

    def take(self, which: Any) -> Rows:
        """Some of the rows: numbers, a slice, or which are True."""
        return Rows(*(None if part is None else part[which] for part in self))  # type: ignore[arg-type]


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

    @property
    def piece_size(self) -> int:
        """Rows of a piece, at most, the same in all processes."""

    @property
    def total_weight(self) -> float:
        """S, the sum of the weights, of all processes."""

    def pieces(self) -> Iterator[Rows]:
        """Pass over the samples, a piece at a time."""

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples | Stream:
        """Make what the engine trains on."""


@dataclass(frozen=True)
class HeldRows:
    """Rows in memory."""

    rows: Rows
    mesh: Mesh | None = None

    @property
    def n_features(self) -> int:
        """D."""
        return self.rows.X.shape[1]

    @property
    def n_rows(self) -> int:
        """Rows of this process."""
        return len(self.rows.X)

    @cached_property
    def piece_size(self) -> int:
        """All of them, of the process that has the most."""
        return int(max_of_processes(self.n_rows, self.mesh))

    @cached_property
    def total_weight(self) -> float:
        """S, of all processes."""
        return float(sum_of_processes(self.rows.s.sum(), self.mesh))

    def pieces(self) -> Iterator[Rows]:
        """All of them at once."""
        yield self.rows

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples:
        """Bring them into their canonical form, and to the devices."""
        X, weights, targets, tangents, _ = self.rows
        parts = [None if part is None else part.astype(dtype, copy=False) for part in (X, targets, tangents)]
        merged, s = merge_repeated_parts(parts, weights, self.mesh)
        n_rows = int(max_of_processes(len(s), self.mesh))
        size = chunk_for(n_rows, layer_sizes, chunk_size, 0 if tangents is None else tangents.shape[1], self.mesh)
        inputs, *others = merged
        with precision(dtype):
            return Samples.from_arrays(
                inputs,  # type: ignore[arg-type]
                others[0],
                s,
                others[1],
                chunk_size=size,
                dtype=dtype,
                mesh=self.mesh,
            )


@dataclass(frozen=True)
class Through:
    """Rows of other data, seen through a function of the pass over them: never held.

    Attributes
    ----------
    data : Data
    function : callable
        Takes an iterator over the rows of a pass, and returns another.
    piece_size : int
        Rows of what the function makes, at most.
    keeps_rows : bool
        Whether the function leaves out none of the rows, and their weights as they are.
    """

    data: Data
    function: Callable[[Iterator[Rows]], Iterator[Rows]]
    piece_size: int
    keeps_rows: bool = True

    @property
    def mesh(self) -> Mesh | None:
        """Devices to train on."""
        return self.data.mesh

    @property
    def n_features(self) -> int:
        """D."""
        return self.data.n_features

    @cached_property
    def n_rows(self) -> int:
        """Rows of this process."""
        return self.data.n_rows if self.keeps_rows else sum(len(rows.X) for rows in self.pieces())

    @cached_property
    def total_weight(self) -> float:
        """S, of all processes."""
        return self.data.total_weight if self.keeps_rows else float(sum_over(self, lambda rows: rows.s.sum()))

    def pieces(self) -> Iterator[Rows]:
        """Pass over them."""
        return self.function(self.data.pieces())

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Make a stream of them."""
        return stream_of(self, dtype, layer_sizes, chunk_size)


def stream_of(data: Data, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
    """Make a stream of data: what the engine passes over in pieces."""
    # Weights and their sum are divided by a power of two, which is exact: then float32 holds them in any unit.
    exponent = np.frexp(data.total_weight)[1]

    def pieces() -> Iterator[Piece]:
        for rows in data.pieces():
            yield Piece(rows.X, rows.targets, np.ldexp(rows.s, -exponent), rows.tangents)

    first = next(data.pieces())
    n_tangents = 0 if first.tangents is None else first.tangents.shape[1]
    chunk = chunk_for(data.piece_size, layer_sizes, chunk_size, n_tangents, data.mesh)
    total_weight = float(np.ldexp(data.total_weight, -exponent))
    return Stream(pieces, data.piece_size, chunk, total_weight, dtype, data.mesh)


def cut(data: Data, size: int) -> Through:
    """Pass over data in pieces of at most so many rows."""

    def pieces(all_rows: Iterator[Rows]) -> Iterator[Rows]:
        for rows in all_rows:
            for start in range(0, len(rows.X), size):
                yield rows.take(slice(start, start + size))

    return Through(data, pieces, min(size, data.piece_size))


def mapped(data: Data, function: Callable[[Rows], Rows]) -> Data:
    """Data with a function of the rows applied: at once where they are held, else in every pass."""
    if isinstance(data, HeldRows):
        return HeldRows(function(data.rows), data.mesh)
    return Through(data, lambda all_rows: map(function, all_rows), data.piece_size)


def sum_over(data: Data, function: Callable[[Rows], Any]) -> Any:
    """Sum a function of the rows (a pytree of float64 arrays) over a pass, and over the processes."""

    def own() -> Any:
        total: Any = None
        for rows in data.pieces():
            part = function(rows)
            total = part if total is None else jax.tree.map(np.add, total, part)
        return total

    total = together(own, data.mesh)
    return jax.tree.map(lambda leaf: sum_of_processes(leaf, data.mesh), total)


def mean_over(data: Data, function: Callable[[Rows], NDArray[np.floating]]) -> NDArray[np.floating]:
    """Weighted mean of a function of the rows, an array (n_rows, ...)."""
    return np.asarray(sum_over(data, lambda rows: np.tensordot(rows.s, function(rows), 1)) / data.total_weight)


def together(look: Callable[[], Any], mesh: Mesh | None) -> Any:
    """Do something with the rows of each process, or fail in all processes.

    Raises
    ------
    Exception
        What ``look`` raises here.
    RuntimeError
        If it raises in another process.
    """
    if n_processes(mesh) == 1:
        return look()
    failure, result = None, None
    try:
        result = look()
    except Exception as error:
        failure = error
    failed = max_of_processes(failure is not None, mesh)
    if failure is not None:
        raise failure
    if failed:
        raise RuntimeError("the data of another process cannot be used: its own message says why")
    return result


def chunk_for(
    n_rows: int, layer_sizes: tuple[int, ...], asked: int | None, n_tangents: int = 0, mesh: Mesh | None = None
) -> int:
    """Choose the samples of a chunk, of so many rows that a process divides among its devices."""
    n_devices = 1 if mesh is None else len(local_devices(mesh))
    return choose_chunk_size(-(-n_rows // n_devices), layer_sizes, asked, n_tangents)
