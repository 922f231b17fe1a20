"""Fingerprint of the data of a fit, by which a checkpoint identifies its data."""

from __future__ import annotations

import zlib

from sparsam._utils.digests import array_digest
from sparsam.engine.data.devices import sum_of_processes
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset, on_all_processes

__all__ = ["fingerprint_of"]


def fingerprint_of(dataset: Dataset) -> int:
    """Compute a checksum of the samples of all processes, in one pass.

    For data in memory it does not depend on the order of the rows, nor on whether repeated rows or weights are used,
    just like the fit.
    """
    if isinstance(dataset, InMemoryDataset) and dataset.counts is None:
        dataset = dataset.merge_repeated()
    own = on_all_processes(lambda: _own_checksum(dataset), dataset.mesh)
    return int(sum_of_processes(own, dataset.mesh))


def _own_checksum(dataset: Dataset) -> int:
    checksum = 0
    for batch in dataset.batches():
        checksum = zlib.crc32(array_digest(*batch).to_bytes(4), checksum)
    return checksum
