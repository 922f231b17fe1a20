"""The data of a training on its devices, in the precision asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.estimators._data.dataset import Dataset

__all__ = ["DeviceData"]


@dataclass
class DeviceData:
    """A dataset on its devices, brought there once for each precision.

    Attributes
    ----------
    dataset : Dataset
    layer_sizes : tuple of int
        Numbers that a sample takes in the parts of a pass, for the choice of a chunk.
    chunk_size : int or None
        As the user asked for it.
    input_scale : InputScale or None
        On which the inputs, and tangents, are brought there; None for their own.
    on_rows_passed : callable or None
        Called in every pass over a stream, after each batch, with the number of rows that have passed, and that of all
        rows; None in the first pass, which does not know it.
    """

    dataset: Dataset
    layer_sizes: tuple[int, ...]
    chunk_size: int | None
    input_scale: InputScale | None = None
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
        """Forget what is on the devices; bring it there again in chunks of another size."""
        self.chunk_size = chunk_size
        self._cache.clear()
