"""The files of images in a folder and its subfolders; pictures that this package wrote there are left out."""

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
            warn(f"{here}: skipped, as it cannot be read: {error.strerror}")
            continue
        folders += sorted(inner, reverse=True)
        ours = _own_pictures({entry.name for entry in entries})
        if ours:
            warn(f"{here}: left out {', '.join(sorted(ours))}, which a run of sparsam has written")
        n_left_out += len(ours)
        files += [file for file in entries if file.name not in ours and file not in inner and _may_be_image(file)]
    if not files:
        but = ", beside those of an output folder of sparsam; name these files themselves to read them"
        raise ValueError(
            f"{folder}: no images in this folder{but if n_left_out else ''}; looked for "
            f"{', '.join(sorted(SUFFIXES))} and idx files"
        )
    return sorted(files, key=lambda file: file.parts)


def _own_pictures(names: set[str]) -> set[str]:
    """Tell which files of a folder a command wrote, by the others that it writes with them."""
    return set(RUN_PICTURES & names) if any(run <= names for run in RUNS) else set()


def _may_be_image(file: Path) -> bool:
    """Judge a file by its name."""
    is_idx = idx.NAME.fullmatch(file.name) and idx.LABELS not in file.name
    return bool(is_idx) or file.suffix.lower() in SUFFIXES
