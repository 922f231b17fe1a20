"""Data of a training on its devices, in a given precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import max_of_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.training.growing_sample import nested_samples
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.estimators._data.dataset import Dataset, too_many_for_one_chunk
from sparsam.estimators._data.stream_sample import draw_sample

__all__ = ["DeviceData"]


@dataclass
class DeviceData:
    """Dataset on its devices, transferred once for each precision.

    Attributes
    ----------
    dataset : Dataset
    layer_sizes : tuple of int
        Numbers per sample in each part of a pass, from which the chunk size is chosen.
    chunk_size : int or None
        The estimator's hyperparameter.
    input_scale : InputScale or None
        Scale of the inputs and tangents on the devices; None for unscaled ones.
    least_rows : int or None
        Least number of rows of a sample on which to begin the training; None to begin on all rows.
    on_rows_passed : callable or None
        Called in every pass over a stream, after each batch, with the number of rows so far and the number of all rows,
        which is None in the first pass.
    """

    dataset: Dataset
    layer_sizes: tuple[int, ...]
    chunk_size: int | None
    input_scale: InputScale | None = None
    least_rows: int | None = None
    on_rows_passed: Callable[[int, int | None], None] | None = field(default=None, init=False)
    n_rows: int | None = field(default=None, init=False)
    _cache: dict[str, Samples | StreamedSamples] = field(default_factory=dict, init=False)

    def samples_in(self, dtype: str) -> Samples | StreamedSamples:
        """Return the samples in a precision."""
        if dtype not in self._cache:
            scale, dataset = self.input_scale, self.dataset
            if scale is not None:
                dataset = dataset.map(partial(scale.scaled, dtype=dtype))
            samples = dataset.to_devices(dtype, self.layer_sizes, self.chunk_size)
            if isinstance(samples, StreamedSamples):
                samples = replace(samples, batches=partial(self._counted, samples.batches))
            self._cache[dtype] = samples
        return self._cache[dtype]

    def samples_to_begin_on(self, dtype: str) -> list[Samples]:
        """Return the samples on which to begin the training, smallest first; none if the rows are too few."""
        if self.least_rows is None:
            return []
        samples = self.samples_in(dtype)
        n_rows = samples.n_rows if isinstance(samples, Samples) else self.dataset.n_rows
        most, n_tangents = int(max_of_processes(n_rows, samples.mesh)), samples.n_tangents
        if not too_many_for_one_chunk(most, self.layer_sizes, n_tangents, samples.mesh):
            return []
        if isinstance(samples, Samples):
            with precision(dtype):
                return nested_samples(samples, self.least_rows)
        drawn = draw_sample(samples, n_rows, self.least_rows)
        if drawn is None:
            return []
        with precision(dtype):
            return [*nested_samples(drawn, self.least_rows), drawn]

    def _counted(self, batches: Callable[[], Iterator[Batch]]) -> Iterator[Batch]:
        passed = 0
        for batch in batches():
            yield batch
            passed += batch.n_rows
            if self.on_rows_passed is not None:
                self.on_rows_passed(passed, self.n_rows)
        self.n_rows = passed

    def chunk_size_in(self, dtype: str) -> int:
        """Return the size of a chunk in a precision."""
        samples = self.samples_in(dtype)
        return samples.chunk_size if isinstance(samples, StreamedSamples) else samples.inputs.shape[-1]

    def rechunk(self, chunk_size: int) -> None:
        """Free the data on the devices; transfer them again in chunks of another size when they are needed."""
        self.chunk_size = chunk_size
        self._cache.clear()
