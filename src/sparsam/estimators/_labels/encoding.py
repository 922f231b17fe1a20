"""Labels of a classification: validate them, find the classes, and encode them as the network's targets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather_json
from sparsam.estimators._data.dataset import Dataset, InMemoryDataset, on_all_processes
from sparsam.estimators._data.splits import Split
from sparsam.estimators._validation import as_numpy

__all__ = [
    "LabelCheck",
    "Labels",
    "check_classes",
    "class_numbers",
    "encode_labels",
    "find_classes",
    "network_targets",
    "refuse_rare_labels",
    "take_labeled",
    "validate_labels",
]


class Labels(NamedTuple):
    """Labels of some rows, of which not all need to have one.

    Attributes
    ----------
    given : array of shape (n_labeled,)
        The labels of the rows that have one.
    has_label : bool array of shape (n_rows,)
        Which rows have one.
    """

    given: NDArray[Any]
    has_label: NDArray[np.bool_]


def validate_labels(y: ArrayLike | None, X: NDArray[Any], unlabeled: Any = None) -> Labels:
    """Return the labels of the rows that have one.

    A row has none if its entry of y is NaN, None or pandas' NA, or equals ``unlabeled``.

    Raises
    ------
    ValueError
        If y is None, does not have one entry per row of X, or is not made of labels.
    """
    labels = _labels_of(_column_of(y, X), unlabeled)
    if len(labels.given):
        check_classification_targets(labels.given)
    return labels


@as_numpy
def _column_of(y: ArrayLike | None, X: NDArray[Any]) -> NDArray[Any]:
    """Return y as an array (n_samples,), in which labels may be missing."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None")
    if isinstance(y, list | tuple):
        objects = np.array(y, dtype=object)
        y = objects if missing(objects).any() else y  # NumPy would turn a NaN beside text into the text "nan"
    column: NDArray[Any] = column_or_1d(y, warn=True)
    check_consistent_length(X, column)
    return column


def _labels_of(column: NDArray[Any], unlabeled: Any) -> Labels:
    has_label = ~missing(column)
    if unlabeled is not None:
        has_label[has_label] = column[has_label] != unlabeled
    given = column if has_label.all() else column[has_label]
    if given.dtype.kind == "O" and not any(isinstance(label, str) for label in given):
        given = np.array(given.tolist())  # numbers are objects only beside None or NA
    return Labels(given, has_label)


