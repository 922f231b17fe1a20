"""Tangent vectors beside their images, and how far outputs move when images really are transformed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsam.display.canvas import figure_format, finish_figure

if TYPE_CHECKING:
    import pandas as pd
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
    "change": "change of the outputs",
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
    """Draw images, a row each, and beside each its tangent vectors: blue where it would darken, red where brighten.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        An image a row; of more than 8 the first 8 are drawn.
    tangents : array-like of shape (n_samples, n_tangents, n_features)
        Of `sparsam.images.image_tangents`, or `sparsam.encoder_tangents`.
    image_shape : (height, width) or (height, width, 3)
        Of a color image the tangent is drawn as the mean over the channels.
    names : sequence of str, optional
        Of the tangents, for the heads of their columns. Default: "tangent 1", "tangent 2", ...
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
        largest = np.abs(tau).max(axis=(0, 2))  # a column's tangents can be compared
        for of_image, image, vectors in zip(axes, rows, tau, strict=True):
            of_image[0].imshow(image.reshape(image_shape), cmap="gray")
            for ax, vector, top in zip(of_image[1:], vectors, largest, strict=True):
                picture = vector.reshape(image_shape)
                picture = picture.mean(axis=2) if picture.ndim == 3 else picture
                ax.imshow(picture, cmap="RdBu_r", vmin=-(top or 1.0), vmax=top or 1.0)
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
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Figure:
    """Plot how far outputs move against the amount of each transform, a curve an estimator.

    Parameters
    ----------
    report : pandas.DataFrame
        Of `sparsam.invariance_report`.
    quantity : {"change", "same", "score"}, default="change"
        The column to plot.
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
        If the report has no such column.
    """
    import matplotlib.pyplot as plt

    figure_format(save)
    if quantity not in QUANTITIES or quantity not in report.columns:
        known = [name for name in QUANTITIES if name in getattr(report, "columns", ())]
        raise ValueError(f"quantity must be one of the report's columns {known}, got {quantity!r}")
    transforms = list(report["transform"].unique())
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
        for ax in axes.flat[len(transforms) :]:
            ax.set_axis_off()
        for ax, transform in zip(axes.flat, transforms, strict=False):
            _plot_transform(ax, report[report["transform"] == transform], quantity)
            ax.set_title(transform.replace("_", " "), fontsize="medium")
            ax.set_xlabel(UNITS.get(transform, "amount"))
        for ax in axes[:, 0]:
            ax.set_ylabel(QUANTITIES[quantity])
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 4), frameon=False)
        finish_figure(axes[0, 0], save=save, show=show)
    except BaseException:
        plt.close(figure)
        raise
    return figure


def _plot_transform(ax: Any, rows: pd.DataFrame, quantity: str) -> None:
    for k, (name, of_estimator) in enumerate(rows.groupby("estimator", sort=False)):
        style = {"color": COLORS[k % len(COLORS)], "marker": MARKERS[k % len(MARKERS)]}
        ax.plot(of_estimator["amount"], of_estimator[quantity], markersize=3.5, linewidth=1.2, label=name, **style)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
