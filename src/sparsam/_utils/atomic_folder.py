"""Atomic writing of a folder: it appears under its name with all of its files, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsam._utils.atomic_write import sync_folder

__all__ = ["atomic_folder"]


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder that takes its name only after the ``with`` block, which fills it, has succeeded.

    Parameters
    ----------
    path : str or path-like
        The folder to make. The folder around it must exist.

    Yields
    ------
    folder : Path
        A temporary folder beside it.

    Raises
    ------
    FileExistsError
        `path` exists, and is not an empty folder.
    FileNotFoundError
        The folder around it does not exist.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(8)}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        sync_folder(temporary)
        try:
            temporary.rename(target)
        except OSError as error:
            if target.exists():
                raise FileExistsError(f"{target} exists: another process made it in the meantime") from error
            raise
    except BaseException:  # KeyboardInterrupt too
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)
