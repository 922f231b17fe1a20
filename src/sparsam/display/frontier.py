"""Plot the frontier of sparse codes: explained variance against the number of active units."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sparsam.display.figure_io import escape_mathtext, figure_format, finish_figure, given_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_frontier"]

ACTIVE, EXPLAINED = "held_out_active", "held_out_explained_variance"
SEED = "seed"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^Dv*"
SYMBOLS = {"beta": r"$\beta$", "alpha": r"$\alpha$", "rho": r"$\rho$"}
LEAST_RATIO = 8.0  # of the numbers of active units, from which their axis is logarithmic
APART = 0.05  # of the axes: labels nearer to each other than this would overlap
MOST_PARAMETERS = 3  # to name in a label; the reader can name the curves otherwise


class Curve(NamedTuple):
    """A curve: its label, means over the seeds at each value of the weight, and the single fits."""

    label: str
    means: pd.DataFrame
    fits: pd.DataFrame


def plot_frontier(
    studies: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    along: str = "beta",
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Axes:
    """Plot the variance that sparse codes explain on held-out rows against their mean number of active units, L0.

    The curve passes through the means over the seeds, in the order of beta, whose values are written along it; small
    points are the single fits. Of two curves the better is the upper one: at the same number of active units it
    explains more.

    Parameters
    ----------
    studies : pandas.DataFrame, or dict of name to DataFrame
        Tables of `sparsam.parameter_study` with held-out rows: the columns ``held_out_active``,
        ``held_out_explained_variance`` and `along`. Several are laid over each other.
    along : str, default "beta"
        The parameter that varies along a curve. Settings that differ in any other one are different curves.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in. Default: a new pyplot figure.
    show : bool, default=False
        Whether to open a window at once.
    save : str or path-like, optional
        File to write, in the format of its suffix; written in one step.

    Returns
    -------
    ax : matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If a study is no table.
    ValueError
        If a column is missing, or no setting has held-out rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> table = pd.DataFrame({"beta": [0.1, 0.4], "seed": [0, 0], "held_out_active": [9.0, 3.0],
    ...                       "held_out_explained_variance": [0.9, 0.7]})
    >>> ax = plot_frontier(table)
    >>> ax.lines[0].get_xydata().tolist()
    [[9.0, 0.9], [3.0, 0.7]]
    >>> plt.close(ax.figure)
    """
    figure_format(save)  # before anything is drawn
    named = dict(studies) if isinstance(studies, Mapping) else {"": studies}
    curves = [curve for name, table in named.items() for curve in _curves(name, table, along)]
    if not curves:
        raise ValueError(f"the studies have no {ACTIVE}: pass parameter_study held_out or X_held_out")

    def new_axes() -> Axes:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=(5.5, 3.8), layout="constrained").add_subplot()

    with given_or_new(ax, new_axes) as axes:
        for curve, color, marker in zip(curves, cycle(COLORS), cycle(MARKERS), strict=False):
            points: dict[str, Any] = {"color": color, "linestyle": "none", "markeredgewidth": 0}
            style: dict[str, Any] = {"color": color, "marker": marker, "markersize": 5, "linewidth": 1.5}
            axes.plot(curve.means[ACTIVE], curve.means[EXPLAINED], label=escape_mathtext(curve.label), **style)
            if len(curve.fits) > len(curve.means):
                axes.plot(curve.fits[ACTIVE], curve.fits[EXPLAINED], marker=".", markersize=4, alpha=0.5, **points)
        active = np.concatenate([curve.means[ACTIVE] for curve in curves])
        if active.min() > 0 and active.max() >= LEAST_RATIO * active.min():
            _make_logarithmic(axes)
        axes.margins(0.08, 0.1)
        axes.set_xlabel("active units of a held-out row, mean ($L_0$)")
        axes.set_ylabel("explained variance of held-out rows")
        axes.grid(color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        _mark_values(axes, curves, along)
        if any(curve.label for curve in curves):
            axes.legend(fontsize="small", framealpha=1.0, edgecolor="none", loc="lower right")
        finish_figure(axes, save=save, show=show)
    return axes


def _curves(name: str, table: pd.DataFrame, along: str) -> list[Curve]:
    """Split a table into curves, and average over the seeds; fits that are not finite are left out."""
    if not hasattr(table, "groupby"):
        raise TypeError(f"a study must be a DataFrame, as parameter_study returns it; got {type(table).__name__}")
    for column in (along, ACTIVE, EXPLAINED):
        if column not in table:
            raise ValueError(f"{name or 'the study'} has no column {column}; it has {', '.join(map(str, table))}")
    parameters = list(table.columns)[: list(table.columns).index(SEED)] if SEED in table else []
    others = [other for other in parameters if other != along and table[other].nunique(dropna=False) > 1]
    fits = table[np.isfinite(table[ACTIVE]) & np.isfinite(table[EXPLAINED])]
    if fits.empty:
        return []
    groups = fits.groupby(others, dropna=False, sort=False) if others else [((), fits)]
    curves = []
    for values, part in groups:
        given = ", ".join(_setting(*pair) for pair in list(zip(others, values, strict=True))[:MOST_PARAMETERS])
        means = part.groupby(along, dropna=False)[[ACTIVE, EXPLAINED]].mean().reset_index()
        if means[along].isna().any():  # the default, which has its place among the others
            means = means.sort_values(ACTIVE, ascending=False)
        curves.append(Curve(": ".join(filter(None, (name, given))), means, part))
    return curves


def _setting(name: str, value: Any) -> str:
    return f"{name.replace('_', ' ')} = {_number(value)}"


def _number(value: Any) -> str:
    if value is None or value != value:
        return "default"
    return f"{value:g}" if isinstance(value, int | float | np.number) and not isinstance(value, bool) else str(value)


def _make_logarithmic(axes: Axes) -> None:
    """Make the axis of the active units logarithmic, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mark_values(axes: Axes, curves: Sequence[Curve], along: str) -> None:
    """Write the values of the weight beside their points, where there is room for them.

    Curves rise to the right: the labels of the upper curve are above it on the left, those of lower ones below on the
    right.
    """
    from matplotlib.patheffects import withStroke

    axes.autoscale_view()
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [float(curve.means[EXPLAINED].mean()) for curve in curves]
    symbol, first = SYMBOLS.get(along, escape_mathtext(along.replace("_", " "))), True
    for curve, height, color in zip(curves, heights, cycle(COLORS), strict=False):
        above = height >= max(heights)
        side, dx, vertical, dy = ("right", -4, "bottom", 3) if above else ("left", 4, "top", -3)
        last: Any = None
        for row in curve.means.itertuples():
            point = getattr(row, ACTIVE), getattr(row, EXPLAINED)
            place = to_axes.transform(point)
            if last is not None and np.hypot(*(place - last)) < APART:
                continue
            value, last = _number(getattr(row, along)), place
            axes.annotate(
                f"{symbol} = {value}" if first else value,
                point,
                (dx, dy),
                textcoords="offset points",
                ha=side,
                va=vertical,
                fontsize="x-small",
                color=color,
                path_effects=[withStroke(linewidth=2, foreground="white")],
            )
            first = False
