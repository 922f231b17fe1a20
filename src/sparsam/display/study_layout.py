"""Lay out the page of a study: cells in rows and columns within panels, panels on the page.

Lengths are in inches, measured from the upper left corner of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["CAPTION", "HEADER", "Headers", "Layout", "arrange"]

PAGE = (7.2, 9.3)  # the text area of a page in most journals
LARGEST_CELL, SMALLEST_CELL = 1.6, 0.62  # smaller filters would be unreadable: the page grows instead
GAP = (0.05, 0.1)  # between cells, to the right and downward
CAPTION = 0.12  # height of a line below a cell
HEADER = 0.19  # height of a line of labels
PANEL_GAP = 0.14


class Headers(NamedTuple):
    """The labels to draw: above and left of all panels, above each panel, above its columns, left of its rows."""

    outer_columns: bool = False
    outer_rows: bool = False
    panels: bool = False
    columns: bool = False
    rows: bool = False


@dataclass(frozen=True)
class Layout:
    """A page.

    Attributes
    ----------
    panels : (int, int)
        Rows and columns of panels.
    cells : (int, int)
        Rows and columns of the cells of each panel.
    cell : float
        Side of a cell's square.
    width, height : float
        Size of the page.
    first : (float, float)
        x and y of the first panel's first cell.
    pitch, panel_pitch : (float, float)
        Distance from one cell to the next, and from one panel to the next: to the right, and downward.
    """

    panels: tuple[int, int]
    cells: tuple[int, int]
    cell: float
    width: float
    height: float
    first: tuple[float, float]
    pitch: tuple[float, float]
    panel_pitch: tuple[float, float]

    def corner(self, panel: tuple[int, int], row: int = 0, column: int = 0) -> tuple[float, float]:
        """Compute the upper left corner of a cell, (x, y)."""
        return (
            self.first[0] + panel[1] * self.panel_pitch[0] + column * self.pitch[0],
            self.first[1] + panel[0] * self.panel_pitch[1] + row * self.pitch[1],
        )

    @property
    def panel_size(self) -> tuple[float, float]:
        """Width and height of the cells of a panel, together."""
        return self.cells[1] * self.pitch[0] - GAP[0], self.cells[0] * self.pitch[1] - GAP[1]

    @property
    def badness(self) -> tuple[float, float, int, float]:
        """Rank of the layout, smaller is better: fits on a page, then large cells, few empty panels, a low page."""
        beyond = max(self.width / PAGE[0], self.height / PAGE[1], 1.0)
        return round(beyond, 2), -round(self.cell, 1), self.panels[0] * self.panels[1], self.height


def arrange(
    panels: int | tuple[int, int], cells: tuple[int, int], *, headers: Headers, caption_lines: int, footer: float
) -> Layout:
    """Arrange panels so that the cells are as large as a page allows; if there are too many, the page grows.

    Parameters
    ----------
    panels : int, or (rows, columns)
        Number of panels, in any arrangement; or the rows and columns of panels.
    cells : (rows, columns)
        Cells of each panel.
    headers : Headers
    caption_lines : int
        Lines below each cell.
    footer : float
        Height of the text at the bottom.
    """
    if isinstance(panels, tuple):
        return _page(panels, cells, headers, caption_lines, footer)
    choices = [
        _page((-(-panels // columns), columns), cells, headers, caption_lines, footer)
        for columns in range(1, panels + 1)
    ]
    return min(choices, key=lambda choice: choice.badness)


def _page(
    panels: tuple[int, int], cells: tuple[int, int], headers: Headers, caption_lines: int, footer: float
) -> Layout:
    n_rows, n_columns = panels[0] * cells[0], panels[1] * cells[1]
    left, top = HEADER * headers.outer_rows, HEADER * headers.outer_columns
    beside, above = HEADER * headers.rows, HEADER * (headers.panels + headers.columns)
    below = caption_lines * CAPTION
    # The space that labels and gaps leave for cells.
    wide = PAGE[0] - left - panels[1] * (beside + PANEL_GAP) + PANEL_GAP + GAP[0] * panels[1]
    high = PAGE[1] - top - footer - panels[0] * (above + PANEL_GAP) + PANEL_GAP + GAP[1] * panels[0]
    cell = max(min(wide / n_columns - GAP[0], high / n_rows - GAP[1] - below, LARGEST_CELL), SMALLEST_CELL)
    pitch = cell + GAP[0], cell + below + GAP[1]
    panel_pitch = beside + cells[1] * pitch[0] - GAP[0] + PANEL_GAP, above + cells[0] * pitch[1] - GAP[1] + PANEL_GAP
    return Layout(
        panels,
        cells,
        cell,
        left + panels[1] * panel_pitch[0] - PANEL_GAP,
        top + panels[0] * panel_pitch[1] - PANEL_GAP + footer,
        (left + beside, top + above),
        pitch,
        panel_pitch,
    )
