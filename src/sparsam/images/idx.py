"""Read MNIST's `idx` files, compressed by gzip or not, as lists of images. loading.py adds the file name to errors.

Source: Y. LeCun, "The MNIST database of handwritten digits", file formats.
"""

import gzip
import math
import re
import struct
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from sparsam.images.arrays import check_size, to_images

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

NAME = re.compile(r"(.*\.idx|.*idx\d-[a-z]+)(\.gz)?", re.IGNORECASE)
"""Names of idx files."""

LABELS = "idx1-"
"""Part of the names of files that contain labels."""


def read_idx(file: Path, max_pixels: int, *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Read the images of an `idx` file.

    Parameters
    ----------
    file : Path
        Compressed if its name ends in `.gz`.
    max_pixels : int
        Limit on the number of elements of a compressed file.
    as_gray : bool
        Whether to turn color images to gray.

    Returns
    -------
    images : list of ndarrays
        The values are unchanged: MNIST's are 0 to 255.

    Raises
    ------
    Exception
        Any exception if the file is damaged; ValueError if it contains labels, or anything else but images.
    """
    if file.suffix.lower() == ".gz":
        with gzip.open(file) as stream:
            shape, dtype = _read_header(stream)
            check_size("the array", [shape], max_pixels, "unpack the file first (gunzip)")
            content = stream.read(math.prod(shape) * dtype.itemsize)
        array = np.frombuffer(content, dtype).reshape(shape)
    else:
        with file.open("rb") as stream:
            shape, dtype = _read_header(stream)
            start = stream.tell()
        array = np.memmap(file, dtype, "r", start, shape)  # allocates no more memory than the file has bytes
    return to_images(array, as_gray=as_gray)


def _read_header(stream: IO[bytes] | gzip.GzipFile) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Read the shape and the type of the numbers after the header."""
    zero, code, n_dimensions = struct.unpack(">HBB", stream.read(4))
    if zero or code not in TYPES:
        raise ValueError("not an idx file, such as MNIST's")
    shape = struct.unpack(f">{n_dimensions}I", stream.read(4 * n_dimensions))
    if n_dimensions < 2:
        raise ValueError(f"an idx file of {n_dimensions} dimensions {shape} holds labels, not images")
    return shape, np.dtype(TYPES[code])
