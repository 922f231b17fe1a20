"""Corrupted copies of rows, from which a denoising autoencoder reconstructs the rows as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.engine.objective.input_scale import InputScale
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset, MappedDataset

__all__ = ["COPIES", "corrupt"]

COPIES = 4
"""Number of corrupted copies of a row. With one, the network learns the gaps of that copy. Each takes as much memory
and time as a row."""


def corrupt(dataset: Dataset, share: float, origin: InputScale | None, seed: int) -> Dataset:
    """Replace each row by corrupted copies; their targets are the row, their weights the row's divided by `COPIES`.

    Each input of a copy is masked with probability ``share``: it becomes 0, or with an origin, the mean of its column.
    The copies are drawn once, in the order of the rows, which for rows in memory does not depend on the user's order.

    Parameters
    ----------
    dataset : Dataset
        Rows in memory must be merged.
    share : float
        In [0, 1).
    origin : InputScale or None
        Mean and scale of each column, by which targets are centered and divided, as later the inputs.
    seed : int
    """
    copies = _Copies(share, origin, seed)
    if isinstance(dataset, InMemoryDataset):
        return InMemoryDataset(next(copies(dataset.batches())), dataset.mesh)
    return MappedDataset(dataset, copies, COPIES * dataset.batch_size, keeps_rows=False)


@dataclass(frozen=True)
class _Copies:
    """Corrupt the batches of a pass, in every pass alike."""

    share: float
    origin: InputScale | None
    seed: int

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for number, batch in enumerate(batches):
            yield self._corrupted(batch, np.random.default_rng([self.seed, number]))

    def _corrupted(self, batch: Batch, rng: np.random.Generator) -> Batch:
        rows: NDArray[np.floating] = np.repeat(batch.inputs, COPIES, axis=0)
        masked = rng.random(rows.shape, dtype=np.float32) < self.share
        mean = 0.0 if self.origin is None else self.origin.mean
        targets = rows if self.origin is None else ((rows - mean) / self.origin.scale).astype(rows.dtype)
        inputs = np.where(masked, mean, rows).astype(rows.dtype)
        return Batch(inputs, targets, np.repeat(batch.weights / COPIES, COPIES))
