"""Rows of an array, or of an object that yields batches of rows, some at a time and several times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowBatches"]

BATCH_BYTES = 2**26  # of a batch in float64, with the activations of its rows


@dataclass(frozen=True)
class RowBatches:
    """Rows to read in batches, in every pass the same ones.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or an iterable of such batches
        An array in memory or on disk, a data frame, or an object whose ``__iter__`` yields batches.
    width : int
        Numbers to hold for each row, which determines how many rows there are in a batch.
    """

    X: Any
    width: int

    def __post_init__(self) -> None:
        if hasattr(self.X, "__next__"):
            raise TypeError(
                "X is read several times, which a generator or an iterator cannot be: pass an array, a list of "
                "batches, or an object whose __iter__ yields the batches anew"
            )

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches in the form in which a model takes them: parts of X."""
        n_rows = max(BATCH_BYTES // (8 * max(self.width, 1)), 1)
        for part in self._parts():
            if len(np.shape(part)) != 2:
                raise ValueError(
                    f"X must be (n_samples, n_features), or batches of that form, got one of shape {np.shape(part)}"
                )
            for start in range(0, len(part), n_rows):
                chosen = slice(start, start + n_rows)
                yield part.iloc[chosen] if hasattr(part, "iloc") else part[chosen]

    def numbers(self) -> Iterator[NDArray[np.float64]]:
        """Yield the batches as arrays of float64.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        for batch in self:
            rows = np.asarray(batch, dtype=np.float64)
            if not np.isfinite(rows).all():
                raise ValueError("X has NaN or infinity")
            yield rows

    def _parts(self) -> Any:
        if getattr(self.X, "ndim", None) == 2:
            return [self.X]
        if isinstance(self.X, list | tuple) and len(self.X) and np.ndim(self.X[0]) == 1:  # a list of rows
            return [np.asarray(self.X)]
        return self.X
