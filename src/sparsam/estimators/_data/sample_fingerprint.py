"""Fingerprint of the samples of a training: a checkpoint is of these samples alone."""

from __future__ import annotations

import zlib
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam.engine.data.devices import sum_of_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.engine.training.train import precision

__all__ = ["fingerprint_of"]


def fingerprint_of(data: Samples | StreamedSamples) -> int:
    """Compute a checksum of all the samples, of all processes, however they are cut into chunks."""
    if isinstance(data, StreamedSamples):
        own = 0
        for batch in data.batches():
            own = zlib.crc32(array_digest(*batch).to_bytes(4), own)
        return int(sum_of_processes(own, data.mesh))
    parts = [data.inputs, data.targets, data.sample_weight, data.tangents]
    with precision(data.inputs.dtype):
        rows = [None if part is None else _in_rows(part) for part in parts]
        real = _in_rows(data.sample_weight) > 0
    return int(sum_of_processes(array_digest(*(None if part is None else part[real] for part in rows)), data.mesh))


def _in_rows(array: jax.Array) -> NDArray[Any]:
    """Copy the chunks of this process to the host, samples in rows."""
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    chunks = np.concatenate([np.asarray(shard.data) for shard in shards])
    rows = np.moveaxis(chunks, -1, 1)
    return rows.reshape(-1, *rows.shape[2:])
