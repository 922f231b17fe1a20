"""Format numbers and tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["mebibytes", "milliseconds", "number", "seconds", "table", "times"]

NONE = "-"


def seconds(value: float | None) -> str:
    """Format seconds with three significant digits."""
    return NONE if value is None else f"{value:.3g} s" if value < 999 else f"{value:.0f} s"


def milliseconds(value: float | None) -> str:
    """Format milliseconds with three significant digits."""
    return NONE if value is None else f"{1e3 * value:.3g} ms" if value < 0.999 else f"{1e3 * value:.0f} ms"


def mebibytes(value: float | None) -> str:
    """Format bytes as mebibytes, with one decimal below ten."""
    return NONE if value is None else f"{value / 2**20:.{0 if value > 10 * 2**20 else 1}f} MiB"


def times(value: float | None) -> str:
    """Format a ratio."""
    return NONE if value is None else f"{value:.2f}x" if value < 10 else f"{value:.1f}x"


def number(value: float | None, form: str) -> str:
    """Format a number."""
    return NONE if value is None else format(value, form)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Make a table; all columns except the first are right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
