"""Create axes of the right size; save and show figures and pictures."""

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

# The mosaic in a new figure is enlarged by the integer that brings its longer side closest to this ...
MOSAIC_PIXELS = 480
# ... and is at most this long in inches: a large mosaic gets finer pixels, not a larger sheet.
MOSAIC_INCHES = 8.0
# A saved figure with text has at least the pixels per inch that journals require, and almost no margin.
TEXT_RESOLUTION = 300
TEXT_MARGIN_INCHES = 0.03


def enlargement(height: int, width: int) -> int:
    """Compute the integer factor that enlarges a mosaic: a pixel becomes a square of pixels."""
    return max(1, round(MOSAIC_PIXELS / max(height, width)))


def mosaic_axes(height: int, width: int, left_inches: float = 0.0) -> Axes:
    """Make a new pyplot figure with axes of an integer multiple of the mosaic's height x width pixels.

    The axes fill the figure except for a margin on the left. A fractional multiple would draw borders of unequal
    width.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import PlaceHolderLayoutEngine

    zoom = enlargement(height, width)
    resolution = max(float(plt.rcParams["figure.dpi"]), zoom * max(height, width) / MOSAIC_INCHES)
    left = round(left_inches * resolution)
    total = left + zoom * width
    # Matplotlib truncates inches times resolution to whole pixels; the added hundredth avoids 459.999.
    size = ((total + 0.01) / resolution, (zoom * height + 0.01) / resolution)
    # A layout engine that does nothing: without one, Matplotlib installs the one of the user's settings on saving.
    no_layout = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
    figure = plt.figure(figsize=size, dpi=resolution, layout=no_layout)
    return figure.add_axes((left / total, 0.0, zoom * width / total, 1.0))


@contextmanager
def given_or_new(ax: Axes | None, new: Callable[[], Axes]) -> Iterator[Axes]:
    """Yield the user's axes, or new ones; the figure of new ones is closed if drawing or saving fails."""
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is not None:
        if not isinstance(ax, Axes):
            raise TypeError(f"ax must be a matplotlib.axes.Axes (a single one, not an array); got {type(ax)!r}")
        yield ax
        return
    ax = new()
    try:
        yield ax
    except BaseException:
        plt.close(ax.figure.figure)
        raise


def escape_mathtext(text: str) -> str:
    """Escape dollar signs in the user's text; Matplotlib would read the text between them as a formula."""
    return text.replace("$", r"\$")


def figure_format(save: str | os.PathLike[str] | None) -> str | None:
    """Return the format that the suffix of `save` names; call it before drawing, to fail early."""
    if save is None:
        return None
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    return _suffix(save, {f".{suffix}": suffix for suffix in known})


def picture_format(save: str | os.PathLike[str] | None) -> str | None:
    """Return Pillow's name of the format that the suffix of `save` names."""
    if save is None:
        return None
    from PIL import Image

    known = Image.registered_extensions()  # also fills Image.SAVE
    return _suffix(save, {suffix: name for suffix, name in known.items() if name in Image.SAVE})


def _suffix(save: str | os.PathLike[str], known: dict[str, str]) -> str:
    suffix = Path(save).suffix.lower()
    if suffix not in known:
        raise ValueError(f"cannot write save={os.fspath(save)!r}: its suffix must be one of {', '.join(sorted(known))}")
    return known[suffix]


def finish_figure(
    ax: Axes,
    *,
    save: str | os.PathLike[str] | None,
    show: bool,
    exact: bool = False,
) -> None:
    """Save the figure of `ax` and open a window, if requested.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    save, show
        As in `plot_filters`; the suffix of `save` has been checked.
    exact : bool
        Whether the axes fill the figure pixel by pixel. If so, exactly these pixels are saved; if not, the figure is
        cropped to its content, at a resolution fine enough for text.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if save is not None:
        figure = ax.figure.figure  # for a subfigure, the whole figure
        form = figure_format(save)
        # An integer multiple of the figure's own resolution keeps the mosaics in it exact.
        factor = 1 if exact else -(-TEXT_RESOLUTION // figure.dpi)
        bbox = None if exact else "tight"  # None means the user's setting, which may add a margin: reset it below
        with mpl.rc_context({"savefig.bbox": "standard"}), atomic_write(save) as file:
            figure.savefig(file, format=form, dpi=factor * figure.dpi, bbox_inches=bbox, pad_inches=TEXT_MARGIN_INCHES)
    if show:
        plt.show()


def finish_picture(image: Image, *, save: str | os.PathLike[str] | None, show: bool) -> None:
    """Save the picture, pixel by pixel, and open a window with an enlarged copy, if requested."""
    from PIL.Image import Resampling

    if save is not None:
        with atomic_write(save) as file:
            image.save(file, format=picture_format(save))
    if show:
        zoom = enlargement(image.height, image.width)
        image.resize((zoom * image.width, zoom * image.height), Resampling.NEAREST).show()
