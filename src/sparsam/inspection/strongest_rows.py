"""Keep the rows on which each unit is most active, in one pass over chunks of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["NO_ROW", "StrongestRows"]

NO_ROW = -1  # where a unit is active on fewer rows than are kept


class StrongestRows:
    """The rows with the largest values of each unit, of all chunks so far; rows with the value -inf are left out.

    Parameters
    ----------
    n_units : int
    n_rows : int
        Number of rows to keep for each unit.

    Attributes
    ----------
    rows : int array of shape (n_units, n_rows)
        Numbers of the rows, from the strongest on; -1 where there are fewer. Of equal values, the first rows are kept.
    values : array of shape (n_units, n_rows)
        Their values; -inf where there is no row.

    Examples
    --------
    >>> strongest = StrongestRows(n_units=2, n_rows=2)
    >>> strongest.update([[0.5, -np.inf], [0.1, -np.inf]])
    >>> strongest.update([[0.3, 0.2]])
    >>> strongest.rows.tolist()
    [[0, 2], [2, -1]]
    """

    def __init__(self, n_units: int, n_rows: int) -> None:
        self.rows = np.full((n_units, n_rows), NO_ROW, dtype=np.intp)
        self.values = np.full((n_units, n_rows), -np.inf)
        self._n_seen = 0

    def update(self, values: ArrayLike) -> None:
        """Take the next chunk of rows.

        Parameters
        ----------
        values : array-like of shape (n_samples, n_units)
        """
        chunk = np.ascontiguousarray(np.asarray(values).T)
        n_kept = self.rows.shape[1]
        if n_kept == 0:
            return
        # A row that can enter must exceed the least of those kept: few do after the first chunks.
        enters = chunk > self.values[:, -1:]
        for unit in np.flatnonzero(enters.any(axis=1)):
            places = np.flatnonzero(enters[unit])
            found = np.concatenate([self.values[unit], chunk[unit, places]])
            rows = np.concatenate([self.rows[unit], places + self._n_seen])
            best = _largest(found, n_kept)
            self.values[unit], self.rows[unit] = found[best], rows[best]
        self._n_seen += chunk.shape[1]


def _largest(values: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Return the places of the n largest values, from the largest on; of equal ones, the first."""
    if len(values) > 4 * n:
        least = -np.partition(-values, n - 1)[n - 1]
        places = np.flatnonzero(values >= least)
        return places[np.argsort(-values[places], kind="stable")[:n]]
    return np.argsort(-values, kind="stable")[:n]
