"""`.npy` and `.mat` arrays to lists of gray images, never through pickle. Errors are named by loading.py."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsam.images.matlab import list_variables
from sparsam.images.stacks import stack_to_list


def read_npy(file: Path) -> list[npt.NDArray[np.float64]]:
    """Read the images of an `.npy` file.

    Parameters
    ----------
    file : Path
        Mapped into memory, so that a header that promises more than the file holds allocates nothing.

    Returns
    -------
    images : list of ndarrays of shape (height, width)
        Copies; the file is closed again.

    Raises
    ------
    Exception
        Of any kind if the file is damaged; ValueError if it holds objects, or anything else but real numbers
        in 2 or 3 dimensions.
    """
    # np.load would turn to zip archives and pickles where the magic number says so; this reads .npy only.
    return _to_images(np.lib.format.open_memmap(file, mode="r"))


def read_mat(file: Path, max_pixels: int) -> list[npt.NDArray[np.float64]]:
    """Read the images of a MATLAB file up to version 7.2.

    Parameters
    ----------
    file : Path
        The variable is found by the headers alone; the others are not decoded.
    max_pixels : int
        Limit on the variable's number of elements: it may be compressed a thousandfold.

    Returns
    -------
    images : list of ndarrays of shape (height, width)
        Of the one variable that can be images, or of `IMAGES`.

    Raises
    ------
    Exception
        Of any kind if the file is damaged; ValueError if it holds no such variable, or one too large.
    """
    variables = list_variables(file)
    found = {variable.name: variable for variable in variables if variable.is_real and _can_be_images(variable.shape)}
    if len(found) != 1 and "IMAGES" not in found:
        listed = ", ".join(f"{v.name} ({v.kind} {' x '.join(map(str, v.shape))})" for v in variables)
        raise ValueError(
            f"{len(found)} variables are numbers in 2 or 3 dimensions; there must be one, or one named "
            f"IMAGES. The file holds: {listed or 'nothing'}"
        )
    variable = found["IMAGES"] if "IMAGES" in found else next(iter(found.values()))
    n_pixels = math.prod(variable.shape)
    if n_pixels > max_pixels:
        raise ValueError(
            f"{variable.name} has {n_pixels:,} pixels {variable.shape}, more than {max_pixels:,}; "
            "save fewer or smaller images, or save them as .npy"
        )
    return _to_images(variable.read())


def _can_be_images(shape: tuple[int, ...]) -> bool:
    """Whether it is 3-D, or 2-D and neither scalar nor vector."""
    return len(shape) == 3 or (len(shape) == 2 and min(shape) > 1)


def _to_images(array: npt.NDArray[Any]) -> list[npt.NDArray[np.float64]]:
    """Split and copy the array, after checking that it holds real numbers."""
    if array.dtype.kind not in "buif" or array.size == 0 or array.ndim not in (2, 3):
        raise ValueError(f"must hold real numbers in 2 or 3 dimensions, but holds {array.dtype} of shape {array.shape}")
    return [np.array(image, np.float64, order="C") for image in stack_to_list(array)]
