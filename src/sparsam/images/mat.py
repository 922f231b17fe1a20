"""Read MATLAB's `.mat` files as lists of images. loading.py adds the file name to errors."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparsam.images.arrays import PREFERRED, StoredArray, check_size, choose_array, to_images
from sparsam.images.colors import to_gray
from sparsam.images.matlab import list_variables

CURE = "Save only the variable that you want: save('images.mat', 'NAME', '-v7')"
TOO_LARGE_CURE = "save fewer or smaller images, or save them as .npy"
MAX_CELLS = 1_000_000

HDF5 = b"\x89HDF\r\n\x1a\n"
VERSION_7_3 = (b"\x00\x02IM", b"\x02\x00MI")
OCTAVE = (b"# Created by Octave", b"Octave-1-")
"""First bytes of Octave's own formats, text and binary."""


def read_mat(file: Path, max_pixels: int, *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Read the images of a MATLAB file.

    Parameters
    ----------
    file : Path
        Only the headers are read to find the variable; the others are not decoded.
    max_pixels : int
        Limit on the variable's number of elements, since it may be compressed by a factor of a thousand.
    as_gray : bool
        Whether to turn color images to gray.

    Returns
    -------
    images : list of ndarrays
        From the only variable that can be images (an array of numbers, or a cell array of images), or from `IMAGES`.

    Raises
    ------
    Exception
        Any exception if the file is damaged; ValueError if it contains no such variable, or one that is too large.
    """
    variables = _list_any_version(file)
    cells = [variable for variable in variables if variable.read_cells is not None]
    if cells and (len(variables) == 1 or cells[0].name == PREFERRED):
        return _read_cell_array(cells[0], max_pixels, as_gray)
    variable = choose_array(variables, CURE)
    check_size(variable.name, [variable.shape], max_pixels, TOO_LARGE_CURE)
    return to_images(variable.read(), as_gray=as_gray)


def _list_any_version(file: Path) -> list[StoredArray]:
    """Read the headers of all variables, in any version of the format."""
    with file.open("rb") as stream:
        start = stream.read(520)
    if start.startswith(OCTAVE):
        raise ValueError("it has Octave's own format; save it again in Octave by: save -v7 images.mat NAME")
    if HDF5 in (start[:8], start[512:]) or start[124:128] in VERSION_7_3:
        from sparsam.images.matlab_hdf5 import list_variables as list_hdf5_variables

        return list_hdf5_variables(file)
    return list_variables(file)


def _read_cell_array(variable: StoredArray, max_pixels: int, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Read a cell array with an image in each cell, gray (height, width) or color (height, width, 3)."""
    assert variable.read_cells is not None
    n_cells = math.prod(variable.shape)
    if not 0 < n_cells <= MAX_CELLS:
        raise ValueError(f"{variable} has {n_cells:,} cells; between 1 and {MAX_CELLS:,} are read. {CURE}")
    cells: list[StoredArray] = []
    for cell in variable.read_cells(8 * max_pixels + 1024 * n_cells):
        is_image = len(cell.shape) == 2 or (len(cell.shape) == 3 and cell.shape[2] == 3)
        if not cell.is_real or not is_image or 0 in cell.shape:
            sizes = " x ".join(map(str, cell.shape))
            raise ValueError(
                f"{variable}: cell {len(cells) + 1} is {cell.kind} {sizes}; all cells must be images, numbers of "
                "height x width or height x width x 3"
            )
        cells.append(cell)
    check_size(variable.name, [cell.shape for cell in cells], max_pixels, TOO_LARGE_CURE)
    images = [np.array(cell.read(), np.float64, order="C") for cell in cells]
    return [to_gray(image) for image in images] if as_gray else images
