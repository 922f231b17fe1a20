"""Data of a fit: in memory, or streamed and seen through functions. Estimators treat all alike.

Data in memory are brought into a canonical form (`deduplicate`); streamed data (`streamed`) are taken as they come.
Means over all rows come from `Dataset.sum` and `Dataset.mean`, which add up over the batches and over the processes of
a distributed run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import local_devices, max_of_processes, n_processes, sum_of_processes
from sparsam.engine.data.samples import Samples, choose_chunk_size
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.engine.training.train import precision
from sparsam.estimators._data.deduplicate import merge_repeated

__all__ = ["BATCH_BYTES", "Dataset", "InMemoryDataset", "MappedDataset", "on_all_processes", "streamed_samples"]

Result = TypeVar("Result")

BATCH_BYTES = 2**24
"""Inputs of a batch in float32: two batches at a time, and what is computed of them, are all that is held."""

MOST_COUNTED = 10**9  # samples of a process; NumPy draws from fewer


class Dataset(ABC):
    """Checked data, which can be passed over any number of times."""

    @property
    @abstractmethod
    def mesh(self) -> Mesh | None:
        """Devices to train on."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """D."""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Rows of this process."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Rows of a batch, at most, the same in all processes."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """S, the sum of the weights, of all processes."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Pass over the data, a batch at a time; a pass has one batch at least, if of no rows."""

    @abstractmethod
    def to_devices(
        self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None
    ) -> Samples | StreamedSamples:
        """Make the samples that the engine trains on, in chunks that suit the sizes of the layers."""

    def map(self, function: Callable[[Batch], Batch]) -> Dataset:
        """Apply a function to every batch: at once to data in memory, in every pass to others."""
        return MappedDataset(self, lambda batches: map(function, batches), self.batch_size)

    def split_batches(self, size: int) -> Dataset:
        """Pass over the data in batches of at most ``size`` rows."""

        def parts(batches: Iterator[Batch]) -> Iterator[Batch]:
            for batch in batches:
                for start in range(0, max(batch.n_rows, 1), size):  # a batch of no rows is one, too
                    yield batch.take(slice(start, start + size))

        return MappedDataset(self, parts, min(size, self.batch_size))

    def merge_repeated(self) -> Dataset:
        """Merge repeated rows, in memory; see `InMemoryDataset.merge_repeated`."""
        return self

    def sum(self, function: Callable[[Batch], Any]) -> Any:
        """Sum a function of a batch (a pytree of float64 arrays) over a pass, and over the processes."""
        total = on_all_processes(lambda: self._own_sum(function), self.mesh)
        return jax.tree.map(lambda leaf: sum_of_processes(leaf, self.mesh), total)

    def _own_sum(self, function: Callable[[Batch], Any]) -> Any:
        total: Any = None
        for batch in self.batches():
            part = function(batch)
            total = part if total is None else jax.tree.map(np.add, total, part)
        return total

    def mean(self, function: Callable[[Batch], NDArray[np.floating]]) -> NDArray[np.floating]:
        """Average a function of a batch, an array (n_rows, ...), with the sample weights."""
        total = self.sum(lambda batch: np.tensordot(batch.weights, function(batch), 1))
        return np.asarray(total / self.total_weight)

    @cached_property
    def has_tangents(self) -> bool:
        """Whether there are tangents."""
        return next(self.batches()).tangents is not None

    @property
    def n_samples(self) -> int:
        """Number of samples that the rows stand for, in all processes."""
        return int(self.sum(lambda batch: np.float64(batch.n_rows)))


