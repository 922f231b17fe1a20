"""Plot residuals of several outputs: scatter plots of each pair, and the correlation matrix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from sparsam.display.colors import SIGNED
from sparsam.display.figure_io import figure_format, finish_figure, given_or_new
from sparsam.display.heatmap import draw_heatmap
from sparsam.display.labels import wrap_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = ["correlations", "covariance_ellipse", "plot_residuals"]

MOST_OUTPUTS = 7  # with more, the pairs are not drawn
MOST_POINTS = 2000  # in the axes of a pair; more would hide each other
POINTS, ELLIPSES = "#0072B2", "#D55E00"
SHARES = (0.5, 0.95)  # of the distribution inside each ellipse
LETTERS_PER_INCH = 12  # of small text
LEAST_LETTERS, LETTERS_OF_CORRELATION = 10, 16  # in a line of a label
ELLIPSES_SHOWN = "with 50 % and 95 % ellipses"


def plot_residuals(
    residuals: ArrayLike,
    covariance: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    outputs: int | tuple[int, int] | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Plot the residuals of each pair of outputs with the ellipses of a covariance, and its correlation matrix.

    Parameters
    ----------
    residuals : array-like of shape (n_samples, n_outputs)
        Targets minus predictions; NaN where a target is missing. At most 2000 samples are drawn, evenly chosen.
    covariance : array-like of shape (n_outputs, n_outputs)
        ``covariance_`` of the model.
    names : sequence of str, optional
        Names of the outputs, preferably with units: "torque / N m". Correlations have no units, so their labels drop
        the part after the slash. Default: "output 0", "output 1", ...
    outputs : int or pair of ints, optional
        Draw a single picture: the histogram of one output, or the scatter plot of a pair. Default: all.
    ax : matplotlib.axes.Axes, optional
        Axes for a single picture: that of `outputs`, or without `outputs` the correlation matrix (the histogram if
        there is one output). Default: a new pyplot figure.
    show : bool, default=False
        Whether to open a window at once.
    save : str or path-like, optional
        File to write, in the format of its suffix; written in one step.

    Returns
    -------
    figure : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no such outputs, or the suffix of `save` is unknown.
    TypeError
        If `ax` is not an Axes.

    Notes
    -----
    The ellipses contain 50 % and 95 % of a normal distribution: r' C^-1 r = -2 ln(1 - share) for two outputs. With
    more than 7 outputs only the correlation matrix is drawn; with one, a histogram and the normal density.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> residuals = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=200)
    >>> figure = plot_residuals(residuals, np.cov(residuals.T), names=["length", "width"])
    >>> [axes.get_xlabel() for axes in figure.axes][:1]
    ['length']
    >>> plt.close(figure)
    """
    import matplotlib.pyplot as plt

    figure_format(save)  # before anything is drawn
    r, C = np.asarray(residuals, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    r = r.reshape(len(r), -1)
    n_outputs = r.shape[1]
    if C.shape != (n_outputs, n_outputs):
        raise ValueError(f"covariance must have the shape {(n_outputs, n_outputs)} of the residuals, got {C.shape}")
    names = [f"output {k}" for k in range(n_outputs)] if names is None else list(names)
    if len(names) != n_outputs:
        raise ValueError(f"names must hold {n_outputs} names, one per output, got {len(names)}")
    r = r[:: -(-len(r) // MOST_POINTS)]

    if ax is not None or outputs is not None or n_outputs == 1 or n_outputs > MOST_OUTPUTS:
        chosen = _chosen_outputs(outputs, n_outputs)
        size = {0: (6.5, 5.6) if n_outputs > MOST_OUTPUTS else (3.4, 3.0), 1: (3.4, 2.6), 2: (3.4, 3.0)}[len(chosen)]
        with given_or_new(ax, lambda: plt.figure(figsize=size, layout="constrained").add_subplot()) as axes:
            if not chosen:
                _plot_correlations(axes, C, names)
            elif len(chosen) == 1:
                _plot_histogram(axes, r[:, chosen[0]], float(C[chosen[0], chosen[0]]), names[chosen[0]])
            else:
                _plot_pair(axes, r[:, chosen], C[np.ix_(chosen, chosen)])
                axes.set_title(ELLIPSES_SHOWN, fontsize="medium")
                axes.set_xlabel(f"residual of {names[chosen[0]]}")
                axes.set_ylabel(f"residual of {names[chosen[1]]}")
            finish_figure(axes, save=save, show=show)
        return axes.figure.figure
    figure = _plot_all(r, C, names)
    finish_figure(figure.axes[0], save=save, show=show)
    return figure


def covariance_ellipse(C: NDArray[np.float64], share: float, n_points: int = 181) -> NDArray[np.float64]:
    """Compute points, (2, n_points), of the ellipse around 0 that contains a share of a normal distribution.

    Examples
    --------
    >>> circle = covariance_ellipse(np.eye(2), 0.95)
    >>> np.linalg.norm(circle, axis=0).round(3)[[0, 50]].tolist()  # the root of chi-squared's quantile
    [2.448, 2.448]
    """
    # r = L u, with C = L L', maps the circle |u|^2 = -2 ln(1 - share) to the ellipse.
    values, vectors = np.linalg.eigh(np.nan_to_num(C))
    root = vectors * np.sqrt(np.maximum(values, 0))
    angle = np.linspace(0, 2 * np.pi, n_points)
    return np.sqrt(-2 * np.log(1 - share)) * root @ np.vstack([np.cos(angle), np.sin(angle)])


def correlations(C: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert a covariance to a correlation matrix; 0 where it is unknown or an output has no noise."""
    deviations = np.sqrt(np.diag(C))
    scaled = C / np.outer(*(np.where(deviations > 0, deviations, 1),) * 2)
    return np.where(np.eye(len(C)) > 0, 1.0, np.nan_to_num(scaled))


def _chosen_outputs(outputs: int | tuple[int, int] | None, n_outputs: int) -> list[int]:
    """Return the outputs of a single picture; an empty list means the correlation matrix."""
    if outputs is None:
        return [0] if n_outputs == 1 else []
    chosen = [outputs] if isinstance(outputs, Integral) else list(outputs)  # type: ignore[arg-type]
    if not (len(chosen) in (1, 2) and len(set(chosen)) == len(chosen) and set(chosen) <= set(range(n_outputs))):
        raise ValueError(f"outputs must be one or two different numbers from 0 to {n_outputs - 1}, got {outputs!r}")
    return [int(k) for k in chosen]


def _plot_all(r: NDArray[np.float64], C: NDArray[np.float64], names: list[str]) -> Figure:
    """Plot every pair, and beside them the correlations."""
    import matplotlib.pyplot as plt

    n = len(C) - 1
    side = max(1.25 * n, 2.6)
    labels = [wrap_label(name, max(int(LETTERS_PER_INCH * side / n), LEAST_LETTERS)) for name in names]
    longest = max(len(line) for name in names for line in _unitless(name).split("\n"))
    figure = plt.figure(figsize=(2 * side + 0.8 + longest / LETTERS_PER_INCH, side + 0.4), layout="constrained")
    pairs, matrix = np.ravel(np.asarray(figure.subfigures(1, 2, width_ratios=(1.1, 1.0)), dtype=object))
    grid = pairs.subplots(n, n, sharex="col", sharey="row", squeeze=False)
    for row in range(n):
        for column in range(n):
            axes = grid[row, column]
            if column > row:
                axes.remove()
                continue
            _plot_pair(axes, r[:, [column, row + 1]], C[np.ix_([column, row + 1], [column, row + 1])])
            axes.tick_params(labelsize="x-small")
            axes.locator_params(nbins=3)
            if row == n - 1:
                axes.set_xlabel(labels[column], fontsize="small")
            if column == 0:
                axes.set_ylabel(labels[row + 1], fontsize="small")
    pairs.align_ylabels(grid[:, 0])
    pairs.suptitle(f"residuals, {ELLIPSES_SHOWN}", fontsize="medium")
    _plot_correlations(matrix.subplots(), C, names)
    return figure


def _plot_pair(axes: Axes, r: NDArray[np.float64], C: NDArray[np.float64]) -> None:
    size = float(np.clip(600 / max(len(r), 1), 1.0, 12.0))
    axes.scatter(r[:, 0], r[:, 1], s=size, color=POINTS, alpha=0.5, linewidths=0, rasterized=True)
    for share in SHARES:
        x, y = covariance_ellipse(C, share)
        axes.plot(x, y, color=ELLIPSES, linewidth=1.2)
    axes.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    axes.axvline(0, color="0.85", linewidth=0.6, zorder=0)
    # Limits from the data would let a few outliers shrink all other points to a dot.
    for set_limits, k in ((axes.set_xlim, 0), (axes.set_ylim, 1)):
        limit = 4 * np.sqrt(C[k, k])
        set_limits(-limit, limit)
    axes.locator_params(nbins=5)


def _plot_correlations(axes: Axes, C: NDArray[np.float64], names: list[str]) -> None:
    draw_heatmap(
        axes,
        correlations(C),
        [_unitless(name) for name in names],
        cmap=SIGNED,
        limits=(-1.0, 1.0),
        ticks=(-1, -0.5, 0, 0.5, 1),
    )
    axes.set_title("correlation of the noise", fontsize="medium")


def _unitless(name: str) -> str:
    """Return the label of a correlation: the name without its unit, in lines."""
    return wrap_label(name.split(" / ")[0], LETTERS_OF_CORRELATION)


def _plot_histogram(axes: Axes, r: NDArray[np.float64], variance: float, name: str) -> None:
    r = r[np.isfinite(r)]
    axes.hist(r, bins="auto", density=True, color=POINTS, alpha=0.5)
    deviation = np.sqrt(variance)
    x = np.linspace(-4 * deviation, 4 * deviation, 201)
    axes.plot(
        x,
        np.exp(-0.5 * (x / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi)),
        color=ELLIPSES,
        label="normal density",
    )
    axes.legend(fontsize="x-small", frameon=False, handlelength=1.2)
    axes.set_xlabel(f"residual of {name}")
    axes.set_ylabel("density")
