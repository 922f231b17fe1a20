"""A sample of streamed rows in memory, on which a training begins."""

from __future__ import annotations

import jax
import numpy as np

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import max_of_processes, sum_of_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.training.growing_sample import LARGEST
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.estimators._data.dataset import on_all_processes

__all__ = ["draw_sample"]

SAMPLE_BYTES = 2**25
"""Size of a sample in each process, in the precision of the training. It exists three times while it is copied to the
devices: as read, in chunks, and there."""


def draw_sample(stream: StreamedSamples, n_rows: int, least_rows: int) -> Samples | None:
    """Draw rows of positive weight in one pass, each with the same probability, always the same rows.

    Parameters
    ----------
    stream : StreamedSamples
    n_rows : int
        Number of rows of this process.
    least_rows : int
        Least number of rows that are of use.

    Returns
    -------
    Samples or None
        In random order, on the devices of the stream. None if they are too few; without a pass, if that is certain.
    """
    most = int(max_of_processes(n_rows, stream.mesh))
    share = min(LARGEST, SAMPLE_BYTES / (stream.row_bytes * most))
    if share * sum_of_processes(n_rows, stream.mesh) < least_rows:
        return None
    batch = on_all_processes(lambda: _draw(stream, share), stream.mesh)
    if sum_of_processes(batch.n_rows, stream.mesh) < least_rows:
        return None
    with precision(stream.dtype):
        return Samples.from_arrays(*batch, chunk_size=stream.chunk_size, dtype=stream.dtype, mesh=stream.mesh)


def _draw(stream: StreamedSamples, share: float) -> Batch:
    generator = np.random.default_rng([1, jax.process_index()])
    drawn, count = [], 0
    for batch in stream.batches():
        some = batch.take((generator.random(batch.n_rows) < share) & (batch.weights > 0))
        drawn.append([part if part is None else part.astype(stream.dtype) for part in some])
        count += some.n_rows
    order = generator.permutation(count)
    return Batch(*(None if parts[0] is None else np.concatenate(parts)[order] for parts in zip(*drawn, strict=True)))
