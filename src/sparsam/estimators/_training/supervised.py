"""Data with targets, and the draw of what is held out: shared by regression and classification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.streamed import Check, load_dataset
from sparsam.estimators._tangents import check_tangents_given, checked_tangents, tangent_weight_of

__all__ = ["draw_seed", "load_with_targets"]


def load_with_targets(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    tangents: ArrayLike | None,
    check_targets: Check,
    on_rows_read: Callable[[int], None],
) -> Dataset:
    """Check the data of a fit, with their targets and tangents, and hold or stream them.

    ``check_targets`` is called once the rest is good, and makes what is kept of the targets.
    """
    return load_dataset(
        estimator,
        X,
        sample_weight,
        _SupervisedCheck(estimator, check_targets),
        others={"targets": y, "tangents": tangents},
        on_rows_read=on_rows_read,
    )


@dataclass(frozen=True)
class _SupervisedCheck:
    """Checks tangents, then targets."""

    estimator: Any
    check_targets: Check

    def __call__(self, batch: Batch, row: int) -> Batch:
        check_tangents_given(self.estimator, batch.tangents is not None)
        if batch.tangents is not None:
            tangents = checked_tangents(batch.tangents, batch.inputs, first_row=row)
            batch = batch._replace(tangents=tangents if tangent_weight_of(self.estimator) else None)
        return self.check_targets(batch, row)


def draw_seed(estimator: Any, dataset: Dataset) -> int:
    """Draw the seed of what is held out: that of the first process."""
    seed = check_random_state(estimator.random_state).randint(2**31 - 1)
    return int(all_gather(seed, dataset.mesh)[0])
