"""Display of J and its terms over a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from sparsam.display.cost_curve import History, plot_cost_curve
from sparsam.display.estimator_access import drawable_network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CostCurveDisplay"]


class CostCurveDisplay:
    """The objective J and its terms over a training run.

    Make it with `from_estimator` or `from_history`.

    Parameters
    ----------
    history : pandas.DataFrame or dict of columns
        As in `plot_cost_curve`.

    Attributes
    ----------
    history : pandas.DataFrame or dict of columns
    lines_ : list of matplotlib.lines.Line2D
        J and its terms.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    plot_cost_curve : The same drawing, as a function.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sparsam import CostCurveDisplay, SparseAutoencoder
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(100, 16))
    >>> model = SparseAutoencoder(n_components=6, rho=0.1, tol=1e-2, random_state=0).fit(X)
    >>> figure, (left, right) = plt.subplots(1, 2)
    >>> display = CostCurveDisplay.from_estimator(model, x="seconds", ax=left)
    >>> display.ax_ is left, [line.get_label() for line in display.lines_][:2]
    (True, ['$J$', 'squared error'])
    >>> plt.close(figure)
    """

    lines_: Any
    ax_: Any
    figure_: Any

    def __init__(self, history: History) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        x: Literal["iteration", "evaluations", "seconds"] = "iteration",
        ax: Axes | None = None,
    ) -> Self:
        """Draw ``history_`` of a fitted estimator, or of the last step of a pipeline.

        Parameters
        ----------
        estimator : fitted estimator, pipeline or search
        x : {"iteration", "evaluations", "seconds"}, default "iteration"
            The horizontal axis.
        ax : matplotlib.axes.Axes, optional
            Axes to draw in. Default: a new pyplot figure.

        Returns
        -------
        CostCurveDisplay

        Raises
        ------
        TypeError
            If the estimator has no history.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        network = drawable_network(estimator, cls.__name__, ("history_",), "the history of a training")
        return cls.from_history(network.history_, x=x, ax=ax)

    @classmethod
    def from_history(
        cls,
        history: History,
        *,
        x: Literal["iteration", "evaluations", "seconds"] = "iteration",
        ax: Axes | None = None,
    ) -> Self:
        """Draw a history; the parameters are those of `plot_cost_curve`."""
        return cls(history).plot(ax, x=x)

    def plot(self, ax: Axes | None = None, *, x: Literal["iteration", "evaluations", "seconds"] = "iteration") -> Self:
        """Draw in `ax` or in a new figure, and return the display."""
        n_before = len(getattr(ax, "lines", ()))  # lines of the user
        self.ax_ = plot_cost_curve(self.history, x=x, ax=ax)
        self.lines_, self.figure_ = list(self.ax_.lines)[n_before:], self.ax_.figure
        return self
