"""Load image files: find the files, choose a reader for each, name the file in every error."""

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparsam.images import idx, mat, npy, pictures, tiff
from sparsam.images.folders import find_images

MAX_PIXELS = 100_000_000
"""Maximum size in pixels of a picture (all pages of a file together), or of an array in a compressed file."""

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def load_images(
    paths: Paths,
    *,
    as_gray: bool = True,
    tell: Callable[[int, int], object] | None = None,
) -> list[npt.NDArray[np.float64]]:
    """Load images from files and folders.

    Pictures (PNG, JPEG, TIFF, GIF, BMP, WebP; recognized by their content) are turned upright (Orientation in EXIF and
    TIFF). Unsigned integers of n bits, 1 to 16, become value / (2^n - 1), so that black is 0 and white is 1; images
    stored with white as 0 (MinIsWhite) are inverted. Floating point (TIFF, 16 to 64 bits) keeps its values. Palettes,
    CMYK and YCbCr become RGB; transparent pixels are blended onto white, as scikit-image does. For color PNG with 16
    bits per channel, the upper 8 bits are read. Signed integers, integers of more than 16 bits, and complex numbers
    have no fixed white and raise ValueError.

    Each page of a TIFF is an image, except for overviews (smaller copies, as in a pyramid) and masks. Stacks that
    ImageJ or tifffile wrote with one directory for all images are read too. For an animation the first picture is read.

    Arrays (`.npy`, `.npz`, `.mat`, and MNIST's idx, also `.gz`) keep their values, 0 to 255 for MNIST. They contain a
    gray image (height, width), a stack of them (n, height, width) or (height, width, n) (see
    :func:`~.stacks.stack_axis`), or color images (n, height, width, 3) or (height, width, 3, n). An `.npz` or `.mat`
    file must contain one such array, apart from scalars and vectors; if there are several, `IMAGES`, the name in the
    CS294A notes, is read. A `.mat` file may contain a cell array instead, with an image in each cell. `.mat` of version
    7.3 (HDF5) needs h5py: ``pip install 'sparsam[matlab]'``.

    Nothing in a file is executed (no pickle), and its size is checked before it is decoded.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, or folders. In a folder and its subfolders all pictures and arrays that are not hidden are read, in the
        order of their names; they are recognized by their suffix (idx files by `idx` and the number of dimensions in
        their name). Files there that cannot be read are skipped, with a warning that names them. Pictures that a
        command of sparsam wrote into its output folder (recognized by `metrics.json` with a model, or by `study.json`)
        are left out, with a warning too.
    as_gray : bool, default=True
        Return gray images: the luminance 0.2125 R + 0.7154 G + 0.0721 B. The notes' autoencoder uses gray
        patches. With False every picture is color (height, width, 3), gray ones with three equal channels;
        gray arrays stay gray.
    tell : callable or None, default=None
        Called after each file with the number of files read so far and the number of all files, to show progress.

    Returns
    -------
    images : list of ndarrays, float64
        Each (height, width) or (height, width, 3), all finite.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ValueError
        If a file that `paths` names cannot be read: it is damaged, of another format, a picture of more than 100
        million pixels or (except for TIFF) of Pillow's limit (`PIL.Image.MAX_IMAGE_PIXELS`), or contains pixels without
        a defined meaning, Python objects instead of numbers, NaN or infinity. The message names the file and the cause.
        Also if a folder contains no image that can be read, or `paths` is empty.

    Warns
    -----
    UserWarning
        For each file of a folder that is skipped, with its name and the cause.

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
    return list(load_named_images(paths, as_gray=as_gray, tell=tell, warn=_warn).values())


def load_named_images(
    paths: Paths,
    *,
    as_gray: bool,
    tell: Callable[[int, int], object] | None,
    warn: Callable[[str], object],
) -> dict[str, npt.NDArray[np.float64]]:
    """Load images as :func:`load_images` does, with names for messages.

    Parameters
    ----------
    paths, as_gray, tell
        As for :func:`load_images`.
    warn : callable
        Called with a message about each file that is skipped or left out.

    Returns
    -------
    images : dict of ndarrays
        In the order of the files. A name consists of the file and, if it has several images, the number of the image.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    found = [(file, path) for path in map(Path, paths) for file in _find_files(path, warn)]
    if not found:
        raise ValueError("paths is empty; pass at least one file or folder")
    images: dict[str, npt.NDArray[np.float64]] = {}
    readable = set()
    for done, (file, path) in enumerate(found, start=1):
        try:
            _add(images, file, _load_file(file, as_gray, warn))
            readable.add(path)
        except ValueError as error:
            if file == path:
                raise
            warn(f"skipped {error}")
        if tell is not None:
            tell(done, len(found))
    for _, path in found:
        if path not in readable:
            raise ValueError(f"{path}: none of the images in this folder can be read")
    return images


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)  # the caller of load_images


def _find_files(path: Path, warn: Callable[[str], object]) -> list[Path]:
    """Return the path itself if it is a file, or the image files in it if it is a folder."""
    try:
        if path.is_dir():
            return find_images(path, warn)
        if path.is_file():
            return [path]
        if not path.exists():
            raise FileNotFoundError(f"no such file or folder: {path}")
        raise ValueError(f"{path}: {NO_FILE}")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error}") from error


def _load_file(file: Path, as_gray: bool, warn: Callable[[str], object]) -> list[npt.NDArray[np.float64]]:
    """Load one file; turn any exception of a decoder into a ValueError that names the file."""
    try:
        if not file.is_file():
            raise ValueError(NO_FILE if file.exists() else "a link to a file that does not exist")
        if file.stat().st_size == 0:
            raise ValueError("the file is empty")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            images = _choose_reader(file)(file, MAX_PIXELS, as_gray=as_gray)
        for index, image in enumerate(images):
            if not np.isfinite(image).all():
                raise ValueError(f"image {index + 1} of {len(images)} contains NaN or infinity")
    except Exception as error:  # decoders raise many kinds of exceptions for damaged files
        cause = str(error) or type(error).__name__
        if not isinstance(error, ValueError | MemoryError):
            cause = f"damaged, or not of the type that its name indicates ({cause})"
        raise ValueError(f"{file}: cannot be read: {cause}") from error
    for warning in caught:  # the decoder's warnings lack the file name
        warn(f"{file}: {warning.message}")
    return images


NO_FILE = "neither a file nor a folder"  # a pipe would wait forever


def _choose_reader(file: Path) -> Callable[..., list[npt.NDArray[np.float64]]]:
    """Choose the reader: for arrays by the name of the file, for pictures by its content."""
    readers = {".npy": npy.read_npy, ".npz": npy.read_npz, ".mat": mat.read_mat, ".gz": idx.read_idx}
    if file.suffix.lower() in readers:
        return readers[file.suffix.lower()]
    if idx.NAME.fullmatch(file.name):
        return idx.read_idx
    with file.open("rb") as stream:
        return tiff.read_tiff if stream.read(4) in tiff.SIGNATURES else pictures.read_picture


def _add(images: dict[str, npt.NDArray[np.float64]], file: Path, loaded: list[npt.NDArray[np.float64]]) -> None:
    """Add a file's images, each under a unique name."""
    for index, image in enumerate(loaded, start=1):
        name = str(file) if len(loaded) == 1 else f"{file} (image {index} of {len(loaded)})"
        while name in images:  # the caller passed the file more than once
            name += " again"
        images[name] = image
