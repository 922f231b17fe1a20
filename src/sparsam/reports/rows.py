"""The rows that a page is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Rows", "columns_of", "numbers_of_rows"]


@dataclass(frozen=True)
class Rows:
    """Rows with targets.

    Attributes
    ----------
    part : str
        "training" or "held-out".
    raw : array-like or DataFrame
        The rows as the user gave them.
    inputs : array
        The rows as the network receives them, after the transformers.
    targets : array-like or DataFrame
    """

    part: str
    raw: Any
    inputs: Any
    targets: Any


def numbers_of_rows(raw: Any) -> list[str]:
    """Return the name of each row: its label in a DataFrame, otherwise its number."""
    return (
        [str(label) for label in raw.index]
        if hasattr(raw, "index") and hasattr(raw, "columns")
        else [str(row) for row in range(len(raw))]
    )


def columns_of(raw: Any) -> list[str]:
    """Return the names of the columns, or their numbers."""
    if hasattr(raw, "columns"):
        return [str(name) for name in raw.columns]
    return [str(column) for column in range(np.shape(raw)[1])]
