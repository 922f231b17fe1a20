"""Displays of an autoencoder's filters and reconstructions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sparsam.display.estimator_access import check_drawable, drawable_network, filters_of_inputs, part_with
from sparsam.display.filters import plot_filters, plot_reconstructions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FilterDisplay", "ReconstructionDisplay", "as_images"]


class FilterDisplay:
    """Mosaic of the filters of an autoencoder, or of the first layer of a network.

    Make it with `from_estimator` or `from_filters`.

    Parameters
    ----------
    filters : array-like of shape (n_filters, n_features), (n_filters, h, w) or (n_filters, h, w, 3)

    Attributes
    ----------
    filters : array
    image_ : matplotlib.image.AxesImage
        The mosaic.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    plot_filters : The same drawing, as a function.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sparsam import FilterDisplay, SparseAutoencoder
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(100, 16))
    >>> model = SparseAutoencoder(n_components=6, rho=0.1, tol=1e-2, random_state=0).fit(X)
    >>> display = FilterDisplay.from_estimator(model, cmap="viridis")
    >>> display.filters.shape, display.image_.get_size()  # two rows of three, 4 pixels high, and borders
    ((6, 16), (11, 16))
    >>> plt.close(display.figure_)
    """

    image_: Any
    ax_: Any
    figure_: Any

    def __init__(self, filters: ArrayLike) -> None:
        self.filters = np.asarray(filters)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Draw the filters of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator, pipeline or search
            Its ``components_`` are drawn (autoencoders, scikit-learn's decompositions), or else the weights of its
            first layer, ``coefs_[0]``. After a `sparsam.preprocessing.Whitening` in a pipeline they are drawn as
            filters of the inputs, W times the whitening.
        image_shape : (height, width) or (height, width, 3), optional
            Shape of a filter. Default: gray, square.
        ax : matplotlib.axes.Axes, optional
            Axes to draw in. Default: a new pyplot figure.
        **options
            Options of `plot_filters`: ``normalize_each``, ``n_columns``, ``cmap``, ...

        Returns
        -------
        FilterDisplay

        Raises
        ------
        TypeError
            If the estimator has no filters, or is a pipeline that ends with a network on the activations of an
            autoencoder: the message then names the part that has filters, ``pipe[:-1]``.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If image_shape does not fit; or, without it, if the features have names and are not a square image: then
            `plot_weights` draws them as a table.
        """
        needs, drawn = ("components_", "coefs_"), "the filters of an autoencoder or a network"
        network = drawable_network(estimator, cls.__name__, needs, drawn)
        part = part_with(estimator, ("components_",))
        if part is not None and not hasattr(network, "components_"):
            name = type(network).__name__
            raise TypeError(
                f"{cls.__name__} draws weights of the inputs, but {name} has weights of other features: pass {part}"
            )
        weights = network.components_ if hasattr(network, "components_") else np.asarray(network.coefs_[0]).T
        filters = filters_of_inputs(estimator, weights)
        _refuse_columns(estimator, image_shape, filters.shape[1])
        return cls.from_filters(as_images(filters, image_shape), ax=ax, **options)

    @classmethod
    def from_filters(cls, filters: ArrayLike, *, ax: Axes | None = None, **options: Any) -> Self:
        """Draw filters; the parameters are those of `plot_filters`."""
        return cls(filters).plot(ax, **options)

    def plot(self, ax: Axes | None = None, **options: Any) -> Self:
        """Draw in `ax` or in a new figure, with the options of `plot_filters`, and return the display."""
        self.image_ = plot_filters(self.filters, ax=ax, **options)
        self.ax_, self.figure_ = self.image_.axes, self.image_.axes.figure
        return self


