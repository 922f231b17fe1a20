"""Weights of the classes, which multiply those of the samples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._labels.encoding import class_numbers

__all__ = ["TAKEN_AS_RIGHT", "check_class_weight", "refuse_noise", "weigh_classes"]

Array = NDArray[np.float64]

REASON = "weights by the given label change the probabilities of the given labels, which then are no longer p = yT"
TAKEN_AS_RIGHT = (
    f"class_weight takes the labels as right, epsilon = 0, since {REASON}. To silence this warning, set epsilon=0, and "
    "early_stopping=True to stop before the minimum as here; or class_weight=None, to estimate epsilon."
)


def check_class_weight(class_weight: Any) -> None:
    """Raise TypeError or ValueError unless this is None, "balanced", or weights by label."""
    if isinstance(class_weight, str):
        validation.check_choice("class_weight", class_weight, ("balanced",))
    elif isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            validation.check_weight(f"class_weight[{label!r}]", weight)
    elif class_weight is not None:
        raise TypeError(f"class_weight must be None, 'balanced', or a dict of weights by label, got {class_weight!r}")


def refuse_noise(T: Array) -> None:
    """Raise ValueError unless the transition matrix T says that all labels are right."""
    if not np.array_equal(T, np.eye(len(T))):
        raise ValueError(
            f"class_weight needs labels that are right, epsilon=0: {REASON}. Set epsilon=0, or class_weight=None; a "
            "sample_weight that does not depend on the labels can be used with any epsilon"
        )


def weigh_classes(dataset: Dataset, class_weight: Any, classes: NDArray[Any]) -> Dataset:
    """Multiply the weight of each row by that of its class; targets are the numbers of the classes.

    Raises
    ------
    ValueError
        If a label in ``class_weight`` is not a class.
    """
    if isinstance(class_weight, str):
        weights = _balanced(dataset, len(classes))
    else:
        weights = _given(class_weight, classes.tolist())
    return dataset.map(partial(_weigh, weights), keeps_rows=False)


def _given(class_weight: Mapping[Any, float], classes: list[Any]) -> Array:
    """Return the user's weights of the classes; a class without one has weight 1."""
    for label in class_weight:
        if label not in classes:
            raise ValueError(
                f"class_weight has the label {label!r}, but the classes are {classes}: remove it from class_weight, or "
                "set classes to all labels if y may lack some"
            )
    return np.array([class_weight.get(label, 1.0) for label in classes], dtype=np.float64)


def _balanced(dataset: Dataset, n_classes: int) -> Array:
    """Compute S / (K S_k), which gives each of the K classes in the data the same total weight."""
    totals = dataset.sum(partial(_weight_by_class, n_classes))
    some = totals > 0
    return np.where(some, totals.sum() / (some.sum() * np.where(some, totals, 1.0)), 1.0)


def _weight_by_class(n_classes: int, batch: Batch) -> Array:
    return np.bincount(class_numbers(batch), batch.weights, n_classes).astype(np.float64)


def _weigh(weights: Array, batch: Batch) -> Batch:
    return batch._replace(sample_weight=batch.weights * weights[class_numbers(batch)])
