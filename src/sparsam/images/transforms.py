"""Shift, rotate, scale and shear images by finite amounts."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform

from sparsam.images.tangents import TRANSFORMS, checked_image_shape

__all__ = ["FINITE_TRANSFORMS", "transform_images"]

FINITE_TRANSFORMS = TRANSFORMS[:-1]
"""All transforms except thickness, which does not move the plane."""


def transform_images(
    X: npt.ArrayLike, image_shape: tuple[int, ...], transform: str, amount: npt.ArrayLike
) -> npt.NDArray[Any]:
    """Apply a finite amount of a transform to images; `image_tangents` has the transform's tangent.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        One image per row, in C order.
    image_shape : (height, width) or (height, width, 3)
    transform : {"translate_x", "translate_y", "rotate", "scale", "shear_x", "shear_y"}
    amount : float or array-like of shape (n_samples,)
        Pixels to the right or down; radians, clockwise; ln of the factor; pixels of shift per pixel.

    Returns
    -------
    array of shape (n_samples, n_features)
        Interpolated by cubic splines, with the outermost pixels continued beyond the border, in X's floating type.

    Raises
    ------
    ValueError
        If image_shape does not multiply to n_features, or the transform is unknown.

    Examples
    --------
    >>> image = np.zeros((5, 5))
    >>> image[2, 1] = 1.0
    >>> int(transform_images([image.ravel()], (5, 5), "translate_x", 2).reshape(5, 5)[2].argmax())
    3
    """
    rows = np.asarray(X)
    rows = rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float64)
    height, width, *channels = checked_image_shape(rows, image_shape)
    if transform not in FINITE_TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}; choose from {', '.join(FINITE_TRANSFORMS)}")
    center = np.array([(height - 1) / 2, (width - 1) / 2])
    moved = np.empty((len(rows), height, width, *channels), rows.dtype)
    images = rows.reshape(moved.shape)
    for image, result, t in zip(images, moved, np.broadcast_to(amount, len(rows)), strict=True):
        matrix, shift = _inverse(transform, float(t))
        # SciPy takes the inverse map: the pixel (y, x) of the result comes from matrix (y, x) + offset.
        offset = center - matrix @ (center + shift)
        for channel in range(int(np.prod(channels))):
            plane = (..., channel) if channels else ...
            affine_transform(image[plane], matrix, offset, output=result[plane], order=3, mode="nearest")
    return moved.reshape(len(rows), -1)


def _inverse(transform: str, t: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return matrix and shift, in (y, x), of the inverse map: a point comes from matrix (point - shift)."""
    matrix, shift = np.eye(2), np.zeros(2)
    match transform:
        case "translate_x":
            shift[1] = t
        case "translate_y":
            shift[0] = t
        case "rotate":
            matrix = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
        case "scale":
            matrix *= np.exp(-t)
        case "shear_x":
            matrix[1, 0] = -t
        case "shear_y":
            matrix[0, 1] = -t
    return matrix, shift