class ReconstructionDisplay:
    """Patches above their reconstructions.

    Make it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    patches, reconstructions : array-like of shape (n_samples, n_features), (n_samples, h, w) or (n_samples, h, w, 3)

    Attributes
    ----------
    patches, reconstructions : arrays
    image_ : matplotlib.image.AxesImage
        The mosaic.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    plot_reconstructions : The same drawing, as a function.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sparsam import ReconstructionDisplay, SparseAutoencoder
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, size=(100, 16))
    >>> model = SparseAutoencoder(n_components=6, rho=0.1, tol=1e-2, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(model, X, n_patches=5)
    >>> display.reconstructions.shape
    (5, 16)
    >>> plt.close(display.figure_)
    """

    image_: Any
    ax_: Any
    figure_: Any

    def __init__(self, patches: ArrayLike, reconstructions: ArrayLike) -> None:
        self.patches = np.asarray(patches)
        self.reconstructions = np.asarray(reconstructions)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        n_patches: int | None = 10,
        image_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
        **options: Any,
    ) -> Self:
        """Draw the first rows of X and their reconstructions.

        Parameters
        ----------
        estimator : fitted estimator, pipeline or search
            It must have ``transform`` and ``inverse_transform``, like an autoencoder or a decomposition of
            scikit-learn.
        X : array-like of shape (n_samples, n_features)
        n_patches : int or None, default 10
            Number of rows to reconstruct and draw; None for all.
        image_shape : (height, width) or (height, width, 3), optional
            Shape of a patch. Default: gray, square.
        ax : matplotlib.axes.Axes, optional
            Axes to draw in. Default: a new pyplot figure.
        **options
            Options of `plot_reconstructions`: ``normalize_all``, ``n_columns``, ``cmap``, ...

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        TypeError
            If the estimator cannot reconstruct.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ValueError
            If X or image_shape does not fit; or, without it, if the features have names and are not a
            square image.
        """
        check_drawable(estimator, cls.__name__, ("inverse_transform",), "reconstructions of an autoencoder")
        _refuse_columns(estimator, image_shape, np.shape(X)[1])
        chosen = X[:n_patches]  # type: ignore[index]
        reconstructions = np.asarray(estimator.inverse_transform(estimator.transform(chosen)))
        patches = np.asarray(chosen)
        both = as_images(patches, image_shape), as_images(reconstructions, image_shape)
        return cls.from_predictions(*both, n_patches=None, ax=ax, **options)

    @classmethod
    def from_predictions(
        cls, patches: ArrayLike, reconstructions: ArrayLike, *, ax: Axes | None = None, **options: Any
    ) -> Self:
        """Draw patches and their reconstructions; the parameters are those of `plot_reconstructions`."""
        return cls(patches, reconstructions).plot(ax, **options)

    def plot(self, ax: Axes | None = None, **options: Any) -> Self:
        """Draw in `ax` or in a new figure, with the options of `plot_reconstructions`, and return the display."""
        self.image_ = plot_reconstructions(self.patches, self.reconstructions, ax=ax, **options)
        self.ax_, self.figure_ = self.image_.axes, self.image_.axes.figure
        return self


def _refuse_columns(estimator: Any, image_shape: tuple[int, ...] | None, n_features: int) -> None:
    """Raise ValueError if the features are columns of a table, and not pixels."""
    are_named = len(getattr(estimator, "feature_names_in_", ())) == n_features  # otherwise they are of other inputs
    is_square = round(np.sqrt(n_features)) ** 2 == n_features
    if image_shape is None and are_named and not is_square:
        raise ValueError(
            f"the features have names, and {n_features} are not a square image. Draw a table with "
            "sparsam.display.plot_weights(model.components_, names=model.feature_names_in_), or give image_shape"
        )


def as_images(rows: ArrayLike, image_shape: tuple[int, ...] | None) -> NDArray[Any]:
    """Reshape rows to images; without `image_shape` return them unchanged.

    Raises
    ------
    ValueError
        If `image_shape` does not fit the rows.
    """
    array = np.asarray(rows)
    if image_shape is None:
        return array
    if int(np.prod(image_shape)) != array.shape[1]:
        raise ValueError(f"image_shape = {tuple(image_shape)} does not fit rows of {array.shape[1]} features")
    return array.reshape(len(array), *image_shape)
