"""The files of images in a folder and its subfolders; pictures that this package wrote there are left out."""

import os
from collections.abc import Callable
from pathlib import Path

from sparsam.images import idx

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".npy", ".npz", ".mat"})
"""What is taken from a folder, in any mixture of upper and lower case, beside the names of `idx` files."""

RUNS = (
    frozenset({"metrics.json", "model.safetensors"}),
    frozenset({"metrics.json", "model.skops"}),
    frozenset({"study.json"}),
)
"""Files by which an output folder of the commands is known."""

RUN_PICTURES = frozenset(
    {"filters.png", "patches.png", "reconstructions.png", "cost.png", "residuals.png", "likelihood-profile.png"}
)
"""The pictures that commands write beside them."""


def find_images(folder: Path, warn: Callable[[str], object]) -> list[Path]:
    """Find what to load of a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        Links to folders are followed, each folder once. Hidden files and folders are left out.
    warn : callable
        Told in a sentence what is left out that looks like an image: pictures of an output folder, folders that
        cannot be listed.

    Returns
    -------
    files : list of Path
        In the order of their names, subfolders among them.

    Raises
    ------
    ValueError
        If the folder cannot be read, or holds no image.
    """
    files: list[Path] = []
    n_left_out = _walk(folder, files, set(), warn)
    if not files:
        but = ", beside those of an output folder of sparsam; name these files themselves to read them"
        raise ValueError(
            f"{folder}: no images in this folder{but if n_left_out else ''}; looked for "
            f"{', '.join(sorted(SUFFIXES))} and idx files"
        )
    return files


def _walk(folder: Path, files: list[Path], seen: set[tuple[int, int]], warn: Callable[[str], object]) -> int:
    """Add the images of a folder to the list, and count the pictures of output folders, which are left out."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return 0
    seen.add((status.st_dev, status.st_ino))
    entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda e: e.name)
    names = {entry.name for entry in entries}
    ours = RUN_PICTURES & names if any(run <= names for run in RUNS) else frozenset()
    if ours:
        warn(f"{folder}: left out {', '.join(sorted(ours))}, which a run of sparsam has written")
    n_left_out = len(ours)
    for entry in entries:
        if entry.is_dir():
            try:
                n_left_out += _walk(entry, files, seen, warn)
            except OSError as error:
                warn(f"{entry}: skipped, as it cannot be read: {os.strerror(error.errno or 0)}")
        elif entry.name not in ours and _may_be_image(entry):
            files.append(entry)
    return n_left_out


def _may_be_image(file: Path) -> bool:
    """Judge a file by its name."""
    is_idx = idx.NAME.fullmatch(file.name) and idx.LABELS not in file.name
    return bool(is_idx) or file.suffix.lower() in SUFFIXES
