"""Draw rows that are not images as small SVG charts in the page: curves, and bars with names.

Each chart is an image with its own style sheet for light and dark mode, so that the page's script can replace one by
another, just as it does with pixel images.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from sparsam.display.colors import SIGNED, color_table

__all__ = ["MOST_BARS", "curve_chart", "named_bars", "strongest", "thumbnail_bars", "thumbnail_curve"]

Array = NDArray[np.float64]
Limits = tuple[float, float]

WIDTH, HEIGHT = 400, 200
SMALL_WIDTH, SMALL_HEIGHT = 120, 60
MARGIN_LEFT, MARGIN_BOTTOM, MARGIN = 46, 18, 6  # of a curve; the first two hold numbers
MOST_POINTS = 300  # of a curve; longer ones are reduced to the extremes of segments
MOST_BARS = 30  # with names
LINE, NAMES, NUMBERS = 17, 160, 60  # pixels: height of a bar's line, widths of the two columns of text
MOST_LETTERS = 20  # of a name


def curve_chart(curves: Array, limits: Limits, behind: Array | None = None) -> str:
    """Draw one curve or several overlaid, with numbers at the axes, and optionally a target curve behind them.

    Parameters
    ----------
    curves : array of shape (n_curves, n_features)
        NaN leaves a gap.
    limits : (float, float)
        Limits of the vertical axis.
    behind : array of shape (n_features,), optional
        The target curve.
    """
    left, right, top, bottom = MARGIN_LEFT, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN_BOTTOM
    box = (left, right, top, bottom)
    n_features = curves.shape[1]
    parts = [f'<path class="frame" d="M{left} {top}V{bottom}H{right}"/>', _zero_line(limits, box)]
    if behind is not None:
        parts.append(f'<path class="behind" d="{_path(behind, limits, box)}"/>')
    kind = "curve" if len(curves) == 1 else "curve many"
    parts += [f'<path class="{kind}" d="{_path(curve, limits, box)}"/>' for curve in curves]
    for value, y in ((limits[1], top + 9), (limits[0], bottom)):
        parts.append(f'<text x="{left - 4}" y="{y}" text-anchor="end">{_number(value)}</text>')
    parts.append(f'<text x="{left}" y="{HEIGHT - 4}">0</text>')
    parts.append(f'<text x="{right}" y="{HEIGHT - 4}" text-anchor="end">{n_features - 1}</text>')
    middle = (left + right) / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 4}" text-anchor="middle">number of the feature</text>')
    return _data_uri(WIDTH, HEIGHT, parts)


def thumbnail_curve(values: Array, limits: Limits) -> str:
    """Draw a curve without axes."""
    box = (2, SMALL_WIDTH - 2, 3, SMALL_HEIGHT - 3)
    parts = [_zero_line(limits, box), f'<path class="curve" d="{_path(values, limits, box)}"/>']
    return _data_uri(SMALL_WIDTH, SMALL_HEIGHT, parts)


def strongest(values: Array) -> NDArray[np.intp]:
    """Return the features to draw: all, or the `MOST_BARS` farthest from 0, in their order."""
    return np.sort(np.argsort(-np.abs(values), kind="stable")[:MOST_BARS])


def named_bars(
    values: Array,
    names: Sequence[str],
    largest: float,
    *,
    to_meet: Array | None = None,
    shown: NDArray[np.intp] | None = None,
) -> str:
    """Draw a bar for each feature, from 0 to the left or right, with its name and value.

    Parameters
    ----------
    values : array of shape (n_features,)
    names : sequence of str
    largest : float
        Length of the axis to either side.
    to_meet : array of shape (n_features,), optional
        Target values, marked by a line across each bar.
    shown : array of int, optional
        The features to draw. Default: `strongest`.
    """
    shown = strongest(values) if shown is None else shown
    middle, half = (NAMES + WIDTH - NUMBERS) / 2, (WIDTH - NUMBERS - NAMES) / 2
    height = LINE * len(shown) + 4
    parts = []
    for line, j in enumerate(shown):
        y = LINE * line + 2
        length = half * min(abs(values[j]) / largest, 1.0)
        kind, x = ("negative", middle - length) if values[j] < 0 else ("positive", middle)
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y + 3}" width="{length:.1f}" height="{LINE - 6}"/>')
        if to_meet is not None:
            place = middle + half * float(np.clip(to_meet[j] / largest, -1, 1))
            parts.append(f'<path class="to-meet" d="M{place:.1f} {y + 1}v{LINE - 2}"/>')
        baseline = y + LINE - 5
        parts.append(f'<text x="{NAMES - 6}" y="{baseline}" text-anchor="end">{_escaped(names[j])}</text>')
        parts.append(f'<text x="{WIDTH - 2}" y="{baseline}" text-anchor="end">{_number(values[j], "+")}</text>')
    parts.append(f'<path class="frame" d="M{middle:g} 0V{height}"/>')
    return _data_uri(WIDTH, height, parts)


def thumbnail_bars(values: Array, largest: float) -> str:
    """Draw the same bars vertically, side by side, without names."""
    values = values[strongest(values)]
    width, middle = SMALL_WIDTH / len(values), SMALL_HEIGHT / 2
    lengths = (middle - 2) * np.minimum(np.abs(values) / largest, 1.0)
    parts = [
        f'<rect class="{"negative" if value < 0 else "positive"}" x="{(j + 0.1) * width:.2f}" '
        f'y="{middle if value < 0 else middle - length:.1f}" width="{0.8 * width:.2f}" height="{length:.1f}"/>'
        for j, (value, length) in enumerate(zip(values, lengths, strict=True))
    ]
    parts.append(f'<path class="frame" d="M0 {middle:g}H{SMALL_WIDTH}"/>')
    return _data_uri(SMALL_WIDTH, SMALL_HEIGHT, parts)


def _path(values: Array, limits: Limits, box: tuple[float, float, float, float]) -> str:
    """Return an SVG path through the values that are not NaN."""
    left, right, top, bottom = box
    x, y = _thinned(values)
    x = left + (right - left) * x / max(len(values) - 1, 1)
    y = bottom - (bottom - top) * (np.clip(y, *limits) - limits[0]) / (limits[1] - limits[0])
    steps, pen_down = [], False
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if np.isnan(down):
            pen_down = False
            continue
        steps.append(f"{'L' if pen_down else 'M'}{across:.1f} {down:.1f}")
        pen_down = True
    return "".join(steps)


def _thinned(values: Array) -> tuple[Array, Array]:
    """Return x and y of each point; reduce a long curve to the extremes of its segments, so that no peak is lost."""
    n = len(values)
    if n <= MOST_POINTS:
        return np.arange(n, dtype=np.float64), values
    edges = np.linspace(0, n, MOST_POINTS // 2 + 1).astype(int)
    extremes = [np.fmin.reduceat(values, edges[:-1]), np.fmax.reduceat(values, edges[:-1])]
    middle = (edges[:-1] + edges[1:] - 1) / 2
    return np.repeat(middle, 2), np.column_stack(extremes).ravel()


def _zero_line(limits: Limits, box: tuple[float, float, float, float]) -> str:
    left, right, top, bottom = box
    if not limits[0] < 0 < limits[1]:
        return ""
    y = bottom + (bottom - top) * limits[0] / (limits[1] - limits[0])
    return f'<path class="frame" d="M{left} {y:.1f}H{right}"/>'


def _number(value: float, sign: str = "") -> str:
    return f"{value:{sign}.3g}".replace("-", "\N{MINUS SIGN}")


def _escaped(name: str) -> str:
    short = name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return escape("".join(letter if letter.isprintable() else " " for letter in short))


@cache
def _style() -> str:
    """Return the style sheet; the colors of signs are those of `SIGNED`, paler in dark mode."""
    table = color_table(SIGNED)
    n = len(table)
    strong = [_hex(table[k]) for k in (n // 10, n - 1 - n // 10)]
    pale = [_hex(table[k]) for k in (n // 4, n - 1 - n // 4)]
    common = "text{font:11px system-ui,sans-serif}path{fill:none}.to-meet{stroke-width:2}.behind{stroke-width:4}"
    common += ".curve{stroke-width:1.5}.many{stroke-width:1;opacity:.45}"
    schemes = (
        ("#1b1f24", "#9aa3ae", "#0072b2", "#c9cfd7", strong),
        ("#e8eaed", "#6b7480", "#5ab4e6", "#4a525d", pale),
    )
    light, dark = (
        f"text{{fill:{ink}}}.frame{{stroke:{frame}}}.curve{{stroke:{curve}}}.behind{{stroke:{behind}}}"
        f".to-meet{{stroke:{ink}}}.negative{{fill:{negative}}}.positive{{fill:{positive}}}"
        for ink, frame, curve, behind, (negative, positive) in schemes
    )
    return f"<style>{common}{light}@media(prefers-color-scheme:dark){{{dark}}}</style>"


def _hex(color: NDArray[np.uint8]) -> str:
    return "#" + "".join(f"{part:02x}" for part in color.tolist())


def _data_uri(width: float, height: float, parts: list[str]) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{_style()}{"".join(parts)}</svg>'
    return f"data:image/svg+xml;base64,{b64encode(text.encode()).decode()}"
