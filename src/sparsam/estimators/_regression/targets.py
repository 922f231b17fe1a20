"""Targets of a regression: validate them, and find which are observed together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_consistent_length

from sparsam._utils.multivariate_normal import patterns_of
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather_json
from sparsam.estimators._data.dataset import Dataset, on_all_processes
from sparsam.estimators._validation import as_numpy

__all__ = ["TargetCheck", "observed_patterns", "validate_targets", "with_table"]

Array = NDArray[np.float64]


@as_numpy
def validate_targets(y: ArrayLike | None, X: NDArray[np.floating]) -> tuple[Array, bool]:
    """Return the targets as float64 (n_samples, n_outputs), NaN where missing, and whether y was one-dimensional.

    Raises
    ------
    ValueError
        If y is None, infinite or not numeric, or does not have one row per row of X.
    """
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None")
    checked: Array = check_array(
        y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y", ensure_min_samples=1
    )
    if checked.ndim > 2:
        raise ValueError(f"y must be (n_samples,) or (n_samples, n_outputs), got an array of shape {checked.shape}")
    check_consistent_length(X, checked)
    return checked.reshape(len(checked), -1), checked.ndim == 1


class TargetCheck:
    """Check of the targets of a fit, batch by batch.

    Attributes
    ----------
    one_dimensional : bool
        Whether the shape of y was (n_samples,).
    """

    one_dimensional = False

    def __call__(self, batch: Batch, row: int) -> Batch:
        """Check a batch whose first row has the number ``row``.

        Raises
        ------
        ValueError
            If a row with a positive weight has no target; see also `validate_targets`.
        """
        targets, self.one_dimensional = validate_targets(batch.targets, batch.inputs)
        empty = np.flatnonzero(np.isnan(targets).all(axis=1) & (batch.weights > 0))
        if len(empty):
            raise ValueError(
                f"{len(empty)} of {len(targets)} rows of y contain only NaN, first in row {row + empty[0]}: samples "
                "without a target cannot be used for training. Remove these rows."
            )
        return batch._replace(targets=targets)


def with_table(batch: Batch) -> Batch:
    """Convert the checked targets of a batch to float64 (n_rows, n_outputs)."""
    table = np.asarray(batch.targets, dtype=np.float64)
    return batch._replace(targets=table.reshape(len(table), -1) if table.ndim == 1 else table)


def observed_patterns(dataset: Dataset) -> NDArray[np.bool_]:
    """Find which targets are observed together, (n_patterns, n_outputs), anywhere in the data of all processes.

    Raises
    ------
    ValueError
        If an output has no target at all.
    """
    own: set[tuple[bool, ...]] = set()

    def collect() -> None:
        for batch in dataset.batches():
            own.update(map(tuple, patterns_of(batch.targets)[0].tolist()))

    on_all_processes(collect, dataset.mesh)
    patterns = np.unique(
        np.array([p for of in all_gather_json(sorted(own), dataset.mesh) for p in of], dtype=bool), axis=0
    )
    never = np.flatnonzero(~patterns.any(axis=0))
    if len(never):
        raise ValueError(f"output {never[0]} of y contains only NaN: there is nothing to learn. Remove the output.")
    return patterns
