"""Convert gray levels and color names to red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.typing import ColorType
    from numpy.typing import NDArray

__all__ = ["SIGNED", "color_bytes", "color_table", "paint"]

SIGNED = "RdBu_r"
"""Matplotlib's color map for signed numbers, the same in all pictures: negative is blue, 0 white, positive red."""


def paint(levels: NDArray[np.float64], cmap: str | Colormap) -> NDArray[np.uint8]:
    """Convert levels in [0, 1] to colors: (n, p) by the color map, (n, p, 3) as red, green and blue."""
    if levels.ndim == 3:
        return np.rint(255 * levels).astype(np.uint8)
    table = color_table(cmap)
    # Matplotlib's rule: N intervals of equal length, the last one closed.
    return table[np.minimum((levels * len(table)).astype(np.intp), len(table) - 1)]


def color_bytes(border_color: ColorType) -> NDArray[np.uint8]:
    """Convert any Matplotlib color to red, green and blue, (3,) uint8; transparent colors are blended with white."""
    from matplotlib.colors import to_rgba

    try:
        rgba = to_rgba(border_color)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'border_color must be a Matplotlib color such as "blue", "#0000ff" or (0, 0, 1); got {border_color!r}'
        ) from error
    return _on_white(np.asarray(rgba))


def color_table(cmap: str | Colormap) -> NDArray[np.uint8]:
    """Return all N colors of a color map as (N, 3) uint8, rounded to nearest (Matplotlib truncates)."""
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    if isinstance(cmap, str):
        if cmap not in colormaps:
            raise ValueError(f'cmap="{cmap}" is unknown; see list(matplotlib.colormaps), for example "gray"')
        cmap = colormaps[cmap]
    if not isinstance(cmap, Colormap):
        raise ValueError(f"cmap must be the name of a Matplotlib color map, or a Colormap; got {cmap!r}")
    return _on_white(np.asarray(cmap(np.arange(cmap.N))))


def _on_white(rgba: NDArray[np.float64]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:]
    return np.rint(255 * (alpha * rgba[..., :3] + (1 - alpha))).astype(np.uint8)
