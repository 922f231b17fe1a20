"""Display of residuals and the noise covariance that models them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sparsam._utils.multivariate_normal import in_mean_deviations
from sparsam.display.estimator_access import drawable_network, inputs_of_last_step
from sparsam.display.figure_io import escape_mathtext
from sparsam.display.residuals import plot_residuals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["CovarianceDisplay"]


class CovarianceDisplay:
    """Residuals of each pair of outputs with ellipses of the covariance, and the correlation matrix.

    Make it with `from_estimator` or `from_residuals`.

    Parameters
    ----------
    residuals : array-like of shape (n_samples, n_outputs)
        Targets minus predictions.
    covariance : array-like of shape (n_outputs, n_outputs)
    names : sequence of str, optional
        Names of the outputs, preferably with units.

    Attributes
    ----------
    residuals, covariance : arrays
    names : list of str or None
    ax_ : matplotlib.axes.Axes, or array of them
        The axes drawn in.
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    plot_residuals : The same drawing, as a function.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sparsam import CovarianceDisplay, MultivariateNormalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = X + rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=200)
    >>> model = MultivariateNormalRegressor(()).fit(X, y)
    >>> display = CovarianceDisplay.from_estimator(model, X, y, names=["height / m", "width / m"])
    >>> [axes.get_title() for axes in display.ax_]
    ['', 'correlation of the noise']
    >>> plt.close(display.figure_)

    Given axes hold a single picture, a pair or (by default) the matrix:

    >>> figure, ax = plt.subplots()
    >>> display.plot(ax, outputs=(0, 1)).ax_.get_xlabel()
    'residual of height / m'
    >>> plt.close(figure)
    """

    ax_: Any
    figure_: Any

    def __init__(self, residuals: ArrayLike, covariance: ArrayLike, names: Sequence[str] | None = None) -> None:
        self.residuals = np.asarray(residuals, dtype=np.float64)
        self.covariance = np.asarray(covariance, dtype=np.float64)
        self.names = None if names is None else list(names)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        outputs: int | tuple[int, int] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw ``predictive_covariance_`` of a fitted regressor over its residuals on X and y.

        Where the covariance depends on the input, that is its mean; the residuals are then scaled by the ratio of the
        mean standard deviations to those of each sample.

        Parameters
        ----------
        estimator : fitted `MultivariateNormalRegressor`, pipeline or search
        X : array-like of shape (n_samples, n_features)
            Held-out samples are best: on the training data the residuals are too small.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            NaN where a target is missing.
        names : sequence of str, optional
            Names of the outputs, preferably with units. Default: the columns of y if it is a DataFrame, or
            "output 0", "output 1", ...
        outputs : int or pair of ints, optional
            Draw only this output or pair.
        ax : matplotlib.axes.Axes, optional
            Axes to draw `outputs` in, or without `outputs` the correlation matrix. Default: a new pyplot figure with
            all pictures.

        Returns
        -------
        CovarianceDisplay

        Raises
        ------
        TypeError
            If the estimator has no covariance of several outputs.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If y does not have the shape of the predictions.
        """
        needs, drawn = ("predictive_covariance_",), "the noise covariance of a MultivariateNormalRegressor"
        network = drawable_network(estimator, cls.__name__, needs, drawn)
        if not hasattr(estimator, "predict"):
            raise TypeError(f"{cls.__name__} draws residuals; {type(estimator).__name__} predicts nothing")
        if names is None and hasattr(y, "columns"):
            names = [escape_mathtext(str(name)) for name in y.columns]
        given, means = np.asarray(y, dtype=np.float64), np.asarray(estimator.predict(X))
        if len(given) != len(means) or given.size != means.size:
            raise ValueError(f"y has the shape {given.shape}, but the predictions have {means.shape}")
        residuals = given.reshape(len(given), -1) - means.reshape(len(means), -1)
        if getattr(network, "covariance_factor_", None) is not None:
            C = network.predict_covariance(inputs_of_last_step(estimator, X))
            residuals = in_mean_deviations(residuals, C, network.predictive_covariance_)
        return cls.from_residuals(residuals, network.predictive_covariance_, names=names, outputs=outputs, ax=ax)

    @classmethod
    def from_residuals(
        cls,
        residuals: ArrayLike,
        covariance: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        outputs: int | tuple[int, int] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw residuals and a covariance; the parameters are those of `plot_residuals`."""
        return cls(residuals, covariance, names).plot(ax, outputs=outputs)

    def plot(self, ax: Axes | None = None, *, outputs: int | tuple[int, int] | None = None) -> Self:
        """Draw all pictures in a new figure, or one in `ax` as in `from_estimator`, and return the display."""
        figure = plot_residuals(self.residuals, self.covariance, names=self.names, outputs=outputs, ax=ax)
        drawn = [ax] if ax is not None else figure.axes
        self.ax_ = drawn[0] if len(drawn) == 1 else np.array(drawn, dtype=object)
        self.figure_ = figure if ax is None else ax.figure
        return self
