"""Data of a fit, in memory or streamed, with a common interface for estimators.

Data in memory are converted to a canonical form (`deduplicate`); streamed data (`streamed`) keep their order. Means
over all rows are computed by `Dataset.sum` and `Dataset.mean`, which add over the batches and over the processes of a
distributed run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import local_devices, max_of_processes, n_processes, sum_of_processes
from sparsam.engine.data.samples import SMALL, Samples, choose_chunk_size
from sparsam.engine.jax_settings import precision
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.estimators._data.deduplicate import merge_repeated

__all__ = [
    "BATCH_BYTES",
    "Dataset",
    "InMemoryDataset",
    "MappedDataset",
    "on_all_processes",
    "streamed_samples",
    "too_many_for_one_chunk",
    "without_empty_batches",
]

Result = TypeVar("Result")

BATCH_BYTES = 2**24
"""Size of a batch's inputs in float32. Two batches at a time, and results computed from them, are in memory."""

MAX_COUNT = 10**9  # samples of a process; NumPy cannot draw from more


class Dataset(ABC):
    """Validated data; any number of passes over them is possible."""

    @property
    @abstractmethod
    def mesh(self) -> Mesh | None:
        """Devices to train on."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features, D."""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Number of rows of this process."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Largest number of rows of a batch, the same in all processes."""

    @property
    @abstractmethod
    def total_weight(self) -> float:
        """Sum S of the weights, over all processes."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Pass over the data, a batch at a time; a pass has at least one batch, which may have no rows."""

    @abstractmethod
    def to_devices(
        self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None
    ) -> Samples | StreamedSamples:
        """Make the samples for the engine, in chunks that suit the sizes of the layers."""

    def map(
        self, function: Callable[[Batch], Batch], n_features: int | None = None, *, keeps_rows: bool = True
    ) -> Dataset:
        """Apply a function to every batch: at once for data in memory, in every pass for others.

        ``n_features`` is the number of features of its result, if it changes; ``keeps_rows`` is whether it keeps all
        rows and their weights.
        """
        mapped = partial(_mapped, function, keeps_rows)
        return MappedDataset(self, mapped, self.batch_size, keeps_rows=keeps_rows, n_mapped=n_features)

    def split_batches(self, size: int) -> Dataset:
        """Pass over the data in batches of at most ``size`` rows."""

        def parts(batches: Iterator[Batch]) -> Iterator[Batch]:
            for batch in batches:
                for start in range(0, max(batch.n_rows, 1), size):  # at least once, even without rows
                    yield batch.take(slice(start, start + size))

        return MappedDataset(self, parts, min(size, self.batch_size))

    def merge_repeated(self) -> Dataset:
        """Merge repeated rows of data in memory; see `InMemoryDataset.merge_repeated`."""
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
        """Whether the batches contain tangents."""
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
        Number of samples that each row stands for, after merging repeated rows; None before.
    whole : int
        Number of rows of the data whose training part this is, 0 if it is no part. On the devices a part of small data
        is as long as the whole, so that both use the same compiled programs.
    """

    batch: Batch
    mesh: Mesh | None = None
    counts: NDArray[np.int64] | None = None
    whole: int = 0

    @property
    def n_features(self) -> int:
        """Number of features, D."""
        return int(self.batch.inputs.shape[1])

    @property
    def n_rows(self) -> int:
        """Number of rows of this process."""
        return self.batch.n_rows

    @property
    def n_samples(self) -> int:
        """Number of samples that the rows stand for, in all processes."""
        own = self.n_rows if self.counts is None else int(self.counts.sum())
        return int(sum_of_processes(own, self.mesh))

    @cached_property
    def batch_size(self) -> int:
        """Number of rows of the process that has the most."""
        return int(max_of_processes(self.n_rows, self.mesh))

    @cached_property
    def total_weight(self) -> float:
        """Sum S of the weights, over all processes."""
        return float(sum_of_processes(self.batch.weights.sum(), self.mesh))

    def batches(self) -> Iterator[Batch]:
        """Yield all rows as one batch."""
        yield self.batch

    def map(
        self, function: Callable[[Batch], Batch], n_features: int | None = None, *, keeps_rows: bool = True
    ) -> InMemoryDataset:
        """Apply a function to the rows."""
        return replace(self, batch=function(self.batch))

    def merge_repeated(self) -> InMemoryDataset:
        """Merge repeated rows, and count the samples that each stands for; see `deduplicate`.

        All later results, including scales and the held-out part, then have the same bits for integer weights and for
        repeated rows. The weight of a row is its number of samples, if all weights are integers and their sum is not
        too large.
        """
        if self.counts is not None:
            return self  # they are merged
        merged = merge_repeated(self.batch, self.mesh)
        s, weights = merged.weights, self.batch.sample_weight
        counts = np.ones(len(s), dtype=np.int64)
        total = self.n_rows if weights is None else weights.sum()
        fractions = weights is not None and not np.array_equal(weights, np.round(weights))
        if not max_of_processes(fractions or total >= MAX_COUNT, self.mesh):
            counts = np.round(s / s.sum() * total).astype(np.int64)
        return replace(self, batch=merged, counts=counts)

    def to_devices(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> Samples:
        """Convert to a precision, merge repeated rows unless they are merged, and copy to the devices."""
        inputs, targets, weights, tangents = self.batch
        parts = [None if part is None else part.astype(dtype, copy=False) for part in (inputs, targets, tangents)]
        batch = Batch(parts[0], parts[1], weights, parts[2])
        if self.counts is None:
            batch = merge_repeated(batch, self.mesh)
        else:  # a part of merged rows may not contain the largest weight, by which all were scaled
            largest = max_of_processes(batch.weights.max(initial=0.0), self.mesh)
            batch = batch._replace(sample_weight=np.ldexp(batch.weights, 1 - np.frexp(largest)[1]))
        as_long_as = self.whole if self.whole <= SMALL else 0
        n_rows = int(max_of_processes(max(batch.n_rows, as_long_as), self.mesh))
        n_tangents = 0 if tangents is None else tangents.shape[1]
        chunk = _choose_chunk_size(n_rows, layer_sizes, chunk_size, n_tangents, self.mesh)
        with precision(dtype):
            return Samples.from_arrays(*batch, chunk_size=chunk, dtype=dtype, mesh=self.mesh)


@dataclass(frozen=True)
class MappedDataset(Dataset):
    """Dataset with a function that is applied in each pass; the results are not kept in memory.

    Attributes
    ----------
    dataset : Dataset
    function : callable
        Takes an iterator over the batches of a pass, and returns another.
    most_rows : int
        Largest number of rows of the function's batches.
    keeps_rows : bool
        Whether the function keeps all rows and their weights.
    n_mapped : int or None
        Number of features of the function's batches, if it changes.
    """

    dataset: Dataset
    function: Callable[[Iterator[Batch]], Iterator[Batch]]
    most_rows: int
    keeps_rows: bool = True
    n_mapped: int | None = None

    @property
    def batch_size(self) -> int:
        """Largest number of rows of a batch."""
        return self.most_rows

    @property
    def mesh(self) -> Mesh | None:
        """Devices to train on."""
        return self.dataset.mesh

    @property
    def n_features(self) -> int:
        """Number of features, D."""
        return self.dataset.n_features if self.n_mapped is None else self.n_mapped

    @cached_property
    def n_rows(self) -> int:
        """Number of rows of this process."""
        return self.dataset.n_rows if self.keeps_rows else sum(batch.n_rows for batch in self.batches())

    @cached_property
    def total_weight(self) -> float:
        """Sum S of the weights, over all processes."""
        return self.dataset.total_weight if self.keeps_rows else float(self.sum(lambda batch: batch.weights.sum()))

    def batches(self) -> Iterator[Batch]:
        """Pass over the other dataset, and apply the function."""
        return self.function(self.dataset.batches())

    def to_devices(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> StreamedSamples:
        """Make streamed samples for the engine."""
        return streamed_samples(self, dtype, layer_sizes, chunk_size)


def _mapped(function: Callable[[Batch], Batch], keeps_rows: bool, batches: Iterator[Batch]) -> Iterator[Batch]:
    results = map(function, batches)
    return results if keeps_rows else without_empty_batches(results)


def without_empty_batches(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Skip the batches without rows, except the last one of a pass without any rows: a pass has at least one batch."""
    empty: Batch | None = None
    some = False
    for batch in batches:
        if batch.n_rows:
            some = True
            yield batch
        else:
            empty = batch
    if empty is not None and not some:
        yield empty


