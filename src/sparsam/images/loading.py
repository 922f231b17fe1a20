"""Files of pictures to lists of arrays: finds the files, picks the reader, names the file in every error."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparsam.images.arrays import read_mat, read_npy
from sparsam.images.pictures import read_picture

MAX_PIXELS = 100_000_000
"""Largest picture (all pages of a file together) or .mat variable that is decoded, in pixels."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".mat"})
"""What is taken from a folder, in any mixture of upper and lower case."""


def load_images(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    as_gray: bool = True,
    tell: Callable[[int, int], object] | None = None,
) -> list[npt.NDArray[np.float64]]:
    """Load images from files and folders.

    PNG, JPEG and TIFF pictures are turned upright (EXIF orientation) and given as values in [0, 1]: 8 bits,
    16 bits, palettes, transparency (blended onto white, as scikit-image does) and CMYK (through RGB); color
    of 16 bits a channel is read with 8. TIFF of floating type keeps its values. A TIFF with several pages
    gives several images.

    Arrays from `.npy` and `.mat` keep their values; they hold one gray image (height, width) or a stack
    (n, height, width) or (height, width, n) of them (the rule: :func:`~.stacks.stack_axis`). A `.mat` file
    must hold one numeric variable of that kind, scalars and vectors aside; if there are several, `IMAGES`,
    the name in the CS294A notes, is taken.

    Nothing that a file holds is executed (no pickle), and its size is checked before it is decoded.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, or folders. Of a folder all pictures and arrays are taken, by their suffix, in the order of
        their names; not those of subfolders, and not hidden files.
    as_gray : bool, default=True
        Give gray pictures: the luminance 0.2125 R + 0.7154 G + 0.0721 B. The notes' autoencoder sees gray
        patches. With False every picture is color (height, width, 3), gray ones with three equal channels.
        Arrays from `.npy` and `.mat` are gray in any case.
    tell : callable or None, default=None
        Called after each file with the number of files read and of all: for a display of progress.

    Returns
    -------
    images : list of ndarrays, float64
        Each (height, width) or (height, width, 3), all finite.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ValueError
        If a file cannot be read: damaged, of another format, a picture of more than 100 million pixels or
        Pillow's own limit (`PIL.Image.MAX_IMAGE_PIXELS`), Python objects instead of numbers, NaN or
        infinity. The message names the file and the cause. Also if a folder holds no image, or `paths` is
        empty.

    See Also
    --------
    whiten : Prepare natural images for an autoencoder.
    sample_patches : Cut patches out of them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sparsam.images import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "stack.npy"), np.zeros((64, 48, 5)))
    ...     images = load_images(folder)
    >>> len(images), images[0].shape
    (5, (64, 48))
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    files = [file for path in paths for file in _find_files(Path(path))]
    if not files:
        raise ValueError("paths is empty; at least one file or folder is needed")
    images = []
    for done, file in enumerate(files, start=1):
        images += _load_file(file, as_gray)
        if tell is not None:
            tell(done, len(files))
    return images


def _find_files(path: Path) -> list[Path]:
    """Give the path itself if it is a file, and what to load of it if it is a folder."""
    try:
        if path.is_file():
            return [path]
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
        if not path.is_dir():
            raise ValueError(f"{path}: neither a file nor a folder")  # a pipe would wait forever
        files = [
            file
            for file in sorted(path.iterdir(), key=lambda file: file.name)
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and not file.is_dir()
        ]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error
    if not files:
        raise ValueError(f"{path}: no images in this folder; looked for {', '.join(sorted(SUFFIXES))}")
    return files


def _load_file(file: Path, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Load one file; whatever goes wrong in the decoders becomes a ValueError that names it."""
    try:
        match file.suffix.lower():
            case ".npy":
                images = read_npy(file)
            case ".mat":
                images = read_mat(file, MAX_PIXELS)
            case _:
                images = read_picture(file, MAX_PIXELS, as_gray=as_gray)
        for index, image in enumerate(images):
            if not np.isfinite(image).all():
                raise ValueError(f"image {index + 1} of {len(images)} contains NaN or infinity")
    except Exception as error:  # decoders of damaged files raise all sorts
        cause = str(error) or type(error).__name__
        raise ValueError(f"{file}: cannot be read: {cause}") from error
    return images
