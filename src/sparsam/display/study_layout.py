"""Where the parts of a study's page go: cells in rows and columns within panels, panels on the page.

Lengths are in inches, from the upper left corner of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["CAPTION", "HEADER", "Headers", "Layout", "arrange"]

PAGE = (7.2, 9.3)  # the text area of a page in most journals
LARGEST_CELL, SMALLEST_CELL = 1.6, 0.62  # of less the filters cannot be told apart: the sheet grows instead
GAP = (0.05, 0.1)  # between cells, to the right and downward
CAPTION = 0.12  # a line below a cell
HEADER = 0.19  # a line of labels
PANEL_GAP = 0.14


class Headers(NamedTuple):
    """Which labels there are: above and left of all panels, above each panel, above its columns, left of its rows."""

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
        Rows and columns of the cells of each.
    cell : float
        Side of a cell's square.
    width, height : float
        Of the page.
    first : (float, float)
        x and y of the first panel's first cell.
    pitch, panel_pitch : (float, float)
        From a cell to the next, and from a panel to the next: to the right, and downward.
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
        """Upper left corner of a cell, x and y."""
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
        """The smaller, the better: within a page, large cells, then few empty places, then little paper."""
        beyond = max(self.width / PAGE[0], self.height / PAGE[1], 1.0)
        return round(beyond, 2), -round(self.cell, 1), self.panels[0] * self.panels[1], self.height


def arrange(
    panels: int | tuple[int, int], cells: tuple[int, int], *, headers: Headers, caption_lines: int, footer: float
) -> Layout:
    """Arrange panels so that cells are as large as they can be on a page; of many small ones the page grows.

    Parameters
    ----------
    panels : int, or (rows, columns)
        How many, to be arranged at will; or as they must stand.
    cells : (rows, columns)
        Of each panel.
    headers : Headers
    caption_lines : int
        Below each cell.
    footer : float
        Height of what stands at the bottom.
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
    # What is left for cells once labels and gaps have their place.
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
