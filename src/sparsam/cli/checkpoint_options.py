"""Options of checkpoints: three options of the command line make one hyperparameter of the estimators."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.panels import CHECKPOINTS

if TYPE_CHECKING:
    from sparsam.estimators.checkpoint import Checkpoint

EVERY = typer.Option(
    "--checkpoint-every", help="Time between checkpoints, such as 60s, 5min or 1h.", rich_help_panel=CHECKPOINTS
)
RESUME = typer.Option(
    "--resume",
    help="Continue from the checkpoint in the folder, if there is one; a larger --max-iter or a smaller --tol extends "
    "the training.",
    rich_help_panel=CHECKPOINTS,
)

PARAMETERS = (
    inspect.Parameter(
        "checkpoint_every", inspect.Parameter.KEYWORD_ONLY, default="60s", annotation=Annotated[str, EVERY]
    ),
    inspect.Parameter("resume", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, RESUME]),
)
"""Additional parameters of a command with an option ``--checkpoint``."""


def take_checkpoint(arguments: dict[str, Any]) -> Checkpoint | None:
    """Remove the parameters from a command's arguments, and make the hyperparameter from them and the folder.

    Raises
    ------
    ValueError
        If the folder is missing, or the time cannot be parsed.
    OSError
        If the folder is a file, cannot be written, or holds a checkpoint and --resume is not given.
    """
    folder: Path | None = arguments["checkpoint"]
    every, resume = (arguments.pop(parameter.name) for parameter in PARAMETERS)
    if folder is None:
        if resume:
            raise ValueError("--resume needs the folder of the checkpoints: add --checkpoint FOLDER")
        return None
    _check_folder(folder, resume)
    from sparsam.estimators.checkpoint import Checkpoint

    return Checkpoint(str(folder), every=every, resume=resume)


def _check_folder(folder: Path, resume: bool) -> None:
    """Raise an error for an unusable folder, before any work."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"--checkpoint {folder}: {existing} is a file: name a folder")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"--checkpoint {folder}: the folder {existing} is write-protected")
    if not resume and any(folder.glob("checkpoint-*.safetensors")):
        raise FileExistsError(
            f"--checkpoint {folder}: the folder holds the checkpoint of another run: continue that run with --resume, "
            "or name another folder"
        )
