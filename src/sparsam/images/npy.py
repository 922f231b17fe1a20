"""Read NumPy's `.npy` and `.npz` as lists of images, never by pickle. loading.py adds the file name to errors."""

import io
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from sparsam.images.arrays import StoredArray, check_size, choose_array, to_images

SUFFIX = ".npy"

HEADER = 1 << 14
"""Bytes within which the header of a member must end; NumPy would read as many as the file states."""


def read_npy(file: Path, max_pixels: int, *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Read the images of an `.npy` file.

    Parameters
    ----------
    file : Path
        Mapped into memory, so that a header with a false, large size allocates nothing.
    max_pixels : int
        Not used, since the file is as large as its numbers.
    as_gray : bool
        Whether to turn color images to gray.

    Returns
    -------
    images : list of ndarrays
        Copies; the file is closed again.

    Raises
    ------
    Exception
        Any exception if the file is damaged; ValueError if it contains objects, or anything else but images.
    """
    # np.load would also open zip archives and pickles, by their magic number; this reads .npy only.
    return to_images(np.lib.format.open_memmap(file, mode="r"), as_gray=as_gray)


def read_npz(file: Path, max_pixels: int, *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Read the images of an `.npz` archive, from the only array that can be images, or from `IMAGES`.

    Parameters
    ----------
    file : Path
        Only the headers are read to find the array; the other arrays are not decompressed.
    max_pixels : int
        Limit on its number of elements.
    as_gray : bool
        Whether to turn color images to gray.

    Returns
    -------
    images : list of ndarrays

    Raises
    ------
    Exception
        Any exception if the file is damaged; ValueError if it contains no such array, or one that is too large.
    """
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(SUFFIX)]
        array = choose_array(
            [_read_header(archive, name) for name in names],
            f"Save the array that you want: numpy.save('images.npy', numpy.load({file.name!r})['NAME'])",
        )
        check_size(array.name, [array.shape], max_pixels, "save fewer or smaller images, or save them as .npy")
        return to_images(array.read(), as_gray=as_gray)


def _read_header(archive: zipfile.ZipFile, name: str) -> StoredArray:
    """Read the type and the shape of a member."""
    with archive.open(name) as stream:
        shape, _, dtype = _header(io.BytesIO(stream.read(HEADER)))
    return StoredArray(
        name.removesuffix(SUFFIX), str(dtype), shape, dtype.kind in "buif", partial(_read_member, archive, name)
    )


def _read_member(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    with archive.open(name) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"an array of the .npy version {version}, which only structured arrays need; save plain numbers")
