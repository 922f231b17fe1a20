"""Held-out samples: a part, or folds.

In memory a fixed number of samples is drawn, where a row may stand for several samples. In streamed data each row is
drawn on its own, in the same way in every pass, so that the sizes of the parts are random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from sparsam._utils.multivariate_normal import patterns_of
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import n_processes, sum_of_processes
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset, MappedDataset, without_empty_batches

__all__ = ["Split", "check_all_held_out", "folds", "folds_of_rows", "hold_out", "split_by_shares"]


class Split(NamedTuple):
    """Training samples and held-out samples. A row that stands for several samples may be in both, with its shares."""

    training: Dataset
    held_out: Dataset


def hold_out(dataset: Dataset, fraction: float, seed: int, *, by_label: bool = False) -> Split:
    """Hold out a part of the samples; with ``by_label`` the same share of each label, the first target.

    The share of each label's samples in memory is rounded to the nearest integer, but at least one is left to train on.

    Raises
    ------
    ValueError
        If a part would be empty.
    """
    groups: list[NDArray[np.intp]] = []
    if isinstance(dataset, InMemoryDataset):
        counts, groups = _counts_and_groups(dataset, by_label)
        generator = _generator(seed, dataset.mesh)
        taken = np.zeros_like(counts)
        for rows in groups:
            count = int(counts[rows].sum())
            n_held_out = min(round(fraction * count), count - (1 if by_label else 0))
            taken[rows] = _draw(generator, counts[rows], n_held_out)
        split = _split_counts(dataset, counts, taken)
    else:
        split = _split_draws(dataset, 0.0, fraction, seed)
    left, held_out = split.training.n_samples, split.held_out.n_samples
    if not (held_out > 0 and left > 0):
        labels = f" with {len(groups)} labels" if by_label and groups else ""
        raise ValueError(
            f"validation_fraction = {fraction} of {left + held_out} samples{labels} gives {held_out} samples to hold "
            f"out and {left} to train on, but both need at least one. Use another fraction, or more samples"
        )
    return split


def folds(n_folds: int, dataset: Dataset, seed: int) -> list[Split]:
    """Hold out each sample once, with equal shares of each label, the first target.

    With few samples in memory there are fewer folds, or none, so that no fold has an empty part.
    """
    if not isinstance(dataset, InMemoryDataset):
        return [_split_draws(dataset, fold / n_folds, (fold + 1) / n_folds, seed) for fold in range(n_folds)]
    counts, groups = _counts_and_groups(dataset, by_label=True)
    generator = _generator(seed, dataset.mesh)
    left, splits = counts.copy(), []
    for fold in range(n_folds):
        taken = np.zeros_like(counts)
        for rows in groups:
            taken[rows] = _draw(generator, left[rows], round(int(left[rows].sum()) / (n_folds - fold)))
        left -= taken
        splits.append(_split_counts(dataset, counts, taken))
    return [split for split in splits if min(part.n_samples for part in split) > 0]


def folds_of_rows(n_folds: int, dataset: InMemoryDataset, seed: int) -> list[Split]:
    """Hold out each distinct row once, with all samples that it stands for, so that no fold trains on a held-out row.

    Folds have equal shares of the rows with the same observed targets. If a target is observed in fewer rows than
    folds, there are fewer folds, so that all can train on it; with fewer than two rows there are none.
    """
    observed = ~np.isnan(dataset.batch.targets)
    scarcest = int(np.min(sum_of_processes(observed.sum(axis=0), dataset.mesh)))
    n_folds = min(n_folds, scarcest)
    if n_folds < 2:
        return []
    _, pattern_of_row = patterns_of(dataset.batch.targets)
    drawn = _generator(seed, dataset.mesh).permutation(dataset.n_rows)
    order = drawn[np.argsort(pattern_of_row[drawn], kind="stable")]
    fold_of_row = np.empty(dataset.n_rows, np.intp)
    fold_of_row[order] = np.arange(dataset.n_rows) % n_folds
    counts = np.ones(dataset.n_rows, np.int64) if dataset.counts is None else dataset.counts
    splits = [_split_counts(dataset, counts, np.where(fold_of_row == fold, counts, 0)) for fold in range(n_folds)]
    return splits if all(_trains_on_all(split) for split in splits) else []


def split_by_shares(
    dataset: InMemoryDataset, training: NDArray[np.float64], held_out: NDArray[np.float64], name: str
) -> Split:
    """Train on a share of each row, and hold out another; ``name`` is the name of the split in messages.

    Raises
    ------
    ValueError
        If nothing is held out, or a target is never observed in the training samples.
    """
    counts = np.ones(dataset.n_rows, np.int64) if dataset.counts is None else dataset.counts
    split = _split_shares(dataset, counts, training, held_out)
    if not _trains_on_all(split):
        raise ValueError(
            f"{name} must hold out a sample with a positive weight, and train on samples with a target of each output"
        )
    return split


def check_all_held_out(splits: list[Split]) -> None:
    """Raise ValueError if a target is never observed in held-out samples, so that its noise cannot be estimated."""
    seen = sum(split.held_out.sum(_count_targets) for split in splits)
    never = np.flatnonzero(seen == 0)
    if len(never):
        raise ValueError(
            f"cv holds out no sample with a target of output {never[0]}, so that the noise of new targets cannot be "
            "estimated: hold out each row once, as the splitters of scikit-learn do, or set cv to a number"
        )


def _trains_on_all(split: Split) -> bool:
    """Return whether samples are held out, and every target is observed in the training samples."""
    seen = split.training.sum(_count_targets)
    return bool(np.all(seen > 0)) and split.held_out.n_samples > 0


def _count_targets(batch: Batch) -> NDArray[np.float64]:
    """Count the observed targets of each output."""
    return np.asarray(np.sum(~np.isnan(batch.targets), axis=0, dtype=np.float64))


def _counts_and_groups(dataset: InMemoryDataset, by_label: bool) -> tuple[NDArray[np.int64], list[NDArray[np.intp]]]:
    counts = np.ones(dataset.n_rows, np.int64) if dataset.counts is None else dataset.counts
    if not by_label:
        return counts, [np.arange(dataset.n_rows)]
    labels = dataset.batch.targets[:, 0]
    return counts, [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _generator(seed: int, mesh: Mesh | None) -> np.random.Generator:
    """Make a random generator; each of several processes draws from its own rows."""
    key: Any = seed if n_processes(mesh) == 1 else [seed, jax.process_index()]
    return np.random.default_rng(key)


def _draw(generator: np.random.Generator, counts: NDArray[np.int64], n_samples: int) -> NDArray[np.int64]:
    """Draw samples without replacement; return the number drawn from each row."""
    return generator.multivariate_hypergeometric(counts, n_samples, method="marginals")


def _split_counts(dataset: InMemoryDataset, counts: NDArray[np.int64], held_out: NDArray[np.int64]) -> Split:
    """Hold out the given number of each row's samples."""
    return _split_shares(dataset, counts, (counts - held_out) / counts, held_out / counts)