@dataclass(frozen=True)
class InMemoryDataset(Dataset):
    """Data in memory: a single batch.

    Attributes
    ----------
    batch : Batch
    mesh : jax.sharding.Mesh or None
    counts : int array of shape (n_rows,) or None
        How many samples each row stands for, where repeated rows have been merged; None where they have not.
    """

    batch: Batch
    mesh: Mesh | None = None
    counts: NDArray[np.int64] | None = None

    @property
    def n_features(self) -> int:
        """D."""
        return int(self.batch.inputs.shape[1])

    @property
    def n_rows(self) -> int:
        """Rows of this process."""
        return self.batch.n_rows

    @property
    def n_samples(self) -> int:
        """Number of samples that the rows stand for, in all processes."""
        own = self.n_rows if self.counts is None else int(self.counts.sum())
        return int(sum_of_processes(own, self.mesh))

    @cached_property
    def batch_size(self) -> int:
        """All rows, of the process that has the most."""
        return int(max_of_processes(self.n_rows, self.mesh))

    @cached_property
    def total_weight(self) -> float:
        """S, of all processes."""
        return float(sum_of_processes(self.batch.weights.sum(), self.mesh))

    def batches(self) -> Iterator[Batch]:
        """Yield all rows at once."""
        yield self.batch

    def map(self, function: Callable[[Batch], Batch]) -> InMemoryDataset:
        """Apply a function to the rows."""
        return InMemoryDataset(function(self.batch), self.mesh, self.counts)

    def merge_repeated(self) -> InMemoryDataset:
        """Merge repeated rows, with the number of samples that each stands for; see `deduplicate`.

        From then on everything that is computed, scales and the part held out among it, is the same to the bit for
        weights and for repeated rows. A row counts as so many samples as its weight says, if all weights are whole
        numbers, and not so large that they can be no counts.
        """
        merged = merge_repeated(self.batch, self.mesh)
        s, weights = merged.weights, self.batch.sample_weight
        counts = np.ones(len(s), dtype=np.int64)
        total = self.n_rows if weights is None else weights.sum()
        fractions = weights is not None and not np.array_equal(weights, np.round(weights))
        if not max_of_processes(fractions or total >= MOST_COUNTED, self.mesh):
            counts = np.round(s / s.sum() * total).astype(np.int64)
        return InMemoryDataset(merged, self.mesh, counts)

    def to_devices(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples:
        """Convert to a precision, merge repeated rows where that has not been done, and copy to the devices."""
        inputs, targets, weights, tangents = self.batch
        parts = [None if part is None else part.astype(dtype, copy=False) for part in (inputs, targets, tangents)]
        batch = Batch(parts[0], parts[1], weights, parts[2])
        if self.counts is None:
            batch = merge_repeated(batch, self.mesh)
        else:  # part of merged rows may lack the largest weight, to which the others were scaled
            largest = max_of_processes(batch.weights.max(initial=0.0), self.mesh)
            batch = batch._replace(sample_weight=np.ldexp(batch.weights, 1 - np.frexp(largest)[1]))
        n_rows = int(max_of_processes(batch.n_rows, self.mesh))
        n_tangents = 0 if tangents is None else tangents.shape[1]
        chunk = _choose_chunk_size(n_rows, layer_sizes, chunk_size, n_tangents, self.mesh)
        with precision(dtype):
            return Samples.from_arrays(*batch, chunk_size=chunk, dtype=dtype, mesh=self.mesh)


@dataclass(frozen=True)
class MappedDataset(Dataset):
    """Another dataset seen through a function of each pass over it: never held.

    Attributes
    ----------
    dataset : Dataset
    function : callable
        Takes an iterator over the batches of a pass, and returns another.
    most_rows : int
        Rows of the function's batches, at most.
    keeps_rows : bool
        Whether the function leaves out none of the rows, and their weights as they are.
    """

    dataset: Dataset
    function: Callable[[Iterator[Batch]], Iterator[Batch]]
    most_rows: int
    keeps_rows: bool = True

    @property
    def batch_size(self) -> int:
        """Rows of a batch, at most."""
        return self.most_rows

    @property
    def mesh(self) -> Mesh | None:
        """Devices to train on."""
        return self.dataset.mesh

    @property
    def n_features(self) -> int:
        """D."""
        return self.dataset.n_features

    @cached_property
    def n_rows(self) -> int:
        """Rows of this process."""
        return self.dataset.n_rows if self.keeps_rows else sum(batch.n_rows for batch in self.batches())

    @cached_property
    def total_weight(self) -> float:
        """S, of all processes."""
        return self.dataset.total_weight if self.keeps_rows else float(self.sum(lambda batch: batch.weights.sum()))

    def batches(self) -> Iterator[Batch]:
        """Pass over the other dataset, through the function."""
        return self.function(self.dataset.batches())

    def to_devices(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> StreamedSamples:
        """Make a stream."""
        return streamed_samples(self, dtype, layer_sizes, chunk_size)


def streamed_samples(
    dataset: Dataset, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None
) -> StreamedSamples:
    """Make a stream of a dataset, which the engine passes over in batches."""
    # Weights and their sum are divided by a power of two, which is exact: then float32 holds them in any unit.
    exponent = np.frexp(dataset.total_weight)[1]

    def batches() -> Iterator[Batch]:
        for batch in dataset.batches():
            yield batch._replace(sample_weight=np.ldexp(batch.weights, -exponent))

    first = next(dataset.batches())
    n_tangents = 0 if first.tangents is None else first.tangents.shape[1]
    chunk = _choose_chunk_size(dataset.batch_size, layer_sizes, chunk_size, n_tangents, dataset.mesh)
    total_weight = float(np.ldexp(dataset.total_weight, -exponent))
    return StreamedSamples(batches, dataset.batch_size, chunk, total_weight, dtype, dataset.mesh)


def on_all_processes(look: Callable[[], Result], mesh: Mesh | None) -> Result:
    """Call a function in each process; where it fails in one, fail in all.

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
        raise RuntimeError("the data of another process cannot be used: see the log of that process")
    return result  # type: ignore[return-value]


def _choose_chunk_size(
    n_rows: int, layer_sizes: tuple[int, ...], asked: int | None, n_tangents: int, mesh: Mesh | None
) -> int:
    """Choose the samples of a chunk, of the rows that a process divides among its devices."""
    n_devices = 1 if mesh is None else len(local_devices(mesh))
    return choose_chunk_size(-(-n_rows // n_devices), layer_sizes, asked, n_tangents)
