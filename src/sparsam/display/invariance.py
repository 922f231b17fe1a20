"""Plot tangent vectors beside their images, and the change of outputs under real transformations of the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sparsam.display.colors import SIGNED
from sparsam.display.figure_io import figure_format, finish_figure, given_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["plot_invariance", "plot_tangents"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^Dv*"
UNITS = {
    "translate_x": "pixels",
    "translate_y": "pixels",
    "rotate": "radians",
    "scale": "ln of the factor",
    "shear_x": "pixels a pixel",
    "shear_y": "pixels a pixel",
}
QUANTITIES = {
    "change": "change of outputs",
    "same": "share of unchanged answers",
    "score": "score",
}
MOST_IMAGES = 8


def plot_tangents(
    X: ArrayLike,
    tangents: ArrayLike,
    image_shape: tuple[int, ...],
    *,
    names: Sequence[str] | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw images, one per row, each beside its tangent vectors: blue pixels darken along the tangent, red brighten.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        One image per row; only the first 8 are drawn.
    tangents : array-like of shape (n_samples, n_tangents, n_features)
        As `sparsam.images.image_tangents` or `sparsam.encoder_tangents` returns them.
    image_shape : (height, width) or (height, width, 3)
        Shape of an image. Tangents of color images are drawn as the mean over the channels.
    names : sequence of str, optional
        Names of the tangents, for the column heads. Default: "tangent 1", "tangent 2", ...
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
        If the shapes do not fit.
    """
    import matplotlib.pyplot as plt

    figure_format(save)  # before anything is drawn
    rows, tau = np.asarray(X), np.asarray(tangents)
    size = int(np.prod(image_shape))
    if rows.ndim != 2 or tau.ndim != 3 or tau.shape[::2] != rows.shape or rows.shape[1] != size:
        raise ValueError(
            f"X must be (n_samples, {size}) and tangents (n_samples, n_tangents, {size}) for image_shape = "
            f"{tuple(image_shape)}, got {rows.shape} and {tau.shape}"
        )
    rows, tau = rows[:MOST_IMAGES], tau[:MOST_IMAGES]
    n_images, n_tangents = tau.shape[:2]
    heads = list(names) if names is not None else [f"tangent {k}" for k in range(1, n_tangents + 1)]
    if len(heads) != n_tangents:
        raise ValueError(f"names has {len(heads)} names for {n_tangents} tangents")
    figure, axes = plt.subplots(
        n_images,
        n_tangents + 1,
        figsize=(1.0 * (n_tangents + 1), 1.0 * n_images + 0.25),
        squeeze=False,
        layout="constrained",
        subplot_kw={"xticks": [], "yticks": []},
    )
    try:
        largest = np.abs(tau).max(axis=(0, 2))  # one scale per column, so that its tangents can be compared
        for row_axes, image, vectors in zip(axes, rows, tau, strict=True):
            row_axes[0].imshow(image.reshape(image_shape), cmap="gray")
            for ax, vector, top in zip(row_axes[1:], vectors, largest, strict=True):
                picture = vector.reshape(image_shape)
                picture = picture.mean(axis=2) if picture.ndim == 3 else picture
                ax.imshow(picture, cmap=SIGNED, vmin=-(top or 1.0), vmax=top or 1.0)
        for ax, head in zip(axes[0], ["image", *heads], strict=True):
            ax.set_title(head.replace("_", " "), fontsize=8)
        for ax in axes.flat:
            for spine in ax.spines.values():
                spine.set(linewidth=0.4, color="0.7")
        finish_figure(axes[0, 0], save=save, show=show)
    except BaseException:
        plt.close(figure)
        raise
    return figure


def plot_invariance(
    report: pd.DataFrame,
    *,
    quantity: str = "change",
    transform: str | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Plot the change of the outputs against the amount of each transform, one curve per estimator.

    Parameters
    ----------
    report : pandas.DataFrame
        As `sparsam.invariance_report` returns it.
    quantity : {"change", "same", "score"}, default="change"
        The column to plot.
    transform : str, optional
        The transform to plot. Default: all, each in its own axes.
    ax : matplotlib.axes.Axes, optional
        Axes for a single transform: `transform`, or the only one of the report. Default: a new pyplot figure.
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
        If the report has no such column or transform, or `ax` is given for several transforms.
    TypeError
        If `ax` is not an Axes.
    """
    import matplotlib.pyplot as plt

    figure_format(save)
    if quantity not in QUANTITIES or quantity not in report.columns:
        known = [name for name in QUANTITIES if name in getattr(report, "columns", ())]
        raise ValueError(f"quantity must be one of the report's columns {known}, got {quantity!r}")
    transforms = list(report["transform"].unique())
    if transform is not None:
        if transform not in transforms:
            raise ValueError(f"transform must be one of the report's, {', '.join(transforms)}; got {transform!r}")
        transforms = [transform]
    if ax is not None and len(transforms) > 1:
        raise ValueError(f"ax can show one transform only: set transform to one of {', '.join(transforms)}")
    if ax is not None or len(transforms) == 1:
        with given_or_new(ax, lambda: plt.figure(figsize=(3.4, 2.8), layout="constrained").add_subplot()) as only:
            _plot_transform(only, report, transforms[0], quantity)
            only.set_ylabel(QUANTITIES[quantity])
            if report["estimator"].nunique() > 1:
                only.legend(fontsize="x-small", framealpha=0.8, edgecolor="none", handlelength=1.5)
            finish_figure(only, save=save, show=show)
        return only.figure.figure
    n_columns = min(3, len(transforms))
    n_rows = -(-len(transforms) // n_columns)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(2.6 * n_columns + 0.4, 2.0 * n_rows + 0.5),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    try:
        for empty in axes.flat[len(transforms) :]:
            empty.set_axis_off()
        for each, name in zip(axes.flat, transforms, strict=False):
            _plot_transform(each, report, name, quantity)
        for first in axes[:, 0]:
            first.set_ylabel(QUANTITIES[quantity])
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False)
        finish_figure(axes[0, 0], save=save, show=show)
    except BaseException:
        plt.close(figure)
        raise
    return figure


def _plot_transform(ax: Axes, report: pd.DataFrame, transform: str, quantity: str) -> None:
    rows = report[report["transform"] == transform]
    for k, (name, group) in enumerate(rows.groupby("estimator", sort=False)):
        color, marker = COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)]
        x, y = group["amount"], group[quantity]
        ax.plot(x, y, color=color, marker=marker, markersize=3.5, linewidth=1.2, label=str(name))
    ax.set_title(transform.replace("_", " "), fontsize="medium")
    ax.set_xlabel(UNITS.get(transform, "amount"))
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
