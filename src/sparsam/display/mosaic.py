"""Compose mosaics of patches as arrays of pixels.

Four steps, each a function, lead from filters to pixels::

    as_patches    A                          -> values (n, p) or (n, p, 3), p the pixels of a patch
    gray_levels   values                     -> levels in [0, 1], 0.5 for a value of 0 after normalization
    paint         levels and a color table   -> colors (n, p, 3) uint8
    place         colors and cells of a grid -> the mosaic (H, W, 3) uint8
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sparsam.display.colors import color_bytes, paint

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.typing import ColorType
    from numpy.typing import ArrayLike, NDArray

__all__ = ["filter_mosaic", "reconstruction_mosaic"]


def filter_mosaic(
    A: ArrayLike,
    *,
    normalize_each: bool = True,
    normalize_all: bool = True,
    n_columns: int | None = None,
    image_width: int | None = None,
    cmap: str | Colormap = "gray",
    border_color: ColorType = "blue",
    border_width: int = 1,
) -> NDArray[np.uint8]:
    """Compose the mosaic of filters that `plot_filters` draws, as an array of pixels.

    Filter k is in row ``k // n_columns`` and column ``k % n_columns`` of the grid. With patches of h x w
    pixels, a border of b pixels and R rows, the mosaic has H = b + R (h + b) by W = b + n_columns (w + b)
    pixels.

    Parameters
    ----------
    A : array-like of shape (n_filters, n_features), (n_filters, h, w) or (n_filters, h, w, 3)
        The filters: one per row, its pixels line by line (`components_` of an autoencoder); or gray patches; or
        RGB patches. At least one filter of one pixel; all values finite.
    normalize_each : bool, default=True
        Scale each filter separately (all three channels of a color filter together), so that faint filters are as
        visible as strong ones. Takes precedence over `normalize_all`.
    normalize_all : bool, default=True
        Without `normalize_each`, scale all filters together, so that their strengths can be compared; filters much
        fainter than others then look gray. With neither, the values are clipped to [0, 1]; 0 is the first color of
        `cmap` and 1 the last (divide 8-bit pictures by 255).
    n_columns : int, optional
        Tiles in a row. Default: the number that makes the mosaic closest to a square; if two are equally close, the
        larger. Cells without a filter have the color of the border.
    image_width : int, optional
        Width of a patch in pixels, from 1 to n_features, if `A` has two dimensions (default: the square root
        of n_features, rounded up). If it does not divide n_features, the last line of each patch is padded
        with the color of the border. If `A` has more dimensions, its patches already have a width.
    cmap : str or matplotlib.colors.Colormap, default="gray"
        Color map of gray filters; ignored for color filters.
    border_color : color, default="blue"
        Any Matplotlib color; a transparent one is blended with white. The default is not a gray level, so that a
        border cannot be mistaken for a part of a filter.
    border_width : int, default=1
        Border between and around the tiles in pixels, 0 or more.

    Returns
    -------
    mosaic : ndarray of shape (H, W, 3), uint8
        Red, green and blue of each pixel, the first line on top.

    Raises
    ------
    ValueError
        If `A` is empty, not numeric, not finite or has another number of dimensions; a number is out of
        range; or a color or color map is unknown.

    Notes
    -----
    The normalization is that of displayNetwork (display_network.m) in Ng's CS294A notes. With v
    the values of one filter (`normalize_each`) or of all (`normalize_all`)::

        u = (v - mean(v)) / max |v - mean(v)|,     gray level = (1 + u) / 2

    so that a gray level of 1/2 is the mean, and u lies in [-1, 1]. displayNetwork subtracts the overall mean
    in both cases; `normalize_each` subtracts each filter's own mean, so that every filter uses the full range.
    Filters that are constant, up to rounding in the precision of `A`, have the gray level 1/2. The padding of a
    last line does not count.

    Examples
    --------
    >>> mosaic = filter_mosaic([[-1.0, 0.0, 0.0, 1.0], [0.5, 0.5, 0.5, 0.5]], border_width=2)
    >>> mosaic.shape
    (6, 10, 3)
    >>> mosaic[0, 0], mosaic[2, 2]
    (array([  0,   0, 255], dtype=uint8), array([0, 0, 0], dtype=uint8))
    """
    border = color_bytes(border_color)
    border_width = whole_number(border_width, "border_width", at_least=0)
    patches = as_patches(A, image_width)
    levels = gray_levels(patches, each=normalize_each, together=normalize_all)
    tiles = pad_tiles(paint(levels, cmap), patches, border)
    n_filters, height, width, _ = tiles.shape
    if n_columns is None:
        n_columns = square_columns(n_filters, height, width, border_width)
    n_columns = whole_number(n_columns, "n_columns", at_least=1)
    rows, columns = np.divmod(np.arange(n_filters), n_columns)
    return place(tiles, rows, columns, (rows[-1] + 1, n_columns), border, border_width)


class Patches(NamedTuple):
    """Filters as a table of pixels."""

    values: NDArray[np.float64]  # (n, p) or, in color, (n, p, 3)
    height: int
    width: int
    precision: float  # machine epsilon of the type in which the numbers were given


def as_patches(A: ArrayLike, image_width: int | None, name: str = "A") -> Patches:
    """Check the filters and find the shape of a patch."""
    try:
        given = np.asarray(A)
        values = given.real.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from error
    if np.iscomplexobj(given):
        raise ValueError(f"{name} is complex; plot {name}.real, {name}.imag or abs({name})")
    shapes = "(n_filters, n_features), (n_filters, height, width) or (n_filters, height, width, 3)"
    if values.ndim == 1:
        raise ValueError(f"{name} has one dimension; expected {shapes}: pass a single filter as {name}[np.newaxis]")
    if values.ndim not in (2, 3, 4) or (values.ndim == 4 and values.shape[3] != 3):
        raise ValueError(f"{name} has the shape {values.shape}; expected {shapes}: reshape it")
    if values.size == 0:
        raise ValueError(f"{name} has the shape {values.shape}: it is empty")
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1))
        raise ValueError(
            f"{name} has NaN or infinity in {len(bad)} of {len(values)} filters, first in {name}[{bad[0]}]: "
            "drop these filters or replace the values (np.nan_to_num)"
        )

    if values.ndim == 2:
        n_pixels = values.shape[1]
        if image_width is None:
            width = int(np.ceil(np.sqrt(n_pixels)))
        else:
            width = whole_number(image_width, "image_width", at_least=1)
            if width > n_pixels:
                raise ValueError(f"image_width must not exceed n_features = {n_pixels}; got {width}")
        height = -(-n_pixels // width)
    else:
        height, width = values.shape[1:3]
        if image_width is not None and image_width != width:
            raise ValueError(
                f"image_width={image_width!r}, but the patches of {name} have the width {width}: drop image_width, "
                f"it applies to a two-dimensional {name} only"
            )
        values = values.reshape(len(values), height * width, *values.shape[3:])
    inexact = np.issubdtype(given.dtype, np.floating)
    return Patches(values, height, width, float(np.finfo(given.dtype if inexact else np.float64).eps))


def gray_levels(patches: Patches, *, each: bool, together: bool) -> NDArray[np.float64]:
    """Map values to [0, 1] by (1 + u)/2, u = (v - mean v)/max |v - mean v|; see `filter_mosaic`."""
    values = patches.values
    if not (each or together):
        return np.clip(values, 0.0, 1.0)
    axes = tuple(range(1, values.ndim)) if each else None
    # u depends on neither scale nor offset. Removing them first keeps 1e308 from overflowing and makes the mean of
    # equal numbers exact, so that a constant filter is exactly 0.
    magnitude = np.abs(values).max(axis=axes, keepdims=True)
    scaled = values / np.where(magnitude > 0, magnitude, 1.0)
    deviation = scaled - scaled.min(axis=axes, keepdims=True)
    deviation -= deviation.mean(axis=axes, keepdims=True)
    largest = np.abs(deviation).max(axis=axes, keepdims=True)
    constant = largest <= 4 * patches.precision  # the last bits of numbers up to 1 are rounding errors
    return np.asarray(0.5 + 0.5 * np.where(constant, 0.0, deviation) / np.where(constant, 1.0, largest))


def pad_tiles(colors: NDArray[np.uint8], patches: Patches, border: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reshape patches (n, p, 3) to tiles (n, height, width, 3); pad a short last line with the border's color."""
    n_filters, n_pixels, _ = colors.shape
    tiles = np.empty((n_filters, patches.height * patches.width, 3), np.uint8)
    tiles[:, :n_pixels] = colors
    tiles[:, n_pixels:] = border
    return tiles.reshape(n_filters, patches.height, patches.width, 3)


