"""Options of results, and a check of the output folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sparsam.cli.panels import OUTPUT

Out = Annotated[Path, typer.Option(help="Folder for the results.", rich_help_panel=OUTPUT)]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace an existing run in the folder.", rich_help_panel=OUTPUT)
]
Verbose = Annotated[int, typer.Option(help="0 hides the progress.", rich_help_panel=OUTPUT)]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON on standard output.", rich_help_panel=OUTPUT)
]


def check_output_folder(out: Path, files: tuple[str, ...], overwrite: bool) -> None:
    """Raise an error, before any work, if the folder holds another run or cannot be written."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise FileExistsError(f"--out {out}: {existing} is a file: name a folder")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"--out {out}: the folder {existing} is write-protected")
    held = [name for name in files if (out / name).exists()]
    if held and not overwrite:
        raise FileExistsError(
            f"the folder {out} holds another run ({', '.join(held)}): name another with --out, or replace it with "
            "--overwrite"
        )
