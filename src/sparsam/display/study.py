"""Plot the filters of a parameter study on its grid."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsam.display.figure_io import figure_format, finish_figure
from sparsam.display.study_layout import Headers, Layout, arrange
from sparsam.display.study_page import LEGEND_LINE, Page, Panels, legend_lines
from sparsam.inspection.weak_fit import NO_QUALITY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["NUMBERS", "plot_study"]

NUMBERS = ("quality", "held_out_error")

METRIC_LABELS = {
    "quality": "share of filters like an oriented Gabor function ($R^2$ > 0.7)",
    "held_out_error": "mean error $E_n$ on held-out rows",
    "held_out_explained_variance": "share of the variance explained on held-out rows",
    "held_out_active": "active units of a held-out row ($L_0$)",
    "held_out_score": "score on held-out rows",
    "held_out_log_likelihood": "log-likelihood of held-out rows, nats per sample",
    "J": "objective at the end",
    "explained_variance_ratio": "share of the variance explained by the reconstructions",
    "dead": "share of units that hardly vary",
    "saturated": "share of units at the ends of their range",
    "rho_hat_mean": "mean activation",
}
SHARES = ("quality", "explained_variance_ratio", "held_out_explained_variance", "dead", "saturated")
BETWEEN = "  \N{MIDDLE DOT}  "
NUMBERS_IN_A_LINE = 2


def plot_study(
    table: pd.DataFrame,
    filters: Sequence[Any],
    axes: Mapping[str, Sequence[Any]],
    *,
    rows: str | None = None,
    columns: str | None = None,
    numbers: Sequence[str] = NUMBERS,
    normalize_each: bool = True,
    image_width: int | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Plot the filters of every setting of a study: small mosaics on the grid, with a number or two below each.

    Two axes of the grid are the rows and columns of a panel; the other axes select the panel. With several seeds, the
    filters are those of the first, and the numbers are means over all.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per setting, as `sparsam.parameter_study` returns it: the axes, the numbers, and ``seed``.
    filters : sequence of array-like of shape (n_filters, n_features), or None
        The filters of each row of the table; None if it has none.
    axes : dict of str to sequence
        The columns that are axes, and their values in order.
    rows, columns : str, optional
        The axes to use as rows and columns. Default: the longest axis is the columns, the next the rows; a single
        axis with more than one value is wrapped into lines.
    numbers : sequence of str, default ("quality", "held_out_error")
        Columns of the table to write below each mosaic; columns without any value are omitted.
    normalize_each : bool, default True
        Whether to scale each filter separately, as in `plot_filters`.
    image_width : int, optional
        Width of a filter in pixels. Default: the square root of n_features.
    show : bool, default False
        Whether to open a window at once.
    save : str or path-like, optional
        File to write, in the format of its suffix; written in one step.

    Returns
    -------
    figure : matplotlib.figure.Figure
        At most as wide as a journal's page, unless there are too many mosaics for that.

    Raises
    ------
    ValueError
        If an axis is not a column of the table, `rows` or `columns` is not an axis, lengths differ, or there are no
        filters at all.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"rho": [0.1, 0.1, 0.2, 0.2], "beta": [0, 3, 0, 3], "quality": [0, 0.8, 0, 1]})
    >>> figure = plot_study(table, rng.normal(size=(4, 9, 16)), {"rho": [0.1, 0.2], "beta": [0, 3]})
    >>> len(figure.axes)
    4
    >>> plt.close(figure)
    """
    import matplotlib.pyplot as plt

    figure_format(save)  # before anything is drawn
    _check(table, filters, axes, rows, columns)
    row_axis, column_axis, outer = _roles({name: len(axes[name]) for name in axes}, rows, columns)
    row_values, column_values = ([None] if name is None else list(axes[name]) for name in (row_axis, column_axis))
    weak = table["weakness"].notna() if "weakness" in table else np.zeros(len(table), bool)
    shown = [name for name in numbers if name in table and (table[name].notna() | (weak & (name == "quality"))).any()]
    legend = _legend(shown, table)
    n_lines = len(_caption_lines(table, shown))
    layout, panels = _arrange(axes, outer, row_axis, column_axis, n_lines, 0.0)
    footer = (
        len(legend_lines(legend, layout.width)) + 1
    ) * LEGEND_LINE  # one more line, in case the page gets narrower
    layout, panels = _arrange(axes, outer, row_axis, column_axis, n_lines, footer)
    figure = plt.figure(figsize=(layout.width, layout.height))
    page = Page(figure, layout)
    try:
        for panel, where in panels:
            for i, row in enumerate(row_values):
                for j, column in enumerate(column_values):
                    cell = panel | _axis_value(row_axis, row) | _axis_value(column_axis, column)
                    chosen = [position for position in range(len(table)) if _matches(table, position, cell)]
                    page.cell(where, i, j, [filters[k] for k in chosen], normalize_each, image_width)
                    page.captions(where, i, j, _caption_lines(table.iloc[chosen], shown))
            page.labels(where, panel if len(outer) != 2 else {}, (row_axis, row_values), (column_axis, column_values))
        if len(outer) == 2:
            page.outer_labels(panels)
        page.footer(legend)
        finish_figure(figure.axes[0], save=save, show=show)
    except BaseException:
        plt.close(figure)
        raise
    return figure