def square_columns(n_filters: int, height: int, width: int, border_width: int) -> int:
    """Find the number of columns that makes the mosaic closest to a square, the larger of two equally close."""
    columns = np.arange(n_filters, 0, -1)  # descending: argmin returns the first of equal values
    rows = -(-n_filters // columns)
    heights = border_width + rows * (height + border_width)
    widths = border_width + columns * (width + border_width)
    return int(columns[np.argmin(np.maximum(heights, widths) / np.minimum(heights, widths))])


def place(
    tiles: NDArray[np.uint8],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    grid: tuple[int, int],
    border: NDArray[np.uint8],
    border_width: int,
) -> NDArray[np.uint8]:
    """Put tile k into cell (rows[k], columns[k]) of a grid of (rows, columns); everything else is border."""
    _, height, width, _ = tiles.shape
    pitch = height + border_width, width + border_width
    mosaic = np.empty((border_width + grid[0] * pitch[0], border_width + grid[1] * pitch[1], 3), np.uint8)
    mosaic[:] = border
    # Without the border at the top and on the left, the mosaic is a grid of cells, each with a tile in its upper left.
    cells = mosaic[border_width:, border_width:].reshape(grid[0], pitch[0], grid[1], pitch[1], 3)  # a view
    cells[rows, :height, columns, :width] = tiles
    return mosaic


class ReconstructionMosaic(NamedTuple):
    """Pixels, and the line through the middle of each row of patches, counted from the top."""

    pixels: NDArray[np.uint8]
    original_lines: list[float]
    reconstruction_lines: list[float]


def reconstruction_mosaic(
    patches: ArrayLike,
    reconstructions: ArrayLike,
    *,
    normalize_all: bool,
    n_columns: int | None,
    image_width: int | None,
    n_patches: int | None,
    cmap: str | Colormap,
    border_color: ColorType,
    border_width: int,
) -> ReconstructionMosaic:
    """Compose rows of originals, each above the row of its reconstructions, all on one scale.

    The parameters and errors are those of `plot_reconstructions`.
    """
    border = color_bytes(border_color)
    border_width = whole_number(border_width, "border_width", at_least=0)
    if n_patches is not None:
        n_patches = whole_number(n_patches, "n_patches", at_least=1)
    patches, reconstructions = np.asarray(patches), np.asarray(reconstructions)
    if patches.shape != reconstructions.shape or patches.ndim == 0:
        raise ValueError(
            "patches and reconstructions must have the same shape and hold the same samples in the same order; got "
            f"{patches.shape} and {reconstructions.shape}"
        )
    x = as_patches(patches[:n_patches], image_width, "patches")
    y = as_patches(reconstructions[:n_patches], image_width, "reconstructions")
    both = x._replace(values=np.concatenate([x.values, y.values]), precision=max(x.precision, y.precision))
    tiles = pad_tiles(paint(gray_levels(both, each=False, together=normalize_all), cmap), both, border)

    n_shown = len(tiles) // 2
    if n_columns is None:
        n_columns = -(-n_shown // -(-n_shown // 10))  # at most 10, divided evenly among the blocks
    n_columns = whole_number(n_columns, "n_columns", at_least=1)
    blocks = [
        place(
            tiles[np.concatenate([chosen, chosen + n_shown])],
            np.repeat([0, 1], len(chosen)),
            np.tile(np.arange(len(chosen)), 2),
            (2, n_columns),
            border,
            border_width,
        )
        for chosen in np.split(np.arange(n_shown), range(n_columns, n_shown, n_columns))
    ]
    block_height, mosaic_width, _ = blocks[0].shape
    gap = np.full((max(2, both.height // 3), mosaic_width, 3), 255, np.uint8)
    pixels = np.concatenate([part for block in blocks for part in (gap, block)][1:])
    middle = border_width + (both.height - 1) / 2
    tops = [k * (block_height + len(gap)) for k in range(len(blocks))]
    return ReconstructionMosaic(
        pixels,
        original_lines=[top + middle for top in tops],
        reconstruction_lines=[top + middle + both.height + border_width for top in tops],
    )


def whole_number(value: Any, name: str, *, at_least: int) -> int:
    """Return `value` as an int, checked to be a whole number of at least `at_least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number; got {value!r}") from None
    if number < at_least:
        raise ValueError(f"{name} must be at least {at_least}; got {number}")
    return number
