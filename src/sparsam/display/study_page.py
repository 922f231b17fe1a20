"""Draw the mosaics, captions and labels of a study's page at the positions of its layout."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsam.display.filters import plot_filters
from sparsam.display.study_layout import CAPTION, HEADER, Layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = ["LEGEND_LINE", "Page", "Panels", "legend_lines"]

Panels = list[tuple[dict[str, Any], tuple[int, int]]]
"""The panels: the axis values of each, and its row and column."""

SYMBOLS = {"rho": r"$\rho$", "beta": r"$\beta$", "alpha": r"$\alpha$", "epsilon": r"$\epsilon$"}
COUNTS = {"n_components": "units", "max_iter": "iterations"}
FONT, SMALL, SMALLEST = 8.0, 7.0, 5.0  # points
LEGEND_LINE = 0.13  # inches
LETTER = 0.55 / 72  # width of a letter in inches, per point of font size


class Page:
    """Draws on a figure at positions in inches from its upper left corner."""

    def __init__(self, figure: Figure, layout: Layout) -> None:
        self.figure, self.layout = figure, layout

    def text(self, x: float, y: float, text: str, room: float = np.inf, **options: Any) -> None:
        """Write text, in smaller letters if it is wider than `room`."""
        size = options.pop("fontsize", FONT)
        size = max(min(size, size * room / _width(text, size)), SMALLEST) if text else size
        self.figure.text(x / self.layout.width, 1 - y / self.layout.height, text, fontsize=size, **options)

    def cell(
        self,
        where: tuple[int, int],
        row: int,
        column: int,
        filters: list[ArrayLike | None],
        normalize_each: bool,
        image_width: int | None,
    ) -> None:
        """Draw the first of `filters` that is not None, at the top of the cell."""
        (x, y), side = self.layout.corner(where, row, column), self.layout.cell
        width, height = self.layout.width, self.layout.height
        axes = self.figure.add_axes((x / width, 1 - (y + side) / height, side / width, side / height))
        first = next((candidate for candidate in filters if candidate is not None), None)
        axes.set_axis_off()
        if first is None:
            axes.text(0.5, 0.5, "not done" if not filters else "not finite", ha="center", va="center", fontsize=SMALL)
            return
        image = plot_filters(
            first, normalize_each=normalize_each, image_width=image_width, border_color="white", ax=axes
        )
        image.set_interpolation("none")  # a PDF then holds the pixels themselves, each once
        axes.set_anchor("N")

    def captions(self, where: tuple[int, int], row: int, column: int, lines: list[str]) -> None:
        """Write lines below a cell."""
        (x, y), side = self.layout.corner(where, row, column), self.layout.cell
        for line, text in enumerate(lines):
            options: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": SMALL}
            self.text(x + side / 2, y + side + (line + 0.6) * CAPTION, text, side, **options)

    def labels(
        self,
        where: tuple[int, int],
        panel: Mapping[str, Any],
        rows: tuple[str | None, list[Any]],
        columns: tuple[str | None, list[Any]],
    ) -> None:
        """Write the labels of a panel, its columns and its rows."""
        (x, y), side = self.layout.corner(where), self.layout.cell
        if panel:
            title = ", ".join(_label(name, value) for name, value in panel.items())
            above = HEADER * (1.5 if columns[0] else 0.5)
            middle = x + self.layout.panel_size[0] / 2
            self.text(middle, y - above, title, self.layout.panel_size[0], ha="center", va="center", weight="bold")
        if columns[0]:
            for j, value in enumerate(columns[1]):
                middle = x + j * self.layout.pitch[0] + side / 2
                self.text(middle, y - HEADER / 2, _label(columns[0], value), side, ha="center", va="center")
        if rows[0]:
            for i, value in enumerate(rows[1]):
                middle = y + i * self.layout.pitch[1] + side / 2
                rotated: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center"}
                self.text(x - HEADER / 2, middle, _label(rows[0], value), side, **rotated)

    def outer_labels(self, panels: Panels) -> None:
        """Write the values of the two outer axes: one above all panels, one on their left."""
        wide, high = self.layout.panel_size
        for panel, where in panels:
            (high_name, high_value), (wide_name, wide_value) = panel.items()
            x, y = self.layout.corner(where)
            options: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold"}
            if where[0] == 0:
                self.text(x + wide / 2, HEADER / 2, _label(wide_name, wide_value), wide, **options)
            if where[1] == 0:
                self.text(HEADER / 2, y + high / 2, _label(high_name, high_value), high, rotation=90, **options)

    def footer(self, legend: str) -> None:
        """Write the legend of the numbers at the bottom."""
        lines = legend_lines(legend, self.layout.width)
        for line, text in enumerate(lines):
            y = self.layout.height - (len(lines) - line - 0.5) * LEGEND_LINE
            self.text(0.0, y, text, fontsize=SMALL, va="center", color="0.3")


SMALL_NUMBER = 1e-3  # smaller numbers are easier to read as powers of ten


def legend_lines(legend: str, width: float) -> list[str]:
    """Break a legend into lines of a width in inches."""
    # 1.1: some letters of mathematical markup take no room.
    return textwrap.wrap(legend, max(int(width / (LETTER * SMALL) * 1.1), 1))


def _width(text: str, size: float) -> float:
    """Estimate the width of a text without its mathematical markup, in inches."""
    return LETTER * size * max(len(re.sub(r"[${}^]", "", re.sub(r"\\[a-z]+", "x", text))), 1)


def _label(name: str, value: Any) -> str:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    shown = f"{value:g}" if number else str(value)
    if number and (0 < abs(value) <= SMALL_NUMBER or "e" in shown):
        mantissa, exponent = f"{value:.5e}".split("e")
        times = f"{float(mantissa):g}"
        shown = ("" if times == "1" else rf"{times} $\cdot$ ") + f"$10^{{{int(exponent)}}}$"
    return f"{shown} {COUNTS[name]}" if name in COUNTS else f"{SYMBOLS.get(name, name)} = {shown}"
