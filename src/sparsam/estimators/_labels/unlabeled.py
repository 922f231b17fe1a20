"""Rows without a label, from whose inputs only the pretraining can learn."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.data.batch import Batch

__all__ = ["UnlabeledRows", "check_unlabeled", "inputs_only", "labeled_rows"]


def check_unlabeled(unlabeled: Any, classes: Any) -> None:
    """Raise TypeError or ValueError unless ``unlabeled`` is None, or a number or text that is not in ``classes``."""
    if unlabeled is None:
        return
    if not isinstance(unlabeled, str | Real | np.bool_):
        raise TypeError(f"unlabeled must be None, or the number or text that marks a missing label, got {unlabeled!r}")
    if classes is not None and unlabeled in np.asarray(classes).tolist():
        raise ValueError(f"unlabeled = {unlabeled!r} is one of the classes: remove it from classes, or choose another")


def labeled_rows(has_label: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the numbers of the rows to score.

    Raises
    ------
    ValueError
        If no row has a label.
    """
    if not has_label.any():
        raise ValueError(f"none of the {len(has_label)} rows has a label in y: there is nothing to score")
    return np.flatnonzero(has_label)


def inputs_only(batch: Batch) -> Batch:
    """Drop labels and tangents."""
    return Batch(batch.inputs, sample_weight=batch.sample_weight)


@dataclass(frozen=True)
class UnlabeledRows:
    """Number of the rows without a label, of all rows, in all processes.

    Attributes
    ----------
    count, of : int
    """

    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.count:,} of {self.of:,} rows {'has' if self.count == 1 else 'have'} no label"

    def unused_warning(self, *, has_pretraining: bool) -> Warning | None:
        """Make the warning that they have no influence, if there are any.

        ``has_pretraining`` is whether there is an autoencoder, which is frozen or was fitted before.
        """
        if not self.count:
            return None
        are = "is" if self.count == 1 else "are"
        advice = (
            "the autoencoder in pretraining is not fitted again, since it is frozen or warm_start=True"
            if has_pretraining
            else "set pretraining=... to learn from their inputs"
        )
        return UserWarning(f"{self} and {are} not used: {advice}")
