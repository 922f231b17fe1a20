"""Streamed data: validated in the first pass, and compared with it in every later pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jax.typing import DTypeLike
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import max_of_processes, sum_of_processes
from sparsam.engine.data.sources import Source, is_large, is_stored, source_of
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import (
    BATCH_BYTES,
    Dataset,
    InMemoryDataset,
    on_all_processes,
    streamed_samples,
)

__all__ = ["Check", "StreamedDataset", "load_dataset"]

Check = Callable[[Batch, int], Batch]
"""Checks a batch with validated inputs and weights, given the number of its first row. Returns the batch with converted
targets, which data in memory keep; raises ValueError or TypeError."""


class _FirstPass(NamedTuple):
    """Results of the first pass; most_rows is the number of rows of the process that has the most."""

    n_features: int
    n_rows: int
    most_rows: int
    total_weight: float


@dataclass(frozen=True)
class StreamedDataset(Dataset):
    """Data that are read again in every pass.

    Attributes
    ----------
    source : Source
    parts : tuple of str
        Fields of `Batch` that the source reads.
    check : callable
        Called in the first pass with each batch and the number of its first row; raises ValueError or TypeError if the
        batch cannot be used.
    on_rows_read : callable
        Called in the first pass, after each batch, with the number of rows read so far.
    """

    source: Source
    parts: tuple[str, ...]
    check: Callable[[Batch, int], None]
    mesh: Mesh | None = None
    on_rows_read: Callable[[int], None] = lambda n_rows: None
    digests: list[tuple[int, int]] = field(default_factory=list)

    @property
    def n_features(self) -> int:
        """Number of features, D."""
        return self._first_pass.n_features

    @property
    def n_rows(self) -> int:
        """Number of rows of this process."""
        return self._first_pass.n_rows

    @property
    def total_weight(self) -> float:
        """Sum S of the weights, over all processes."""
        return self._first_pass.total_weight

    @property
    def batch_size(self) -> int:
        """Largest number of rows of a batch, the same in all processes."""
        return min(self._rows_at_once, self._first_pass.most_rows)

    def batches(self) -> Iterator[Batch]:
        """Read the data, after a first pass that validates them."""
        assert self._first_pass
        yield from self._read()

    def to_devices(self, dtype: DTypeLike, layer_sizes: tuple[int, ...], chunk_size: int | None) -> StreamedSamples:
        """Make streamed samples for the engine."""
        return streamed_samples(self, dtype, layer_sizes, chunk_size)

    @cached_property
    def _first_pass(self) -> _FirstPass:
        n_features, n_rows, weight = on_all_processes(self._check_all, self.mesh)
        most = int(max_of_processes(n_rows, self.mesh))
        return _FirstPass(n_features, n_rows, most, float(sum_of_processes(weight, self.mesh)))

    def _check_all(self) -> tuple[int, int, float]:
        n_features, n_rows, weight = 0, 0, 0.0
        for batch in self._read(self.check):
            n_features = batch.inputs.shape[1]
            n_rows += batch.n_rows
            weight += float(batch.weights.sum())
            self.on_rows_read(n_rows)
        if not weight > 0:
            raise ValueError("sample_weight is zero for every sample: there is nothing to fit")
        return n_features, n_rows, weight

    @cached_property
    def _rows_at_once(self) -> int:
        few = next(self.source.batches(1), (None,))[0]
        if few is None:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
        return max(BATCH_BYTES // max(4 * few.size, 1), 1)

    def _read(self, check: Callable[[Batch, int], None] | None = None) -> Iterator[Batch]:
        row, known = 0, bool(self.digests)
        k = -1
        for k, arrays in enumerate(self.source.batches(self._rows_at_once)):
            batch = Batch(**dict(zip(self.parts, arrays, strict=True)))
            read = (batch.n_rows, array_digest(*arrays))
            if not known:
                self.digests.append(read)
            elif k >= len(self.digests) or self.digests[k] != read:
                raise ValueError(
                    f"rows {row} to {row + batch.n_rows - 1} of X have changed since they were read before: a fit "
                    "reads the data in every step, and they must stay the same (no shuffling, no random changes, and "
                    "no other program that writes to the file)"
                )
            if check is not None:
                check(batch, row)
            yield _as_floats(batch)
            row += batch.n_rows
        if k + 1 < len(self.digests):
            raise ValueError(
                f"X ended after {row} rows, but had {sum(count for count, _ in self.digests)} when it was read before: "
                "every pass must yield the same rows (an iterator can be read only once)"
            )


def _as_floats(batch: Batch) -> Batch:
    """Convert numbers to floats, with the same types as data in memory."""
    weights = None if batch.sample_weight is None else batch.sample_weight.astype(np.float64, copy=False)
    return batch._replace(inputs=_floats(batch.inputs), sample_weight=weights, tangents=_floats(batch.tangents))


def _floats(array: NDArray[Any] | None) -> NDArray[np.floating] | None:
    if array is None or array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if np.can_cast(array.dtype, np.float32, "safe") else np.float64)


def load_dataset(
    estimator: Any,
    X: Any,
    sample_weight: Any = None,
    check: Check | None = None,
    *,
    others: dict[str, Any] | None = None,
    reset: bool = True,
    on_rows_read: Callable[[int], None] = lambda n_rows: None,
) -> Dataset:
    """Validate the data of a fit or a prediction, and load them; large stored arrays and objects' chunks are streamed.

    Parameters
    ----------
    estimator : NetworkEstimator
    X, sample_weight
        The user's data.
    check : Check or None
        The estimator's check of a batch.
    others : dict
        Further data of the samples by field of `Batch`: targets, tangents.
    reset : bool
        Whether to store the number and names of the features in the estimator; otherwise they must agree.
    on_rows_read : callable
        See `StreamedDataset`.
    """
    mesh = validation.checked_mesh(estimator.mesh) if reset else None  # a prediction is made by one process
    others = others or {}
    streams = bool(max_of_processes(is_large(X), mesh))  # if one process streams its rows, all must
    dataset: Dataset
    if streams:
        dataset = _stream(X, sample_weight, check, others, mesh, on_rows_read)
    else:
        in_memory = {name: np.asarray(part) if is_stored(part) else part for name, part in others.items()}

        def checked() -> Batch:
            inputs = validation.validate_inputs(estimator, np.asarray(X) if is_stored(X) else X, reset=reset)
            weights = validation.check_sample_weight(sample_weight, inputs)
            batch = Batch(inputs, sample_weight=weights, **in_memory)
            return batch if check is None else check(batch, 0)

        dataset = InMemoryDataset(on_all_processes(checked, mesh), mesh)
    n_features = dataset.n_features
    most, least = max_of_processes([n_features, -n_features], mesh)
    if most != -least:
        raise ValueError(
            f"X has {-least} features in one process and {most} in another: all processes must pass the same number"
        )
    if streams:
        validation.check_width(estimator, n_features, reset=reset)
    return dataset


def _stream(
    X: Any,
    sample_weight: Any,
    check: Check | None,
    others: dict[str, Any],
    mesh: Mesh | None,
    on_rows_read: Callable[[int], None],
) -> StreamedDataset:
    # The order is that of the tuples that an object may yield: inputs, targets, weights, tangents.
    arrays = {"inputs": X, "targets": None, "sample_weight": sample_weight, "tangents": None} | others
    fields = tuple(name for name in arrays if name in ("inputs", "sample_weight") or name in others)
    names = [{"inputs": "X", "targets": "y"}.get(name, name) for name in fields]

    def check_batch(batch: Batch, row: int) -> None:
        inputs = validation.check_batch(batch.inputs, row)
        validation.check_sample_weight(batch.sample_weight, inputs, row, some=False)
        if check is not None:
            check(batch._replace(inputs=inputs), row)

    def source() -> Source:
        arrays["inputs"] = X if is_stored(X) else np.asarray(X)  # X may be stored in another process only
        return source_of(*(arrays[name] for name in fields), names=names)

    return StreamedDataset(on_all_processes(source, mesh), fields, check_batch, mesh, on_rows_read)
