"""Find the image files in a folder and its subfolders, except for pictures that this package wrote there."""

from collections.abc import Callable
from pathlib import Path

from sparsam.images import idx

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".npy", ".npz", ".mat"})
"""Suffixes of the files to load from a folder, in upper or lower case; `idx` files are known by their names."""

RUNS = (
    frozenset({"metrics.json", "model.safetensors"}),
    frozenset({"metrics.json", "model.skops"}),
    frozenset({"study.json"}),
)
"""Files that identify an output folder of the commands."""

RUN_PICTURES = frozenset(
    {"filters.png", "patches.png", "reconstructions.png", "cost.png", "residuals.png", "likelihood-profile.png"}
)
"""Pictures that commands write into the same folder."""


def find_images(folder: Path, warn: Callable[[str], object]) -> list[Path]:
    """Find the image files in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        Links to folders are followed, each folder once. Hidden files and folders are left out.
    warn : callable
        Called with a message about what is left out: pictures of an output folder, and folders that cannot be listed.

    Returns
    -------
    files : list of Path
        Sorted by path.

    Raises
    ------
    OSError
        If the folder cannot be read.
    ValueError
        If it contains no image.
    """
    files: list[Path] = []
    folders: list[Path] = [folder]
    seen: set[tuple[int, int]] = set()
    n_left_out = 0
    while folders:
        here = folders.pop()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = [entry for entry in here.iterdir() if not entry.name.startswith(".")]
            inner = [entry for entry in entries if entry.is_dir()]
        except OSError as error:
            if here == folder:
                raise
            warn(f"{here}: skipped, because it cannot be read: {error.strerror}")
            continue
        folders += sorted(inner, reverse=True)
        ours = _own_pictures({entry.name for entry in entries})
        if ours:
            warn(f"{here}: left out {', '.join(sorted(ours))}, which a run of sparsam wrote")
        n_left_out += len(ours)
        files += [file for file in entries if file.name not in ours and file not in inner and _may_be_image(file)]
    if not files:
        note = ", except for those of an output folder of sparsam; name these files themselves to read them"
        raise ValueError(
            f"{folder}: no images in this folder{note if n_left_out else ''}; looked for "
            f"{', '.join(sorted(SUFFIXES))} and idx files"
        )
    return sorted(files, key=lambda file: file.parts)


def _own_pictures(names: set[str]) -> set[str]:
    """Return the pictures in a folder that a command wrote, which is known by the other files that it writes."""
    return set(RUN_PICTURES & names) if any(run <= names for run in RUNS) else set()


def _may_be_image(file: Path) -> bool:
    """Return whether a file may be an image, by its name."""
    is_idx = idx.NAME.fullmatch(file.name) and idx.LABELS not in file.name
    return bool(is_idx) or file.suffix.lower() in SUFFIXES
