"""What the pictures share: new axes of the right size, saving, showing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sparsam._utils.atomic_write import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

# A new figure's mosaic is enlarged by the whole number that brings its longer side nearest to this ...
MOSAIC_PIXELS = 480
# ... and is at most this long in inches: a large mosaic gets finer pixels, not a larger sheet.
MOSAIC_INCHES = 8.0
# A saved figure with text has at least the pixels per inch that journals ask for, and hardly a margin.
TEXT_RESOLUTION = 300
TEXT_MARGIN_INCHES = 0.03


def enlargement(height: int, width: int) -> int:
    """Find the whole number by which a mosaic is enlarged: a pixel becomes a square of pixels."""
    return max(1, round(MOSAIC_PIXELS / max(height, width)))


def mosaic_axes(height: int, width: int, left_inches: float = 0.0) -> Axes:
    """Make a new pyplot figure whose axes are a whole multiple of the mosaic's height x width pixels.

    The axes fill the figure but for a margin at the left. A fraction of a pixel would draw borders of
    unequal width.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import PlaceHolderLayoutEngine

    zoom = enlargement(height, width)
    resolution = max(float(plt.rcParams["figure.dpi"]), zoom * max(height, width) / MOSAIC_INCHES)
    left = round(left_inches * resolution)
    total = left + zoom * width
    # Matplotlib cuts inches times resolution off to whole pixels; the hundredth guards it from 459.999.
    size = ((total + 0.01) / resolution, (zoom * height + 0.01) / resolution)
    # One that does nothing: in the place of none at all, Matplotlib puts the settings' one after saving.
    nothing = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
    figure = plt.figure(figsize=size, dpi=resolution, layout=nothing)
    return figure.add_axes((left / total, 0.0, zoom * width / total, 1.0))


@contextmanager
def given_or_new(ax: Axes | None, new: Callable[[], Axes]) -> Iterator[Axes]:
    """Give the user's axes, or new ones whose figure is closed again if drawing or saving fails."""
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is not None:
        if not isinstance(ax, Axes):
            raise TypeError(f"ax must be a matplotlib.axes.Axes (one, no array of them); got {type(ax)!r}")
        yield ax
        return
    ax = new()
    try:
        yield ax
    except BaseException:
        plt.close(ax.figure.figure)
        raise


def escape_mathtext(text: str) -> str:
    """Escape dollar signs in the user's text, lest Matplotlib take what stands between them for mathematics."""
    return text.replace("$", r"\$")


def figure_format(save: str | os.PathLike[str] | None) -> str | None:
    """Find the format in the suffix of `save`, before anything is drawn."""
    if save is None:
        return None
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    return _suffix(save, {f".{suffix}": suffix for suffix in known})


def picture_format(save: str | os.PathLike[str] | None) -> str | None:
    """Find Pillow's name of the format in the suffix of `save`."""
    if save is None:
        return None
    from PIL import Image

    known = Image.registered_extensions()  # loads the formats that Image.SAVE then has
    return _suffix(save, {suffix: name for suffix, name in known.items() if name in Image.SAVE})


def _suffix(save: str | os.PathLike[str], known: dict[str, str]) -> str:
    suffix = Path(save).suffix.lower()
    if suffix not in known:
        raise ValueError(
            f"the suffix of save={os.fspath(save)!r} names no format that can be written; "
            f"use one of {', '.join(sorted(known))}"
        )
    return known[suffix]


def finish_figure(
    ax: Axes,
    *,
    save: str | os.PathLike[str] | None,
    show: bool,
    exact: bool = False,
) -> None:
    """Save the figure of `ax` and open a window, as asked.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    save, show
        As in `plot_filters`; the suffix of `save` has been checked.
    exact : bool
        Whether the axes fill the figure pixel by pixel. Then these pixels are saved; else the figure is cut
        to what is drawn, finely enough for text.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if save is not None:
        figure = ax.figure.figure  # of a subfigure the whole
        form = figure_format(save)
        # A whole multiple of the figure's own resolution keeps mosaics in it exact.
        finer = 1 if exact else -(-TEXT_RESOLUTION // figure.dpi)
        bbox = None if exact else "tight"  # None is left to the user's settings, which may ask for a margin
        with mpl.rc_context({"savefig.bbox": "standard"}), atomic_write(save) as file:
            figure.savefig(file, format=form, dpi=finer * figure.dpi, bbox_inches=bbox, pad_inches=TEXT_MARGIN_INCHES)
    if show:
        plt.show()


def finish_picture(image: Image, *, save: str | os.PathLike[str] | None, show: bool) -> None:
    """Save the picture, pixel by pixel, and open a window with an enlarged copy, as asked."""
    from PIL.Image import Resampling

    if save is not None:
        with atomic_write(save) as file:
            image.save(file, format=picture_format(save))
    if show:
        zoom = enlargement(image.height, image.width)
        image.resize((zoom * image.width, zoom * image.height), Resampling.NEAREST).show()
