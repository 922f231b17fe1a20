"""Display of label noise: the transition matrix and the likelihood of epsilon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from sparsam.display.estimator_access import drawable_network
from sparsam.display.figure_io import escape_mathtext
from sparsam.display.likelihood_profile import plot_likelihood_profile
from sparsam.display.transition_matrix import plot_transition_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["LabelNoiseDisplay"]


class LabelNoiseDisplay:
    """The transition matrix of the labels, and the likelihood profile of epsilon if it was estimated.

    Make it with `from_estimator` or `from_matrix`.

    Parameters
    ----------
    transition_matrix : array-like of shape (n_classes, n_classes)
    classes : sequence, optional
        Names of the classes. Default: 0, 1, ...
    likelihood_profile : LikelihoodProfile, optional

    Attributes
    ----------
    transition_matrix : array
    classes : list or None
    likelihood_profile : LikelihoodProfile or None
    ax_ : matplotlib.axes.Axes, or array of two
        The axes drawn in: the matrix, then the profile.
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    plot_transition_matrix, plot_likelihood_profile : The same drawings, as functions.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sparsam import LabelNoiseDisplay, NoisyLabelClassifier
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = np.where(X[:, 0] > 0, "cat", "dog")
    >>> model = NoisyLabelClassifier((), epsilon=(0.1, 0.2), tol=1e-2, random_state=0).fit(X, y)
    >>> display = LabelNoiseDisplay.from_estimator(model)
    >>> [text.get_text() for text in display.ax_.texts]
    ['0.90', '0.10', '0.20', '0.80']
    >>> plt.close(display.figure_)
    """

    ax_: Any
    figure_: Any

    def __init__(
        self, transition_matrix: ArrayLike, classes: Sequence[Any] | None = None, likelihood_profile: Any = None
    ) -> None:
        self.transition_matrix = np.asarray(transition_matrix, dtype=np.float64)
        self.classes = None if classes is None else list(classes)
        self.likelihood_profile = likelihood_profile

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, kind: Literal["matrix", "profile"] | None = None, ax: Axes | None = None
    ) -> Self:
        """Draw ``transition_matrix_`` of a fitted classifier, and its ``likelihood_profile_`` if it has one.

        Parameters
        ----------
        estimator : fitted `NoisyLabelClassifier`, pipeline or search
        kind : {"matrix", "profile"}, optional
            Draw only this. Default: both in a new figure, the matrix in `ax`.
        ax : matplotlib.axes.Axes, optional
            Axes to draw in. Default: a new pyplot figure.

        Returns
        -------
        LabelNoiseDisplay

        Raises
        ------
        TypeError
            If the estimator has no transition matrix.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If `kind` is unknown, or is "profile" and epsilon was not estimated.
        """
        needs, drawn = ("transition_matrix_",), "the label noise of a NoisyLabelClassifier"
        network = drawable_network(estimator, cls.__name__, needs, drawn)
        profile = getattr(network, "likelihood_profile_", None)
        labels = np.asarray(network.classes_).tolist()
        classes = [escape_mathtext(label) if isinstance(label, str) else label for label in labels]
        return cls.from_matrix(network.transition_matrix_, classes, likelihood_profile=profile, kind=kind, ax=ax)

    @classmethod
    def from_matrix(
        cls,
        transition_matrix: ArrayLike,
        classes: Sequence[Any] | None = None,
        *,
        likelihood_profile: Any = None,
        kind: Literal["matrix", "profile"] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a transition matrix, and a profile if given; the parameters are as above."""
        return cls(transition_matrix, classes, likelihood_profile).plot(ax, kind=kind)

    def plot(self, ax: Axes | None = None, *, kind: Literal["matrix", "profile"] | None = None) -> Self:
        """Draw in `ax` or in a new figure, as in `from_estimator`, and return the display."""
        if kind not in (None, "matrix", "profile"):
            raise ValueError(f'kind must be "matrix" or "profile", got {kind!r}')
        if kind == "profile" and self.likelihood_profile is None:
            raise ValueError("there is no likelihood profile: fit with epsilon='estimate' or 'estimate_matrix'")
        if kind is None and ax is None and self.likelihood_profile is not None:
            return self._plot_both()
        if kind == "profile":
            self.ax_ = plot_likelihood_profile(self.likelihood_profile, ax=ax)
        else:
            self.ax_ = plot_transition_matrix(self.transition_matrix, self.classes, ax=ax)
        self.figure_ = self.ax_.figure
        return self

    def _plot_both(self) -> Self:
        import matplotlib.pyplot as plt

        self.figure_, self.ax_ = plt.subplots(1, 2, figsize=(7.0, 3.2), layout="constrained")
        try:
            plot_transition_matrix(self.transition_matrix, self.classes, ax=self.ax_[0])
            plot_likelihood_profile(self.likelihood_profile, ax=self.ax_[1])
        except BaseException:
            plt.close(self.figure_)
            raise
        return self
