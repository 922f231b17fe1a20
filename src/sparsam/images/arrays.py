"""Choose the array of images in a file, and convert it to a list of images."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsam.images.colors import to_gray
from sparsam.images.stacks import color_stack_axes, stack_to_list

PREFERRED = "IMAGES"
"""Name of the array in the CS294A notes."""


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, of which only the header has been read."""

    name: str
    kind: str
    """Its type, for messages that list the contents of a file."""
    shape: tuple[int, ...]
    is_real: bool
    """Whether it consists of plain numbers."""
    read: Callable[[], npt.NDArray[Any]]
    """Reads the values of real numbers, with no more memory than the shape needs."""
    read_cells: "Callable[[int], Iterator[StoredArray]] | None" = None
    """Reads the elements of a MATLAB cell array, given a limit in bytes; None for other arrays."""

    def __str__(self) -> str:
        """Return name, type and shape."""
        return f"{self.name} ({self.kind} {' x '.join(map(str, self.shape)) or 'scalar'})"


def choose_array(arrays: Sequence[StoredArray], cure: str) -> StoredArray:
    """Choose the array of images: the only one that can be images, or `IMAGES`.

    Parameters
    ----------
    arrays : sequence of StoredArray
        All arrays of the file.
    cure : str
        Advice for the error message if there is no such array, or more than one.

    Returns
    -------
    array : StoredArray
    """
    found = [array for array in arrays if array.is_real and _can_be_images(array.shape)]
    preferred = [array for array in found if array.name == PREFERRED]
    if len(found) != 1 and not preferred:
        listed = ", ".join(map(str, arrays)) or "nothing"
        raise ValueError(
            f"{len(found)} variables are images or stacks of them; there must be one, or one named {PREFERRED}. "
            f"The file holds: {listed}. {cure}"
        )
    return preferred[0] if preferred else found[0]


def check_size(name: str, shapes: Sequence[tuple[int, ...]], max_pixels: int, cure: str) -> None:
    """Raise ValueError if the shapes in the headers exceed the limit: data may expand by a factor of a thousand."""
    pixels = sum(map(math.prod, shapes))
    if pixels > max_pixels:
        shape = f" {shapes[0]}" if len(shapes) == 1 else ""
        raise ValueError(f"{name} has {pixels:,} pixels{shape}, more than {max_pixels:,}; {cure}")


def to_images(array: npt.NDArray[Any], *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Check that a stack contains real numbers, and copy it into a list of images, without changing values.

    Parameters
    ----------
    array : ndarray
        A stack; see :func:`~.stacks.stack_to_list`.
    as_gray : bool
        Whether to turn color images to gray.

    Returns
    -------
    images : list of ndarrays of shape (height, width) or (height, width, 3), float64
    """
    if array.dtype.kind not in "buif" or array.size == 0 or array.ndim not in (2, 3, 4):
        raise ValueError(f"must hold real numbers in 2 to 4 dimensions, but holds {array.dtype} of shape {array.shape}")
    images = [np.array(image, np.float64, order="C") for image in stack_to_list(array)]
    return [to_gray(image) for image in images] if as_gray else images


def _can_be_images(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is 3-D, or 4-D with channels, or 2-D and neither scalar nor vector."""
    if len(shape) == 4:
        return color_stack_axes(shape) is not None
    return len(shape) == 3 or (len(shape) == 2 and min(shape) > 1)
