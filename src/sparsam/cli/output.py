"""The output folder of a command."""

from __future__ import annotations

import os
from pathlib import Path


def check_output_folder(out: Path, files: tuple[str, ...], overwrite: bool) -> None:
    """Refuse, before any work, a folder that holds another run, or cannot be written."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise FileExistsError(f"--out {out}: {existing} is a file; name a folder")
    if not os.access(existing, os.W_OK):
        raise PermissionError(f"--out {out}: the folder {existing} is write-protected")
    held = [name for name in files if (out / name).exists()]
    if held and not overwrite:
        raise FileExistsError(
            f"the folder {out} holds another run ({', '.join(held)}): name another with --out, or replace it with "
            "--overwrite"
        )