def missing(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which labels are NaN, None or pandas' NA."""
    return np.asarray(pd.isna(labels))


@dataclass
class LabelCheck:
    """Check the labels of each batch, and count the rows without one.

    Attributes
    ----------
    unlabeled : label or None
        The estimator's hyperparameter.
    n_unlabeled : int
        Number of rows without a label so far, of this process.
    """

    unlabeled: Any
    n_unlabeled: int = 0

    def __call__(self, batch: Batch, row: int) -> Batch:
        """Check a batch, and return it with an array (n_rows,) of labels, in which some may be missing."""
        column = _column_of(batch.targets, batch.inputs)
        self.n_unlabeled += int(np.sum(~validate_labels(column, batch.inputs, self.unlabeled).has_label))
        return batch._replace(targets=column)


def take_labeled(unlabeled: Any, batch: Batch) -> Batch:
    """Leave out the rows without a label."""
    given, has_label = _labels_of(np.ravel(batch.targets), unlabeled)
    kept = batch if has_label.all() else batch.take(has_label)
    return kept._replace(targets=given)


def find_classes(dataset: Dataset, fitted: NDArray[Any] | None = None, given: ArrayLike | None = None) -> NDArray[Any]:
    """Find the distinct labels in the data of all processes, in order.

    Parameters
    ----------
    dataset : Dataset
        Rows that have a label.
    fitted : array or None
        Classes of an earlier fit, for a warm start: they must be the same.
    given : array-like or None
        The user's ``classes``, some of which may not occur.

    Raises
    ------
    ValueError
        If there are fewer than two, or they do not agree with the fitted or given ones.
    """

    def own_classes() -> NDArray[Any]:
        found: NDArray[Any] | None = None
        for batch in dataset.batches():
            here = np.unique(batch.targets)
            found = here if found is None else np.unique(np.concatenate([found, here]))
        if found is None or not len(found):
            raise ValueError("y has no label: a classifier needs samples of at least two classes")
        return found

    classes = on_all_processes(own_classes, dataset.mesh)
    of_processes = all_gather_json(classes.tolist(), dataset.mesh)
    if len(of_processes) > 1:
        classes = np.unique(np.concatenate([np.array(labels, classes.dtype.type) for labels in of_processes]))
    if given is not None:
        known = check_classes(given)
        unknown = np.setdiff1d(classes, known)
        if len(unknown):
            raise ValueError(
                f"y contains the label {unknown.tolist()[0]!r}, which is not in classes = {known.tolist()}: add the "
                "label to classes, or remove its rows"
            )
        classes = known
    if len(classes) < 2:
        raise ValueError(
            f"y contains only 1 class, {classes.tolist()[0]!r}: a classifier needs samples of at least two classes"
        )
    if fitted is not None and not np.array_equal(classes, fitted):
        raise ValueError(
            f"warm_start=True needs the same classes as the earlier fit, {fitted.tolist()}, but y has "
            f"{classes.tolist()}: set warm_start=False, or fit a clone"
        )
    return classes


def check_classes(classes: ArrayLike) -> NDArray[Any]:
    """Return the user's ``classes`` as an array.

    Raises
    ------
    ValueError
        If there are fewer than two, or they are not sorted and unique.
    """
    given = np.asarray(classes)
    if given.ndim != 1 or len(given) < 2:
        raise ValueError(f"classes must be a list of at least two labels, got {classes!r}")
    if missing(given).any():
        raise ValueError(f"classes has a missing label (NaN, None or NA), which is no class, got {classes!r}")
    in_order = np.unique(given)
    if not np.array_equal(given, in_order):
        raise ValueError(f"classes must be sorted and unique, like classes_: set classes={in_order.tolist()}")
    return given


def encode_labels(classes: NDArray[Any], batch: Batch) -> Batch:
    """Replace labels by the numbers of their classes, (n_rows, 1)."""
    index = np.searchsorted(classes, batch.targets)
    return batch._replace(targets=index[:, None].astype(batch.inputs.dtype))


def class_numbers(batch: Batch) -> NDArray[np.intp]:
    """Return the numbers of the classes that `encode_labels` made."""
    return batch.targets[:, 0].astype(np.intp)


def network_targets(data: Dataset | Split, n_classes: int, dtype: str) -> Dataset | Split:
    """Make the network's targets: 0 and 1 for two classes, one-hot columns for more."""
    if n_classes == 2:
        return data
    encode = partial(_one_hot, n_classes, dtype)
    return Split(*(part.map(encode) for part in data)) if isinstance(data, Split) else data.map(encode)


def _one_hot(n_classes: int, dtype: str, batch: Batch) -> Batch:
    return batch._replace(targets=np.eye(n_classes, dtype=dtype)[class_numbers(batch)])


def refuse_rare_labels(dataset: Dataset, classes: NDArray[Any], least: int, epsilon: str) -> None:
    """Raise ValueError if a class has fewer samples than estimating epsilon needs."""
    counts = dataset.counts if isinstance(dataset, InMemoryDataset) else None
    few = dataset.sum(partial(_count_labels, len(classes), counts)) < least
    if few.any():
        raise ValueError(
            f"epsilon={epsilon!r} needs {least} or more samples of each class, but the label "
            f"{classes.tolist()[few.argmax()]!r} has fewer: remove its rows, or set epsilon to a number or a matrix"
        )


def _count_labels(n_classes: int, counts: NDArray[np.int64] | None, batch: Batch) -> NDArray[np.float64]:
    return np.bincount(class_numbers(batch), counts, n_classes).astype(np.float64)
