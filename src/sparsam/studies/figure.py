"""Draw the filters of a study from its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsam.display.filter_display import as_images
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
    image_shape: tuple[int, ...] | None = None,
    **options: Any,
) -> Figure:
    """Draw the filters of a finished or interrupted study on its grid, with `sparsam.display.plot_study`.

    Parameters
    ----------
    folder : path
        The folder of the study, ``out`` of `parameter_study`.
    rows, columns, numbers
        The axes to use as rows and columns, and the numbers below each mosaic, as in `plot_study`.
    image_shape : (height, width) or (height, width, 3), optional
        Shape of a filter. Default: gray, square.
    **options
        Other options of `plot_study`: ``save``, ``show``, ``normalize_each``, ``image_width``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, no setting of it is done, or it cannot be drawn.
    """
    table, path = read_study(Path(folder)), Path(folder)
    axes = read_identity(path)["grid"]
    axes = {name: _match_column_type(values, table[name]) for name, values in axes.items()}
    models = table["model"] if "model" in table else [None] * len(table)  # no column if J was never finite
    filters = [as_images(_filters(path / name), image_shape) if isinstance(name, str) else None for name in models]
    return plot_study(table, filters, axes, rows=rows, columns=columns, numbers=numbers, **options)


def _match_column_type(values: list[Any], column: pd.Series) -> list[Any]:
    """Convert the values of an axis to text if its column is text, because they have several types."""
    text = any(isinstance(value, str) for value in column)
    return [str(value) if text and value is not None else value for value in values]


def _filters(model: Path) -> np.ndarray[Any, Any]:
    """Load the weights of the first layer."""
    return np.asarray(load(model).coefs_[0]).T
