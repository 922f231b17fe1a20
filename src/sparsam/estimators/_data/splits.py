"""Samples that are held out: once, or in folds.

Of rows in memory a number of samples is drawn, of which a row may stand for several. Of rows that are read each is held
out or not by a draw of its own, the same in every pass, so that the parts are as large as asked for but for chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import NDArray

from sparsam.engine.data.devices import n_processes
from sparsam.estimators._data.dataset import Data, HeldRows, Rows, Through, sum_over

__all__ = ["Split", "folds", "hold_out", "n_samples"]


class Split(NamedTuple):
    """What to train on, and what is held out. A row that stands for several samples may be in both, with its shares."""

    training: Data
    held_out: Data


def hold_out(data: Data, fraction: float, seed: int, *, by_label: bool = False) -> Split:
    """Hold out a part of the samples; ``by_label`` of each label, the first target, its share.

    Of a label's samples in memory the nearest whole number to its share is held out, but one at least is left to train
    on.

    Raises
    ------
    ValueError
        If nothing would be held out, or nothing left.
    """
    if isinstance(data, HeldRows):
        counts, groups = _counts_and_groups(data, by_label)
        generator = _generator(seed, data.mesh)
        taken = np.zeros_like(counts)
        for rows in groups:
            count = int(counts[rows].sum())
            n_held_out = min(round(fraction * count), count - (1 if by_label else 0))
            taken[rows] = _draw(generator, counts[rows], n_held_out)
        split = _of_counts(data, taken)
    else:
        split = _drawn(data, 0.0, fraction, seed)
    left, held_out = map(n_samples, split)
    if not (held_out > 0 and left > 0):
        of_labels = f" with {len(groups)} labels" if by_label and isinstance(data, HeldRows) else ""
        raise ValueError(
            f"validation_fraction = {fraction} of {left + held_out} samples{of_labels} leaves {held_out} to hold out "
            f"and {left} to train on; both must be some. Use another fraction, or more samples"
        )
    return split


def folds(n_folds: int, data: Data, seed: int) -> list[Split]:
    """Hold out each sample once, each label, the first target, in equal shares."""
    if not isinstance(data, HeldRows):
        return [_drawn(data, fold / n_folds, (fold + 1) / n_folds, seed) for fold in range(n_folds)]
    counts, groups = _counts_and_groups(data, by_label=True)
    generator = _generator(seed, data.mesh)
    left, splits = counts.copy(), []
    for fold in range(n_folds):
        taken = np.zeros_like(counts)
        for rows in groups:
            taken[rows] = _draw(generator, left[rows], round(int(left[rows].sum()) / (n_folds - fold)))
        left -= taken
        splits.append(_of_counts(data, taken))
    return splits


def n_samples(data: Data) -> int:
    """For how many samples the rows stand, those of all processes."""
    return int(sum_over(data, lambda rows: np.float64(rows.n_samples)))


def _counts_and_groups(data: HeldRows, by_label: bool) -> tuple[NDArray[np.int64], list[NDArray[np.intp]]]:
    counts = np.ones(data.n_rows, np.int64) if data.rows.counts is None else data.rows.counts
    if not by_label:
        return counts, [np.arange(data.n_rows)]
    labels = data.rows.t[:, 0]
    return counts, [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _generator(seed: int, mesh: Mesh | None) -> np.random.Generator:
    """Of several processes each draws of its own rows."""
    key: Any = seed if n_processes(mesh) == 1 else [seed, jax.process_index()]
    return np.random.default_rng(key)


def _draw(generator: np.random.Generator, counts: NDArray[np.int64], n_samples: int) -> NDArray[np.int64]:
    """Draw so many of the samples without putting them back: how many of each row."""
    return generator.multivariate_hypergeometric(counts, n_samples, method="marginals")


def _of_counts(data: HeldRows, held_out: NDArray[np.int64]) -> Split:
    """Hold out so many of the samples that each row stands for."""
    counts = np.ones(data.n_rows, np.int64) if data.rows.counts is None else data.rows.counts

    def part(taken: NDArray[np.int64]) -> HeldRows:
        some = np.flatnonzero(taken)
        rows = data.rows.take(some)
        shares = taken[some] / counts[some]
        return HeldRows(rows._replace(weights=rows.s * shares, counts=taken[some]), data.mesh)

    return Split(part(counts - held_out), part(held_out))


def _drawn(data: Data, low: float, high: float, seed: int) -> Split:
    """Hold out the rows whose draw from U(0, 1) is in [low, high)."""

    def part(is_held_out: bool) -> Through:
        def kept(all_rows: Iterator[Rows]) -> Iterator[Rows]:
            generator, some = _generator(seed, data.mesh), False
            last: Rows | None = None
            for rows in all_rows:
                u = generator.random(len(rows.X))
                last = rows.take(((low <= u) & (u < high)) == is_held_out)
                if len(last.X):
                    some = True
                    yield last
            if last is not None and not some:  # a pass has a piece, if of no rows
                yield last

        return Through(data, kept, data.piece_size, keeps_rows=False)

    return Split(part(False), part(True))
