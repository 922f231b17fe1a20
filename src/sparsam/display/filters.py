"""Draw mosaics of filters, and of reconstructions below their originals."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, overload

from sparsam.display.figure_io import (
    figure_format,
    finish_figure,
    finish_picture,
    given_or_new,
    mosaic_axes,
    picture_format,
)
from sparsam.display.mosaic import filter_mosaic, reconstruction_mosaic

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage
    from matplotlib.typing import ColorType
    from numpy.typing import ArrayLike, NDArray
    from PIL.Image import Image

__all__ = ["plot_filters", "plot_reconstructions"]


@overload
def plot_filters(
    A: ArrayLike,
    *,
    normalize_each: bool = True,
    normalize_all: bool = True,
    n_columns: int | None = None,
    image_width: int | None = None,
    cmap: str | Colormap = "gray",
    border_color: ColorType = "blue",
    border_width: int = 1,
    ax: Axes | None = None,
    show: bool = False,
    library: Literal["matplotlib"] = "matplotlib",
    save: str | os.PathLike[str] | None = None,
) -> AxesImage: ...


@overload
def plot_filters(
    A: ArrayLike,
    *,
    normalize_each: bool = True,
    normalize_all: bool = True,
    n_columns: int | None = None,
    image_width: int | None = None,
    cmap: str | Colormap = "gray",
    border_color: ColorType = "blue",
    border_width: int = 1,
    ax: None = None,
    show: bool = False,
    library: Literal["PIL"],
    save: str | os.PathLike[str] | None = None,
) -> Image: ...


def plot_filters(
    A: ArrayLike,
    *,
    normalize_each: bool = True,
    normalize_all: bool = True,
    n_columns: int | None = None,
    image_width: int | None = None,
    cmap: str | Colormap = "gray",
    border_color: ColorType = "blue",
    border_width: int = 1,
    ax: Axes | None = None,
    show: bool = False,
    library: Literal["matplotlib", "PIL"] = "matplotlib",
    save: str | os.PathLike[str] | None = None,
) -> AxesImage | Image:
    """Plot filters as a mosaic: displayNetwork of Ng's CS294A notes.

    Parameters
    ----------
    A : array-like of shape (n_filters, n_features), (n_filters, h, w) or (n_filters, h, w, 3)
        The filters, one per row: `components_` of an autoencoder; or gray patches, square or not; or RGB patches.
    normalize_each : bool, default=True
        Scale each filter separately: its mean becomes mid-gray, its largest deviation black or white. Takes
        precedence over `normalize_all`.
    normalize_all : bool, default=True
        Without `normalize_each`, scale all filters together, so that their strengths can be compared. With
        neither, the values are clipped to [0, 1].
    n_columns : int, optional
        Filters in a row. Default: the number that makes the mosaic closest to a square.
    image_width : int, optional
        Width of a patch in pixels, for a two-dimensional `A`. Default: the square root of n_features, rounded
        up. If it does not divide n_features, the last line is padded in the color of the border.
    cmap : str or matplotlib.colors.Colormap, default="gray"
        Color map of gray filters.
    border_color : color, default="blue"
        Any Matplotlib color, for borders and empty cells.
    border_width : int, default=1
        Border between and around the tiles, in pixels.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in. Default: a new pyplot figure of the mosaic's size, enlarged by an integer factor.
    show : bool, default=False
        Whether to open a window at once.
    library : {"matplotlib", "PIL"}, default="matplotlib"
        The library that draws. The colors are the same; Pillow's picture is not enlarged.
    save : str or path-like, optional
        File to write, in the format of its suffix (".png", ".pdf", ...), without a margin around the mosaic.
        An existing file is replaced in one step; if an error occurs it is kept. If `ax` is given, its whole figure
        is saved.

    Returns
    -------
    image : matplotlib.image.AxesImage or PIL.Image.Image
        The drawn image. The figure is ``image.figure``.

    Raises
    ------
    ValueError
        If `A` is empty, not numeric, not finite or has another number of dimensions; a number is out of
        range; the color, color map, library or suffix is unknown; or `ax` is given with Pillow.
    TypeError
        If `ax` is not an Axes.

    See Also
    --------
    filter_mosaic : The pixels as an array, with the details of normalization and layout.

    Notes
    -----
    With v the values of one filter (`normalize_each`) or of all (`normalize_all` alone), the gray
    level is (1 + u)/2, u = (v - mean(v)) / max |v - mean(v)|.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> filters = np.random.default_rng(0).normal(size=(25, 64))
    >>> image = plot_filters(filters)
    >>> image.get_size()  # 5 filters of 8 pixels and 6 borders
    (46, 46)
    >>> plt.close(image.figure)
    >>> plot_filters(filters, n_columns=13, library="PIL").size
    (118, 19)
    """
    if library not in ("matplotlib", "PIL"):
        raise ValueError(f'library must be "matplotlib" or "PIL"; got {library!r}')
    if library == "PIL" and ax is not None:
        raise ValueError('ax is for library="matplotlib"; leave it out, or draw with Matplotlib')
    check_format = figure_format if library == "matplotlib" else picture_format
    check_format(save)  # before anything is drawn
    mosaic = filter_mosaic(
        A,
        normalize_each=normalize_each,
        normalize_all=normalize_all,
        n_columns=n_columns,
        image_width=image_width,
        cmap=cmap,
        border_color=border_color,
        border_width=border_width,
    )
    height, width, _ = mosaic.shape

    if library == "PIL":
        from PIL import Image

        picture = Image.fromarray(mosaic)
        finish_picture(picture, save=save, show=show)
        return picture

    with given_or_new(ax, lambda: mosaic_axes(height, width)) as axes:
        image = _draw(axes, mosaic)
        axes.set_yticks([])
        finish_figure(axes, save=save, show=show, exact=ax is None)
    return image


def plot_reconstructions(
    patches: ArrayLike,
    reconstructions: ArrayLike,
    *,
    n_patches: int | None = 10,
    normalize_all: bool = True,
    n_columns: int | None = None,
    image_width: int | None = None,
    cmap: str | Colormap = "gray",
    border_color: ColorType = "blue",
    border_width: int = 1,
    ax: Axes | None = None,
    show: bool = False,
    save: str | os.PathLike[str] | None = None,
) -> AxesImage:
    """Plot patches x above their reconstructions y, all on one scale, so that they can be compared.

    Parameters
    ----------
    patches : array-like of shape (n_samples, n_features), (n_samples, h, w) or (n_samples, h, w, 3)
        The originals, as in `plot_filters`.
    reconstructions : array-like of the same shape
        Their reconstructions, ``autoencoder.predict(patches)``.
    n_patches : int or None, default=10
        Number of patches to show, from the first on; None for all.
    normalize_all : bool, default=True
        Scale all originals and reconstructions shown by one mean and one largest deviation. If False, the values
        are clipped to [0, 1]. Patches cannot be scaled separately: that would hide a faint reconstruction.
    n_columns : int, optional
        Patches in a row. Default: at most 10. Further patches follow in further pairs of rows.
    image_width, cmap, border_color, border_width
        As in `plot_filters`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw in. Default: a new pyplot figure.
    show : bool, default=False
        Whether to open a window at once.
    save : str or path-like, optional
        File to write, in the format of its suffix; written in one step.

    Returns
    -------
    image : matplotlib.image.AxesImage
        The drawn image. The figure is ``image.figure``.

    Raises
    ------
    ValueError
        If the shapes differ, and as in `plot_filters`.
    TypeError
        If `ax` is not an Axes.

    Notes
    -----
    The gray level is (1 + u)/2, u = (v - mean(v)) / max |v - mean(v)| (as displayNetwork in Ng's
    CS294A notes), v the values of all patches and reconstructions that are shown.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> patches = np.random.default_rng(0).uniform(0.1, 0.9, size=(100, 64))
    >>> image = plot_reconstructions(patches, 0.5 + 0.7 * (patches - 0.5))
    >>> [label.get_text() for label in image.axes.get_yticklabels()]
    ['original $x$', 'reconstruction $y$']
    >>> plt.close(image.figure)
    """
    figure_format(save)  # before anything is drawn
    mosaic = reconstruction_mosaic(
        patches,
        reconstructions,
        normalize_all=normalize_all,
        n_columns=n_columns,
        image_width=image_width,
        n_patches=n_patches,
        cmap=cmap,
        border_color=border_color,
        border_width=border_width,
    )
    height, width, _ = mosaic.pixels.shape

    def new_axes() -> Axes:
        from matplotlib import rcParams
        from matplotlib.font_manager import FontProperties

        # The longer label has 16 letters of about half an em; an em is the font's size, in points of 1/72 inch.
        em = FontProperties(size=rcParams["ytick.labelsize"]).get_size_in_points() / 72
        return mosaic_axes(height, width, left_inches=9.5 * em)

    with given_or_new(ax, new_axes) as axes:
        image = _draw(axes, mosaic.pixels)
        labels = ["original $x$"] * len(mosaic.original_lines)
        labels += ["reconstruction $y$"] * len(mosaic.reconstruction_lines)
        axes.set_yticks(mosaic.original_lines + mosaic.reconstruction_lines, labels)
        axes.tick_params(axis="y", length=0)
        finish_figure(axes, save=save, show=show)
    return image


def _draw(ax: Axes, mosaic: NDArray[np.uint8]) -> AxesImage:
    """Draw pixels crisp and square, the first line on top, regardless of the user's settings."""
    image = ax.imshow(mosaic, interpolation="nearest", origin="upper", aspect="equal")
    ax.set_xticks([])
    ax.spines[:].set_visible(False)
    return image
