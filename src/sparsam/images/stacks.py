"""Convert the images that a caller passes, a sequence of pictures or a stack in one array, to a list."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[Any]
"""One picture: gray (height, width) or color (height, width, 3)."""

Images: TypeAlias = npt.NDArray[Any] | Iterable[npt.ArrayLike] | Mapping[str, npt.ArrayLike]
"""Several pictures: a stack (:func:`stack_to_list`), any iterable, or a mapping of names, used in errors, to them."""


def stack_axis(shape: tuple[int, ...]) -> int:
    """Guess along which axis of a 3-D array its gray images are stacked: 0 or 2.

    1. Square images are recognized: in ``(n, s, s)`` it is the first axis, in ``(s, s, n)`` the last.
    2. Otherwise the number of images is taken to be less than their height and width: the first axis if it is the
       smallest of the three; the last if that is the smallest, or if the case is ambiguous (a cube, for example).

    If this guess is wrong, reorder the axes with :func:`numpy.moveaxis`, or pass a list of images.

    Parameters
    ----------
    shape : tuple of three ints
        Shape of the array.

    Returns
    -------
    axis : int
        0 or 2.

    Examples
    --------
    >>> from sparsam.images.stacks import stack_axis
    >>> stack_axis((512, 512, 10)), stack_axis((10, 480, 640)), stack_axis((60000, 28, 28))
    (2, 0, 0)
    >>> stack_axis((8, 8, 8))
    2
    """
    first, middle, last = shape
    if middle == last != first:
        return 0
    if first == middle != last:
        return 2
    return 0 if first < min(middle, last) else 2


def color_stack_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Guess along which axis of a 4-D array its images are stacked, and along which their channels.

    NumPy's convention is (n, height, width, channels), MATLAB's (height, width, channels, n), with 3 channels or 1. If
    both fit, choose the one whose images have the longer shorter side, since images are not narrow strips; if these are
    equal, NumPy's.

    Parameters
    ----------
    shape : tuple of four ints
        Shape of the array.

    Returns
    -------
    axes : pair of ints, or None
        The axes of the images and of the channels; None if no axis in these places has length 1 or 3.

    Examples
    --------
    >>> from sparsam.images.stacks import color_stack_axes
    >>> color_stack_axes((100, 32, 32, 3)), color_stack_axes((32, 32, 3, 100)), color_stack_axes((28, 28, 1, 3))
    ((0, 3), (3, 2), (3, 2))
    >>> color_stack_axes((100, 3, 32, 32))
    """
    layouts = {axes: shape[axes[1] - 2 : axes[1]] for axes in ((0, 3), (3, 2)) if shape[axes[1]] in (1, 3)}
    return max(layouts, key=lambda axes: min(layouts[axes]), default=None)


def stack_to_list(stack: npt.NDArray[Any]) -> list[Image]:
    """Split an array into a list of images, as views, by the rules of :func:`stack_axis` and :func:`color_stack_axes`.

    Parameters
    ----------
    stack : ndarray
        Gray images: (height, width), (n, height, width) or (height, width, n). Color images, or gray ones with a
        channel axis of length 1: (n, height, width, 3) or (height, width, 3, n). A single image is a stack of one. An
        array of 3 dimensions is always a stack of gray images, even if it could be one color image; pass a single color
        image in a list.

    Returns
    -------
    images : list of ndarrays of shape (height, width) or (height, width, 3)
        Views, which share the stack's memory.

    Raises
    ------
    ValueError
        If `stack` has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.images.stacks import stack_to_list
    >>> len(stack_to_list(np.zeros((32, 48, 5))))
    5
    """
    match stack.ndim:
        case 2:
            return [stack]
        case 3:
            return list(np.moveaxis(stack, stack_axis(stack.shape), 0))
        case 4:
            axes = color_stack_axes(stack.shape)
            if axes is not None:
                images = np.moveaxis(stack, axes, (0, 3))
                return list(images[..., 0] if images.shape[3] == 1 else images)
    raise ValueError(
        "a stack of images must have the shape (height, width), (n, height, width), (height, width, n), "
        f"(n, height, width, 3) or (height, width, 3, n), got {stack.shape}; bring it into one of these by "
        "numpy.moveaxis"
    )


def as_image_list(images: Images) -> list[Image]:
    """Check images that a caller passes, and return them as a list.

    Parameters
    ----------
    images : ndarray, iterable of array-likes, or mapping of names to them
        An array is a stack, see :func:`stack_to_list`. The elements of anything else are the images:
        (height, width) or (height, width, 3), each of its own size.

    Returns
    -------
    images : list of ndarrays
        Copies only where necessary, without a change of type.

    Raises
    ------
    ValueError
        If there is no image, or one is empty, not numeric, or of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.images.stacks import as_image_list
    >>> [image.shape for image in as_image_list([np.zeros((4, 6)), np.zeros((5, 5, 3))])]
    [(4, 6), (5, 5, 3)]
    """
    if hasattr(images, "ndim"):  # an array: NumPy's, JAX's, ...
        pictures = stack_to_list(np.asarray(images))
    else:
        pictures = [np.asarray(image) for image in (images.values() if isinstance(images, Mapping) else images)]
    if not pictures:
        raise ValueError("images is empty; pass at least one image")
    for name, picture in zip(image_names(images, len(pictures)), pictures, strict=True):
        is_image = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
        if not is_image or picture.size == 0 or picture.dtype.kind not in "buif":
            raise ValueError(
                f"{name} must be real numbers of shape (height, width) or (height, width, 3), "
                f"got {picture.dtype} of shape {picture.shape}"
            )
    return pictures


def image_names(images: Images, n_images: int) -> list[str]:
    """Make names of images for error messages: the keys of a mapping, otherwise `images[0]`, `images[1]`, ...

    Parameters
    ----------
    images : ndarray, iterable or mapping
        As the caller passed it.
    n_images : int
        Number of images.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from sparsam.images.stacks import image_names
    >>> image_names({"holiday.png": [[0.0]]}, 1), image_names([[[0.0]]], 1)
    (['holiday.png'], ['images[0]'])
    """
    if isinstance(images, Mapping):
        return [str(name) for name in images]
    return [f"images[{index}]" for index in range(n_images)]


def floating_dtype(image: Image) -> np.dtype[Any]:
    """Return the type to compute in: the image's own if it is floating, float64 for integers and booleans.

    Parameters
    ----------
    image : ndarray
        Only its type is used.

    Returns
    -------
    dtype : numpy.dtype
        A floating type.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.images.stacks import floating_dtype
    >>> floating_dtype(np.zeros(1, np.float32)).name, floating_dtype(np.zeros(1, np.uint8)).name
    ('float32', 'float64')
    """
    return image.dtype if image.dtype.kind == "f" else np.dtype(np.float64)