def streamed_samples(
    dataset: Dataset, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None
) -> StreamedSamples:
    """Make streamed samples for the engine, which passes over the dataset in batches."""
    # Weights and their sum are divided by a power of two, which is exact, so that they do not overflow in float32.
    exponent = np.frexp(dataset.total_weight)[1]

    def batches() -> Iterator[Batch]:
        for batch in dataset.batches():
            yield batch._replace(sample_weight=np.ldexp(batch.weights, -exponent))

    first = next(dataset.batches())
    n_tangents = 0 if first.tangents is None else first.tangents.shape[1]
    chunk = _choose_chunk_size(dataset.batch_size, layer_sizes, chunk_size, n_tangents, dataset.mesh)
    total_weight = float(np.ldexp(dataset.total_weight, -exponent))
    return StreamedSamples(batches, dataset.batch_size, chunk, total_weight, dtype, dataset.mesh)


def on_all_processes(function: Callable[[], Result], mesh: Mesh | None) -> Result:
    """Call a function in each process; if it fails in one, fail in all.

    Raises
    ------
    Exception
        The exception of the function in this process.
    RuntimeError
        If it fails in another process.
    """
    if n_processes(mesh) == 1:
        return function()
    failure, result = None, None
    try:
        result = function()
    except Exception as error:
        failure = error
    failed = max_of_processes(failure is not None, mesh)
    if failure is not None:
        raise failure
    if failed:
        raise RuntimeError("the data of another process cannot be used: see the log of that process")
    return result  # type: ignore[return-value]


def too_many_for_one_chunk(n_rows: int, layer_sizes: tuple[int, ...], n_tangents: int, mesh: Mesh | None) -> bool:
    """Return whether a device gets several chunks, unless the user has set their size.

    Then evaluations of J on some of the chunks are cheaper, whatever the size that the user has set.
    """
    per_device = -(-n_rows // (1 if mesh is None else len(local_devices(mesh))))
    return _choose_chunk_size(n_rows, layer_sizes, None, n_tangents, mesh) < per_device


def _choose_chunk_size(
    n_rows: int, layer_sizes: tuple[int, ...], chunk_size: int | None, n_tangents: int, mesh: Mesh | None
) -> int:
    """Choose the chunk size for the rows of a process, which are divided among its devices."""
    n_devices = 1 if mesh is None else len(local_devices(mesh))
    return choose_chunk_size(-(-n_rows // n_devices), layer_sizes, chunk_size, n_tangents)