def _check(
    table: pd.DataFrame,
    filters: Sequence[Any],
    axes: Mapping[str, Sequence[Any]],
    rows: str | None,
    columns: str | None,
) -> None:
    for name, values in axes.items():
        if name not in table:
            raise ValueError(f"the table has no column for the axis {name}; it has {', '.join(map(str, table))}")
        if len(values) == 0:
            raise ValueError(f"the axis {name} has no values")
    for role, axis in (("rows", rows), ("columns", columns)):
        if axis is not None and axis not in axes:
            raise ValueError(f"{role} = {axis!r} is not an axis; use one of {', '.join(axes)}")
    if rows is not None and rows == columns:
        raise ValueError(f"rows and columns are both {rows}: choose two different axes")
    if len(filters) != len(table):
        raise ValueError(f"filters must have one entry per row of the table, {len(table)}; got {len(filters)}")
    if all(one is None for one in filters):
        raise ValueError("there are no filters to show")


def _roles(
    lengths: Mapping[str, int], rows: str | None, columns: str | None
) -> tuple[str | None, str | None, list[str]]:
    """Choose the axes of rows and columns, the longest first, and return them with the other axes that vary."""
    free = [name for name in lengths if lengths[name] > 1 and name not in (rows, columns)]
    longest = sorted(free, key=lambda name: -lengths[name])  # stable: equal lengths keep their order
    if rows is None and columns is None and len(free) < 2:
        return None, None, free
    if columns is None and longest:
        columns = longest.pop(0)
    if rows is None and longest:
        rows = longest.pop(0)
    return rows, columns, [name for name in free if name in longest]


def _arrange(
    axes: Mapping[str, Sequence[Any]],
    outer: list[str],
    rows: str | None,
    columns: str | None,
    caption_lines: int,
    footer: float,
) -> tuple[Layout, Panels]:
    """Choose the layout, and the axis values and position of each panel."""
    cells = len(axes[rows]) if rows else 1, len(axes[columns]) if columns else 1
    options: dict[str, Any] = {"caption_lines": caption_lines, "footer": footer}
    inner = {"rows": rows is not None, "columns": columns is not None}
    if len(outer) == 2:
        headers = Headers(outer_columns=True, outer_rows=True, **inner)
        layout, order = min(
            (
                (arrange((len(axes[high]), len(axes[wide])), cells, headers=headers, **options), [high, wide])
                for high, wide in (outer, outer[::-1])
            ),
            key=lambda choice: choice[0].badness,
        )
    else:
        n_panels = int(np.prod([len(axes[name]) for name in outer]))
        headers = Headers(panels=bool(outer), **inner)
        layout, order = arrange(n_panels, cells, headers=headers, **options), outer
    combinations = itertools.product(*(axes[name] for name in order))
    panels = [
        (dict(zip(order, values, strict=True)), divmod(position, layout.panels[1]))
        for position, values in enumerate(combinations)
    ]
    return layout, panels


def _axis_value(axis: str | None, value: Any) -> dict[str, Any]:
    return {} if axis is None else {axis: value}


def _matches(table: pd.DataFrame, position: int, cell: Mapping[str, Any]) -> bool:
    return all(table[name].iloc[position] == value for name, value in cell.items())


def _caption_lines(table: pd.DataFrame, shown: list[str]) -> list[str]:
    """Format the numbers of a setting, means over its seeds, as lines of text."""
    texts = []
    for name in shown:
        mean = float(table[name].mean()) if len(table) else np.nan
        texts.append("\N{EN DASH}" if np.isnan(mean) else f"{mean:.2f}" if name in SHARES else f"{mean:.3g}")
    return [BETWEEN.join(texts[start : start + NUMBERS_IN_A_LINE]) for start in range(0, len(texts), NUMBERS_IN_A_LINE)]


def _legend(shown: list[str], table: pd.DataFrame) -> str:
    parts = [f"Below each mosaic: {BETWEEN.join(METRIC_LABELS.get(name, name) for name in shown)}"] if shown else []
    seeds = table["seed"].drop_duplicates().tolist() if "seed" in table else []
    if len(seeds) > 1:
        parts.append(f"Filters: seed {seeds[0]}; numbers: means over {len(seeds)} seeds")
    if "quality" in shown and "weakness" in table and table["weakness"].notna().any():
        parts.append(NO_QUALITY)
    return ". ".join(parts)
