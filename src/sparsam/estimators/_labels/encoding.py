"""Labels of a classification: their border checks, the classes, and the targets that a network learns."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from sparsam.engine.data.devices import told
from sparsam.estimators._data.dataset import Data, Rows, mapped, sum_over, together
from sparsam.estimators._data.splits import Split
from sparsam.estimators._labels.noise_estimation import N_FOLDS

__all__ = ["checked_labels", "classes_of", "for_network", "refuse_rare_labels", "validated_labels", "with_indices"]


def validated_labels(y: ArrayLike | None, X: NDArray[Any]) -> NDArray[Any]:
    """Return labels as an array (n_samples,), as they were given.

    Raises
    ------
    ValueError
        If there are none, they do not fit X, or are no labels.
    """
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None")
    labels: NDArray[Any] = column_or_1d(y, warn=True)
    check_consistent_length(X, labels)
    check_classification_targets(labels)
    return labels


def checked_labels(rows: Rows, row: int) -> Rows:
    """Rows whose labels are good; ``row`` is the number of the first."""
    return rows._replace(targets=validated_labels(rows.targets, rows.X))


def classes_of(data: Data, known: NDArray[Any] | None) -> NDArray[Any]:
    """Return the labels that there are, in order, in the data of all processes.

    Raises
    ------
    ValueError
        If there are fewer than two, or others than those known of an earlier fit.
    """

    def own() -> NDArray[Any]:
        found: NDArray[Any] | None = None
        for rows in data.pieces():
            here = np.unique(np.ravel(rows.t))
            found = here if found is None else np.unique(np.concatenate([found, here]))
        assert found is not None
        return found

    classes = together(own, data.mesh)
    of_processes = told(classes.tolist(), data.mesh)
    if len(of_processes) > 1:
        classes = np.unique(np.concatenate([np.array(labels, classes.dtype.type) for labels in of_processes]))
    if len(classes) < 2:
        raise ValueError(
            f"y holds 1 class only, {classes.tolist()[0]!r}: a classifier needs samples of at least two classes"
        )
    if known is not None and not np.array_equal(classes, known):
        raise ValueError(
            f"warm_start=True goes on with the classes {known.tolist()}, but y holds {classes.tolist()}: "
            "set warm_start=False, or fit a clone"
        )
    return classes


def with_indices(classes: NDArray[Any], rows: Rows) -> Rows:
    """Rows with the numbers of their classes for targets, (n_rows, 1)."""
    index = np.searchsorted(classes, np.ravel(rows.t))
    return rows._replace(targets=index[:, None].astype(rows.X.dtype))


def for_network(data: Data | Split, n_classes: int, dtype: str) -> Data | Split:
    """Data with the targets that a network learns: of two classes 0 and 1, of more a column a class."""
    if n_classes == 2:
        return data
    encode = partial(_one_column_a_class, n_classes, dtype)
    return Split(*(mapped(part, encode) for part in data)) if isinstance(data, Split) else mapped(data, encode)


def _one_column_a_class(n_classes: int, dtype: str, rows: Rows) -> Rows:
    return rows._replace(targets=np.eye(n_classes, dtype=dtype)[index_of(rows)])


def index_of(rows: Rows) -> NDArray[np.intp]:
    """Numbers of the classes of rows that `with_indices` made."""
    return rows.t[:, 0].astype(np.intp)


def refuse_rare_labels(data: Data, classes: NDArray[Any]) -> None:
    """Raise ValueError where a label has fewer samples than there are folds."""

    def counts(rows: Rows) -> NDArray[np.float64]:
        return np.bincount(index_of(rows), rows.counts, len(classes)).astype(np.float64)

    few = sum_over(data, counts) < N_FOLDS
    if few.any():
        raise ValueError(
            f"epsilon='estimate_matrix' holds each label out in {N_FOLDS} folds, but of the label "
            f"{classes.tolist()[few.argmax()]!r} there are fewer samples: leave it out, or use epsilon='estimate' or a "
            "number"
        )
