"""Display of the change of outputs under real transformations of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sparsam.display.estimator_access import check_drawable
from sparsam.display.invariance import plot_invariance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["InvarianceDisplay"]


class InvarianceDisplay:
    """Change of the outputs against the amount of each transform, one curve per estimator.

    Make it with `from_estimator` or `from_report`.

    Parameters
    ----------
    report : pandas.DataFrame
        As `sparsam.invariance_report` returns it.

    Attributes
    ----------
    report : pandas.DataFrame
    ax_ : matplotlib.axes.Axes, or array of them
        The axes drawn in, one per transform.
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    plot_invariance : The same drawing, as a function.
    sparsam.invariance_report : The numbers, as a table.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sparsam import InvarianceDisplay, NoisyLabelClassifier
    >>> X = np.kron(np.eye(2), np.ones((20, 8)))           # 4 x 4 images, bright above or below
    >>> model = NoisyLabelClassifier((), epsilon=0.0).fit(X, np.repeat(["above", "below"], 20))
    >>> display = InvarianceDisplay.from_estimator(
    ...     model, X, image_shape=(4, 4), transforms=["translate_x", "rotate"], quantity="same"
    ... )
    >>> [ax.get_title() for ax in display.ax_]
    ['translate x', 'rotate']
    >>> plt.close(display.figure_)
    """

    ax_: Any
    figure_: Any

    def __init__(self, report: pd.DataFrame) -> None:
        self.report = report

    @classmethod
    def from_estimator(
        cls,
        estimator: Any | Mapping[str, Any],
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        image_shape: tuple[int, ...],
        transforms: Sequence[str] | Mapping[str, Sequence[float]] | None = None,
        quantity: str = "change",
        ax: Axes | None = None,
    ) -> Self:
        """Transform images, and draw the change of the outputs of estimators.

        Parameters
        ----------
        estimator : fitted estimator, or dict of name to fitted estimator
            It must have ``predict``, a classifier also ``predict_proba``. A dict compares several.
        X : array-like of shape (n_samples, n_features)
            One image per row; preferably images that the estimators were not trained on.
        y : array-like, optional
            The targets, for ``quantity="score"``.
        image_shape : (height, width) or (height, width, 3)
        transforms : sequence of names, or dict of name to amounts, optional
            As in `sparsam.invariance_report`. Default: all.
        quantity : {"change", "same", "score"}, default "change"
            The quantity to plot.
        ax : matplotlib.axes.Axes, optional
            Axes to draw in, for a single transform. Default: a new pyplot figure.

        Returns
        -------
        InvarianceDisplay

        Raises
        ------
        TypeError
            If an estimator has no ``predict``.
        sklearn.exceptions.NotFittedError
            If one is not fitted.
        ValueError
            If image_shape does not fit X, a transform is unknown, there is no such quantity, or `ax` is given for
            several transforms.
        """
        from sparsam.inspection.invariance import invariance_report

        for each in estimator.values() if isinstance(estimator, Mapping) else [estimator]:
            check_drawable(each, cls.__name__, ("predict",), "the outputs of networks that predict")
        chosen: dict[str, Any] = {} if transforms is None else {"transforms": transforms}
        report = invariance_report(estimator, X, y, image_shape=image_shape, **chosen)
        return cls.from_report(report, quantity=quantity, ax=ax)

    @classmethod
    def from_report(
        cls, report: pd.DataFrame, *, quantity: str = "change", transform: str | None = None, ax: Axes | None = None
    ) -> Self:
        """Draw a report; the parameters are those of `plot_invariance`."""
        return cls(report).plot(ax, quantity=quantity, transform=transform)

    def plot(self, ax: Axes | None = None, *, quantity: str = "change", transform: str | None = None) -> Self:
        """Draw all transforms in a new figure, or `transform` (or the only one) in `ax`; return the display."""
        figure = plot_invariance(self.report, quantity=quantity, transform=transform, ax=ax)
        drawn = [ax] if ax is not None else [axes for axes in figure.axes if axes.lines]
        self.ax_ = drawn[0] if len(drawn) == 1 else np.array(drawn, dtype=object)
        self.figure_ = figure if ax is None else ax.figure
        return self
