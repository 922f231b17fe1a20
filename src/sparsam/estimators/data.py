"""The data of a fit: rows in memory, or rows that are read again in every pass. The estimators treat both alike.

Rows in memory are brought into their canonical form (`sparsam.estimators.rows`); rows that are read
(`sparsam.estimators.read_rows`) are taken as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam.devices import local_devices, max_of_processes, sum_of_processes
from sparsam.estimators.rows import merge_repeated_parts
from sparsam.samples import Samples, choose_chunk_size
from sparsam.stream import Piece, Stream
from sparsam.train import precision

__all__ = ["PIECE_BYTES", "Data", "HeldRows", "Rows", "chunk_for", "samples_of", "stream_of"]

PIECE_BYTES = 2**24
"""Inputs of a piece in float32: two pieces at a time, and what is computed of them, are all that is held."""


class Rows(NamedTuple):
    """Some samples.

    Attributes
    ----------
    X : array of shape (n_rows, n_features)
    weights : array of shape (n_rows,) or None
        None for ones.
    """

    X: NDArray[np.floating]
    weights: NDArray[np.float64] | None

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return float(len(self.X) if self.weights is None else np.sum(self.weights, dtype=np.float64))


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


@dataclass(frozen=True)
class HeldRows:
    """Rows in memory."""

    X: NDArray[np.floating]
    weights: NDArray[np.float64] | None = None
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
        yield Rows(self.X, self.weights)

    def for_engine(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples:
        """Bring them into their canonical form, and to the devices."""
        options: Any = {"dtype": dtype, "layer_sizes": layer_sizes, "chunk_size": chunk_size, "mesh": self.mesh}
        return samples_of(self.X, None, self.weights, **options)

    def streamed(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Stream:
        """Bring them to the devices a piece at a time, as they are."""
        size = min(max(PIECE_BYTES // (4 * self.n_features), 1), self.n_rows)
        pieces = partial(_cut, size, self.X, None, self.weights)
        chunk = chunk_for(size, layer_sizes, chunk_size, mesh=self.mesh)
        total = float(sum_of_processes(Rows(self.X, self.weights).total_weight, self.mesh))
        return Stream(pieces, size, chunk, total, dtype, self.mesh)


def _cut(
    size: int,
    X: NDArray[np.floating],
    targets: NDArray[np.floating] | None,
    weights: NDArray[np.float64] | None,
    tangents: Callable[[NDArray[np.floating]], NDArray[np.floating]] | None = None,
) -> Iterator[Piece]:
    """Cut rows into pieces, whose tangents are made under way."""
    for start in range(0, len(X), size):
        rows = slice(start, start + size)
        t, s = (None if part is None else part[rows] for part in (targets, weights))
        yield Piece(X[rows], t, s, None if tangents is None else tangents(X[rows]))


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

    chunk = chunk_for(piece_size, layer_sizes, chunk_size, n_tangents, mesh)
    pieces = partial(_cut, piece_size, inputs, t, weights, tangents)
    return Stream(pieces, piece_size, chunk, float(sum_of_processes(weights.sum(), mesh)), dtype, mesh)


def chunk_for(
    n_rows: int, layer_sizes: tuple[int, ...], asked: int | None, n_tangents: int = 0, mesh: Mesh | None = None
) -> int:
    """Choose the samples of a chunk, of so many rows that a process divides among its devices."""
    n_devices = 1 if mesh is None else len(local_devices(mesh))
    return choose_chunk_size(-(-n_rows // n_devices), layer_sizes, asked, n_tangents)
