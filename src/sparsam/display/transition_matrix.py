"""Plot the transition matrix of noisy labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsam.display.figure_io import figure_format, finish_figure, given_or_new
from sparsam.display.heatmap import draw_heatmap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["plot_transition_matrix"]


def plot_transition_matrix(
    transition_matrix: ArrayLike,
    classes: Sequence[Any] | None = None,
    *,
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> Axes:
    """Draw T_ij = P(given label j | true label i) as an annotated heat map, one row per true class.

    Numbers below 0.005 are not written; if there are too many classes for numbers, a color bar replaces them.

    Parameters
    ----------
    transition_matrix : array-like of shape (n_classes, n_classes)
        ``transition_matrix_`` of a classifier; each row sums to 1.
    classes : sequence, optional
        Names of the classes. Default: 0, 1, ...
    ax : matplotlib.axes.Axes, optional
        Axes to draw in. Default: a new pyplot figure, as wide as a column (3.4 inches).
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
        If the matrix is not square, or `classes` has another length.
    TypeError
        If `ax` is not an Axes.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> ax = plot_transition_matrix([[0.9, 0.1], [0.2, 0.8]], classes=["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['0.90', '0.10', '0.20', '0.80']
    >>> plt.close(ax.figure)
    """
    figure_format(save)  # before anything is drawn
    T = np.asarray(transition_matrix, dtype=np.float64)
    if T.ndim != 2 or T.shape[0] != T.shape[1]:
        raise ValueError(f"transition_matrix must be square, got the shape {T.shape}")
    names = [str(name) for name in (range(len(T)) if classes is None else classes)]
    if len(names) != len(T):
        raise ValueError(f"classes must hold {len(T)} names, one per row of the matrix, got {len(names)}")

    def new_axes() -> Axes:
        import matplotlib.pyplot as plt

        return plt.figure(figsize=(3.4, 3.4), layout="constrained").add_subplot()

    with given_or_new(ax, new_axes) as axes:
        draw_heatmap(axes, T, names, cmap="Blues", limits=(0.0, 1.0), ticks=(0, 0.5, 1), zeros=False)
        axes.set_xlabel("given label")
        axes.set_ylabel("true label")
        axes.set_title("P(given | true)", fontsize="medium")
        finish_figure(axes, save=save, show=show)
    return axes
