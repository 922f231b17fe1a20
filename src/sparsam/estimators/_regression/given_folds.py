"""The user's folds for a regression: a splitter of scikit-learn, or row numbers.

Repeated rows are merged before the training (`deduplicate`), and a fold may train on some copies of a merged row and
hold out others. So each fold becomes two shares of every merged row.
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
        """Yield the rows to train on and the rows to hold out, for each fold."""


Folds = Splitter | Iterable[tuple[ArrayLike, ArrayLike]]


class FoldShares(NamedTuple):
    """Fold, as the shares of each merged row to train on and to hold out.

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
    """Return the rows of X to train on, and the rows to hold out, for each fold; None if cv is a number or None.

    Raises
    ------
    ValueError
        If rows are streamed, or divided among processes; or if a fold has no rows, row numbers beyond X, or rows both
        to train on and to hold out.
    """
    if cv is None or isinstance(cv, Integral):
        return None
    if not isinstance(dataset, InMemoryDataset) or n_processes(dataset.mesh) > 1:
        raise ValueError(
            "cv is a splitter or an iterable of row numbers, which needs all rows in the memory of one process: since "
            "X is streamed, or divided among processes, set cv to a number of folds, or None"
        )
    X, y = dataset.batch.inputs, dataset.batch.targets
    assert y is not None
    try:
        splits = list(check_cv(cv).split(X, y[:, 0] if one_dimensional else y))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cv does not split the rows into pairs (train, test): {error}") from error
    folds = [_checked_fold(fold, number, len(X)) for number, fold in enumerate(splits, start=1)]
    if not folds:
        raise ValueError("cv yields no split: use a list or a splitter, because an iterator can be used only once")
    return folds


def _checked_fold(fold: Any, number: int, n_rows: int) -> tuple[Rows, Rows]:
    rows = np.arange(n_rows)
    try:
        train, test = (rows[np.asarray(part)] for part in fold)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"fold {number} of cv has row numbers that are not in X: {error}") from error
    for name, part in (("train on", train), ("hold out", test)):
        if len(part) == 0:
            raise ValueError(f"fold {number} of cv has no rows to {name}")
    both = np.intersect1d(train, test)
    if len(both):
        raise ValueError(
            f"fold {number} of cv both trains on and holds out {len(both)} rows, such as row {both[0]}: its train and "
            "test must not overlap"
        )
    return train, test


def fold_shares(folds: list[tuple[Rows, Rows]], batch: Batch) -> list[FoldShares]:
    """Convert the folds' row numbers in a batch to shares of the merged rows."""
    row_of, weights = merged_into(batch), batch.weights
    counted = np.flatnonzero(row_of >= 0)

    def weights_of(rows: Rows) -> NDArray[np.float64]:
        rows = rows[row_of[rows] >= 0]
        return np.bincount(row_of[rows], weights[rows], minlength=int(row_of.max()) + 1).astype(np.float64)

    totals = weights_of(counted)
    return [FoldShares(weights_of(train) / totals, weights_of(test) / totals) for train, test in folds]
