"""Files with a name for each row, one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sparsam.cli.console import require_files

__all__ = ["NAMES_FILE", "format_names", "read_names"]

NAMES_FILE = "row_names.txt"
"""Names of the rows of a run, in its folder."""


def read_names(path: Path) -> list[str]:
    """Read names, one a line.

    Lines end with a line feed, or with a carriage return and a line feed; other separators, which Unicode has, may be
    within a name. The last line needs no end.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not UTF-8.
    """
    require_files(path)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path} is not UTF-8 text (line {line}): save it in this encoding, one name a line") from None
    names = text.split("\n")
    if names[-1] == "":
        names.pop()
    return [name.removesuffix("\r") for name in names]


def format_names(names: Sequence[str]) -> bytes:
    """Return the content of a file of names."""
    return "".join(f"{name}\n" for name in names).encode()
