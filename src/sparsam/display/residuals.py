"""Residuals of several outputs: how they scatter, and how they go together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sparsam.display.canvas import figure_format, finish_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

__all__ = ["plot_residuals"]

MOST_OUTPUTS = 7  # of which every pair is drawn
MOST_POINTS = 2000  # in a pair's axes; more hide each other
POINTS, ELLIPSES = "#0072B2", "#D55E00"
SHARES = (0.5, 0.95)  # of the distribution, inside the ellipses


def plot_residuals(
    residuals: ArrayLike,
    covariance: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Plot the residuals of each pair of outputs with the ellipses of a covariance, and its correlation matrix.

    Parameters
    ----------
    residuals : array-like of shape (n_samples, n_outputs)
        Targets minus predictions; NaN where a target is missing. Of more than 2000 samples every so many is drawn.
    covariance : array-like of shape (n_outputs, n_outputs)
        ``covariance_`` of the model.
    names : sequence of str, optional
        Of the outputs. Default: "output 0", "output 1", ...
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
        If the shapes do not fit, or the suffix of `save` is unknown.

    Notes
    -----
    Inside the ellipses lie 50 % and 95 % of a normal distribution: r' C^-1 r = -2 ln(1 - share) for two outputs. Of
    more than 7 outputs the correlation matrix alone is drawn; of one, a histogram with the normal density.

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
        raise ValueError(f"residuals of {n_outputs} outputs need a covariance of that many rows, got shape {C.shape}")
    names = [f"output {k}" for k in range(n_outputs)] if names is None else list(names)
    if len(names) != n_outputs:
        raise ValueError(f"names must be {n_outputs}, one an output, got {len(names)}")
    r = r[:: -(-len(r) // MOST_POINTS)]

    if n_outputs == 1:
        figure = plt.figure(figsize=(4.5, 3.2), layout="constrained")
        _histogram(figure.add_subplot(), r[:, 0], float(C[0, 0]), names[0])
    elif n_outputs > MOST_OUTPUTS:
        figure = plt.figure(figsize=(6.5, 5.6), layout="constrained")
        _correlations(figure.add_subplot(), C, names)
    else:
        n = n_outputs - 1
        side = max(1.25 * n, 2.6)
        figure = plt.figure(figsize=(2 * side + 0.8, side + 0.4), layout="constrained")
        pairs, matrix = np.ravel(np.asarray(figure.subfigures(1, 2, width_ratios=(1.1, 1.0)), dtype=object))
        grid = pairs.subplots(n, n, sharex="col", sharey="row", squeeze=False)
        for row in range(n):
            for column in range(n):
                axes = grid[row, column]
                if column > row:
                    axes.remove()
                    continue
                _pair(axes, r[:, [column, row + 1]], C[np.ix_([column, row + 1], [column, row + 1])])
                if row == n - 1:
                    axes.set_xlabel(names[column])
                if column == 0:
                    axes.set_ylabel(names[row + 1])
        pairs.suptitle("residuals, with 50 % and 95 % ellipses", fontsize="medium")
        _correlations(matrix.subplots(), C, names)
    finish_figure(figure.axes[0], save=save, show=show)
    return figure


def _pair(axes: Axes, r: NDArray[np.float64], C: NDArray[np.float64]) -> None:
    size = float(np.clip(600 / max(len(r), 1), 1.0, 12.0))
    axes.scatter(r[:, 0], r[:, 1], s=size, color=POINTS, alpha=0.5, linewidths=0, rasterized=True)
    # The circle |u|^2 = -2 ln(1 - share) goes to the ellipse r = L u with C = L L'.
    values, vectors = np.linalg.eigh(C)
    root = vectors * np.sqrt(np.maximum(values, 0))
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.vstack([np.cos(angle), np.sin(angle)])
    for share in SHARES:
        x, y = np.sqrt(-2 * np.log(1 - share)) * root @ circle
        axes.plot(x, y, color=ELLIPSES, linewidth=1.2)
    axes.axhline(0, color="0.85", linewidth=0.6, zorder=0)
    axes.axvline(0, color="0.85", linewidth=0.6, zorder=0)
    # A few residuals far out would make all others a dot.
    for set_limits, k in ((axes.set_xlim, 0), (axes.set_ylim, 1)):
        limit = 4 * np.sqrt(C[k, k])
        set_limits(-limit, limit)
    axes.tick_params(labelsize="x-small")
    axes.locator_params(nbins=3)


def _correlations(axes: Axes, C: NDArray[np.float64], names: list[str]) -> None:
    deviations = np.sqrt(np.diag(C))
    correlation = C / np.outer(deviations, deviations)
    n = len(C)
    image = axes.imshow(correlation, vmin=-1, vmax=1, cmap="RdBu_r")
    if n <= 12:
        for row in range(n):
            for column in range(n):
                value = correlation[row, column]
                # A rounded 0 would read -0.00.
                text = f"{value + 0.0:.2f}".replace("-0.00", "0.00")
                axes.text(
                    column, row, text, ha="center", va="center", fontsize=8 if n <= 8 else 6,
                    color="white" if abs(value) > 0.6 else "black",
                )  # fmt: skip
    axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor", fontsize="small")
    axes.set_yticks(range(n), names, fontsize="small")
    axes.tick_params(length=0)
    axes.set_title("correlation of the noise", fontsize="medium")
    axes.figure.colorbar(image, ax=axes, shrink=0.8, ticks=[-1, -0.5, 0, 0.5, 1])


def _histogram(axes: Axes, r: NDArray[np.float64], variance: float, name: str) -> None:
    r = r[np.isfinite(r)]
    axes.hist(r, bins="auto", density=True, color=POINTS, alpha=0.5)
    deviation = np.sqrt(variance)
    x = np.linspace(-4 * deviation, 4 * deviation, 201)
    axes.plot(x, np.exp(-0.5 * (x / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi)), color=ELLIPSES)
    axes.set_xlabel(f"residual of {name}")
    axes.set_ylabel("density")
