"""The page of a study's filters, from its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsam.display.study import NUMBERS, plot_study
from sparsam.io.persistence import load
from sparsam.studies.storage import read_identity
from sparsam.studies.tables import read_study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw_study"]


def draw_study(
    folder: str | os.PathLike[str],
    *,
    rows: str | None = None,
    columns: str | None = None,
    numbers: Sequence[str] = NUMBERS,
    **options: Any,
) -> Figure:
    """Draw the filters of a study, done or interrupted, on its grid: `sparsam.display.plot_study` of what it keeps.

    Parameters
    ----------
    folder : path
        ``out`` of `parameter_study`.
    rows, columns, numbers
        Which axes are rows and columns, and what stands below each mosaic, as in `plot_study`.
    **options
        Others of `plot_study`: ``save``, ``show``, ``normalize_each``, ``image_width``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, nothing of it is done, or it cannot be drawn.
    """
    table, path = read_study(Path(folder)), Path(folder)
    axes = read_identity(path)["grid"]
    axes = {name: _as_in_the_table(values, table[name]) for name, values in axes.items()}
    models = table["model"] if "model" in table else [None] * len(table)  # where no J was finite
    filters = [_filters(path / name) if isinstance(name, str) else None for name in models]
    return plot_study(table, filters, axes, rows=rows, columns=columns, numbers=numbers, **options)


def _as_in_the_table(values: list[Any], column: pd.Series) -> list[Any]:
    """Values of an axis as its column has them, which is text where they are of several types."""
    text = any(isinstance(value, str) for value in column)
    return [str(value) if text and value is not None else value for value in values]


def _filters(model: Path) -> np.ndarray[Any, Any]:
    """Of an autoencoder or of any other network: what the units of the first layer see."""
    return np.asarray(load(model).coefs_[0]).T
