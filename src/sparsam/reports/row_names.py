"""Names of rows: check them, and choose as many rows as a page has room for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NamedRows", "check_row_names", "choose_named_rows"]

PAGE_CHARACTERS = 3_500_000  # for names and numbers; the page's scripts and the rest take a million
LEAST_FOR_ROWS = 500_000  # however many units there are
CHARACTERS_OF_UNIT = 200
CHARACTERS_OF_NUMBER = 5 * 4 / 3  # for each of a row's strongest units: its number, and three bytes; in base64
CHARACTERS_OF_ROW = 20  # besides
MOST_UNITS, LEAST_UNITS = 24, 8  # strongest units of a row
MOST_LETTERS = 80  # of a name


@dataclass(frozen=True)
class NamedRows:
    """The rows that a page shows by name.

    Attributes
    ----------
    rows : int array of shape (n_named,)
        Their numbers in X, ascending.
    names : list of str
    n_strongest : int
        Number of strongest units for which there is room.
    """

    rows: NDArray[np.intp]
    names: list[str]
    n_strongest: int


def check_row_names(names: Any, n_rows: int) -> list[str]:
    """Convert names to text.

    Raises
    ------
    ValueError
        If there is not one name for each row.
    """
    if isinstance(names, str | bytes) or not hasattr(names, "__len__"):
        raise ValueError(f"names must be a sequence, with one name for each row of X, got {type(names).__name__}")
    names = [str(name) for name in names]
    if len(names) != n_rows:
        raise ValueError(
            f"names must hold one name for each row of X: got {len(names):,} names for {n_rows:,} rows. (Features have "
            "the names of a DataFrame's columns.)"
        )
    return names


def choose_named_rows(names: Sequence[str], n_units: int) -> NamedRows:
    """Choose the rows: all, or if a page of five megabytes has no room for them, as many at random as it has.

    The more rows there are, the fewer of their strongest units are kept, from 24 to 8.

    Examples
    --------
    >>> chosen = choose_named_rows(["word"] * 20_000, n_units=2000)
    >>> len(chosen.rows), chosen.n_strongest
    (20000, 19)
    """
    shown = [_shortened(name) for name in names]
    of_names = np.array([len(json.dumps(name)) + 1 for name in shown])
    room = max(PAGE_CHARACTERS - CHARACTERS_OF_UNIT * n_units, LEAST_FOR_ROWS)
    least = of_names.mean() + CHARACTERS_OF_ROW + CHARACTERS_OF_NUMBER * min(LEAST_UNITS, n_units)
    n_named = int(min(len(names), max(room // least, 1)))
    rows = np.arange(len(names))
    if n_named < len(names):
        rows = np.sort(np.random.default_rng(0).choice(len(names), n_named, replace=False))
    n_strongest = (room / n_named - of_names.mean() - CHARACTERS_OF_ROW) / CHARACTERS_OF_NUMBER
    n_strongest = int(min(max(n_strongest, LEAST_UNITS), MOST_UNITS, n_units))
    return NamedRows(rows, [shown[row] for row in rows], n_strongest)


def _shortened(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