def _split_shares(
    dataset: InMemoryDataset, counts: NDArray[np.int64], training: NDArray[np.float64], held_out: NDArray[np.float64]
) -> Split:
    training_part = _part(dataset, counts, training)
    return Split(replace(training_part, whole=dataset.n_rows), _part(dataset, counts, held_out))


def _part(dataset: InMemoryDataset, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> InMemoryDataset:
    """Take a share of each row's weight and count; if weights are not counts, a row is one sample."""
    some = np.flatnonzero(shares)
    batch = dataset.batch.take(some)
    batch = batch._replace(sample_weight=batch.weights * shares[some])
    return InMemoryDataset(batch, dataset.mesh, np.maximum(np.round(shares[some] * counts[some]), 1).astype(np.int64))


def _split_draws(dataset: Dataset, low: float, high: float, seed: int) -> Split:
    """Hold out the rows whose draw from U(0, 1) is in [low, high)."""
    return Split(
        *(
            MappedDataset(
                dataset, _DrawnRows(low, high, seed, dataset.mesh, held_out), dataset.batch_size, keeps_rows=False
            )
            for held_out in (False, True)
        )
    )


@dataclass(frozen=True)
class _DrawnRows:
    """Select the held-out rows of a pass, or the others."""

    low: float
    high: float
    seed: int
    mesh: Mesh | None
    held_out: bool

    def __call__(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        generator = _generator(self.seed, self.mesh)
        return without_empty_batches(self._drawn(batch, generator) for batch in batches)

    def _drawn(self, batch: Batch, generator: np.random.Generator) -> Batch:
        u = generator.random(batch.n_rows)
        return batch.take(((self.low <= u) & (u < self.high)) == self.held_out)
