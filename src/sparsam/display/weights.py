"""Plot weights of hidden units as a table of colors, for inputs that are not images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sparsam.display.colors import SIGNED
from sparsam.display.figure_io import escape_mathtext, figure_format, finish_figure, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["plot_weights"]

MOST_NAMES = 60
CELL_INCHES, SMALLEST, LARGEST = 0.22, 2.5, 12.0


def plot_weights(
    weights: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Axes:
    """Plot the weights of hidden units as a table of colors: one column per unit, one row per feature.

    For inputs that are not images.

    Parameters
    ----------
    weights : array-like of shape (n_units, n_features)
        ``components_`` of an autoencoder. The weights of each unit are divided by the largest of them in magnitude.
    names : sequence of str, optional
        Names of the features. More than 60 are not written.
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
    ValueError
        If `weights` is not 2-D, empty or not finite, or `names` has another length.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> ax = plot_weights([[1.0, -2.0, 0.0], [0.5, 0.0, 0.1]], names=["age", "height", "weight"])
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.images[0].get_array().tolist()
    (['age', 'height', 'weight'], [[0.5, 1.0], [-1.0, 0.0], [0.0, 0.2]])
    >>> plt.close(ax.figure)
    """
    W = np.asarray(weights, dtype=np.float64)
    if W.ndim != 2 or W.size == 0 or not np.isfinite(W).all():
        raise ValueError(f"weights must be finite and have the shape (n_units, n_features), got the shape {W.shape}")
    if names is not None and len(names) != W.shape[1]:
        raise ValueError(f"names must hold {W.shape[1]} names, one per feature, got {len(names)}")
    figure_format(save)  # before anything is drawn
    largest = np.abs(W).max(axis=1, keepdims=True)
    shares = (W / np.where(largest > 0, largest, 1.0)).T
    with given_or_new(ax, lambda: _new_axes(*shares.shape)) as drawn:
        image = drawn.imshow(shares, vmin=-1, vmax=1, cmap=SIGNED, aspect="auto", interpolation="nearest")
        drawn.set_xlabel("hidden unit")
        if names is not None and len(names) <= MOST_NAMES:
            drawn.set_yticks(range(len(names)), [escape_mathtext(str(name)) for name in names], fontsize="small")
        else:
            drawn.set_ylabel("feature")
        bar = drawn.figure.colorbar(image, ax=drawn, ticks=[-1, 0, 1])
        bar.set_label("weight / largest of the unit")
        finish_figure(drawn, save=save, show=show)
    return drawn


def _new_axes(n_features: int, n_units: int) -> Axes:
    import matplotlib.pyplot as plt

    width, height = (float(np.clip(CELL_INCHES * n, SMALLEST, LARGEST)) for n in (n_units, n_features))
    return plt.subplots(figsize=(width + 2, height + 0.8), layout="constrained")[1]
