"""Options of the commands that learn from rows instead of images (``learn``, ``sweep``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparsam.cli.console import require_files
from sparsam.cli.panels import DATA

Rows = Annotated[
    bool,
    typer.Option(
        "--rows",
        help="Learn from the rows of a table (.csv, .tsv, .parquet, .npz) or an array (.npy), not from images.",
        rich_help_panel=DATA,
    ),
]
ImageShape = Annotated[
    str | None,
    typer.Option(
        help="Shape of rows that are images: HEIGHT,WIDTH, or HEIGHT,WIDTH,3 in color.",
        show_default="rows are not images",
        rich_help_panel=DATA,
    ),
]


def only_file(paths: list[Path] | None, *, missing_is_error: bool = True) -> Path:
    """Return the one file of --rows."""
    if paths is None or len(paths) != 1:
        raise ValueError(f"--rows needs one table or array, got {len(paths or [])}")
    if missing_is_error:
        require_files(paths[0])
    return paths[0]
