"""Draw square matrices of numbers as annotated heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

__all__ = ["draw_heatmap"]

SMALLEST_FONT, LARGEST_FONT = 4.5, 8.0  # points
CELL_IN_FONTS = 3.6  # cell width over font size: a number with its sign, and room for a layout made later


def draw_heatmap(
    axes: Axes,
    matrix: NDArray[np.float64],
    names: Sequence[str],
    *,
    cmap: str | Colormap,
    limits: tuple[float, float],
    ticks: Sequence[float],
    zeros: bool = True,
) -> None:
    """Draw the matrix with its numbers; if they do not fit, with a color bar to the right of the axes.

    If `zeros` is false, numbers that round to 0 are not written.
    """
    n = len(matrix)
    image = axes.imshow(matrix, vmin=limits[0], vmax=limits[1], cmap=cmap)
    extent = axes.get_window_extent()
    cell = min(extent.width, extent.height) / n * 72 / axes.figure.figure.dpi
    size = min(cell / CELL_IN_FONTS, LARGEST_FONT)
    if size >= SMALLEST_FONT:
        # Black or white, whichever has more contrast to the cell (the luminance of Rec. 709).
        luminance = image.to_rgba(matrix)[..., :3] @ (0.2126, 0.7152, 0.0722)
        for row in range(n):
            for column in range(n):
                value = round(float(matrix[row, column]), 2) + 0.0  # a rounded 0 would read -0.00
                if value or zeros:
                    color = "white" if luminance[row, column] < 0.4 else "black"
                    text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
                    axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)
    else:
        axes.figure.colorbar(image, cax=axes.inset_axes((1.03, 0.0, 0.05, 1.0)), ticks=list(ticks))
    short = max(map(len, names)) <= 2
    rotation: dict[str, Any] = {} if short else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(n), names, fontsize="small", **rotation)
    axes.set_yticks(range(n), names, fontsize="small")
    axes.tick_params(length=0)
