"""Folds that the user gives for a regression: a splitter of scikit-learn, or row numbers.

Rows that repeat are merged before the training (`deduplicate`), and a row that stands for several may be trained on
with some of them, and held out with others. So each fold becomes two shares of every merged row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import check_cv

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import n_processes
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset
from sparsam.estimators._data.deduplicate import merged_into

__all__ = ["FoldShares", "Folds", "Splitter", "check_folds", "fold_shares", "rows_of_folds"]

Rows = NDArray[np.intp]


class Splitter(Protocol):
    """A splitter of scikit-learn, such as `sklearn.model_selection.KFold`."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Any, Any]]:
        """Yield the rows to train on and those to hold out, of each fold."""


Folds = Splitter | Iterable[tuple[ArrayLike, ArrayLike]]


class FoldShares(NamedTuple):
    """A fold: how much of each merged row is trained on, and how much is held out.

    Attributes
    ----------
    training, held_out : arrays of shape (n_merged_rows,)
    """

    training: NDArray[np.float64]
    held_out: NDArray[np.float64]


def check_folds(cv: Any) -> None:
    """Raise TypeError or ValueError unless cv is None, a number, a splitter, or an iterable."""
    if isinstance(cv, Integral):
        validation.check_number("cv", cv, Integral, low=2)
    elif cv is not None and (isinstance(cv, str) or not (hasattr(cv, "split") or isinstance(cv, Iterable))):
        raise TypeError(
            "cv must be a number of folds, a splitter such as sklearn.model_selection.GroupKFold, an iterable of pairs "
            f"(train, test) of row numbers, or None; got {cv!r}"
        )


def rows_of_folds(cv: int | Folds | None, dataset: Dataset, one_dimensional: bool) -> list[tuple[Rows, Rows]] | None:
    """Return the rows of X to train on, and those to hold out, of each fold; None where cv gives none.

    Raises
    ------
    ValueError
        If rows are streamed, or divided among processes; if a fold has no rows, rows that X has not, or holds out what
        it trains on.
    """
    if cv is None or isinstance(cv, Integral):
        return None
    if not isinstance(dataset, InMemoryDataset) or n_processes(dataset.mesh) > 1:
        raise ValueError(
            "cv is a splitter or an iterable of row numbers, for which all rows must be in the memory of one process: "
            "where X is streamed, or divided among processes, give a number of folds, or None"
        )
    X, y = dataset.batch.inputs, dataset.batch.targets
    assert y is not None
    try:
        splits = list(check_cv(cv).split(X, y[:, 0] if one_dimensional else y))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cv does not split the rows into pairs (train, test): {error}") from error
    folds = [_checked_fold(fold, number, len(X)) for number, fold in enumerate(splits, start=1)]
    if not folds:
        raise ValueError("cv yields no split: give a list or a splitter, for an iterator can be used only once")
    return folds


def _checked_fold(fold: Any, number: int, n_rows: int) -> tuple[Rows, Rows]:
    rows = np.arange(n_rows)
    try:
        train, test = (rows[np.asarray(part)] for part in fold)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"fold {number} of cv has rows that X has not: {error}") from error
    for name, part in (("train on", train), ("hold out", test)):
        if len(part) == 0:
            raise ValueError(f"fold {number} of cv has no rows to {name}")
    both = np.intersect1d(train, test)
    if len(both):
        raise ValueError(f"fold {number} of cv trains on {len(both)} rows that it holds out, such as row {both[0]}")
    return train, test


def fold_shares(folds: list[tuple[Rows, Rows]], batch: Batch) -> list[FoldShares]:
    """Convert rows of a batch to shares of the rows that they are merged into."""
    row_of, weights = merged_into(batch), batch.weights
    counted = np.flatnonzero(row_of >= 0)

    def weights_of(rows: Rows) -> NDArray[np.float64]:
        rows = rows[row_of[rows] >= 0]
        return np.bincount(row_of[rows], weights[rows], minlength=int(row_of.max()) + 1).astype(np.float64)

    totals = weights_of(counted)
    return [FoldShares(weights_of(train) / totals, weights_of(test) / totals) for train, test in folds]
