"""Tangents of images: derivatives as an image is shifted, rotated, scaled, sheared or thickened."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

__all__ = ["TRANSFORMS", "checked_image_shape", "image_tangents", "smoothed", "velocity"]

Array = npt.NDArray[Any]

TRANSFORMS = ("translate_x", "translate_y", "rotate", "scale", "shear_x", "shear_y", "thickness")
"""The transforms that have tangents: six affine maps of the plane, and the thickness of strokes."""

TRUNCATE = 6.0  # standard deviations at which the Gaussian is cut off, where it is 1e-8
BLOCK = 256  # images differentiated at a time


def image_tangents(
    X: npt.ArrayLike,
    image_shape: tuple[int, ...],
    transforms: Sequence[str] = TRANSFORMS,
    *,
    smoothing: float = 0.6,
) -> Array:
    """Differentiate images with respect to the parameters of transforms, at the identity.

    An image is regarded as a smooth function on the plane, in which each pixel F_ij is the height of a Gaussian ::

        f(x, y) = sum_ij F_ij g(x - j) g(y - i)

    with the outermost pixels continued beyond the border. A transform moves the image's points with a velocity (u, v)
    at (x, y), relative to the center, x to the right and y down, so that the image at a fixed point changes by
    -(u df/dx + v df/dy) ::

        translate_x   (1, 0)     pixels          shear_x   (y, 0)    pixels of shift per pixel
        translate_y   (0, 1)     pixels          shear_y   (0, x)
        rotate        (-y, x)    radians, clockwise as y goes down
        scale         (x, y)     ln of the factor

    ``thickness`` moves every edge outwards along its normal, with the slope of f there as its velocity: f grows by
    |grad f|^2, so that bright strokes become thicker and dark ones thinner (Simard et al., section 2.4).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        One image per row, in C order.
    image_shape : (height, width) or (height, width, 3)
        For color images each channel is transformed in the same way; thickness uses the edges of each channel.
    transforms : sequence of str, default all of `TRANSFORMS`
    smoothing : float, default 0.6
        Standard deviation of g in pixels; smaller details are smoothed away. Much below 0.6, f itself has steps at the
        pixels (the slope of a ramp is 2 % too small with 0.6, 14 % with 0.5, 0.02 % with 0.8).

    Returns
    -------
    array of shape (n_samples, n_transforms, n_features)
        For ``fit(..., tangents=)`` of a network; the function itself, with `functools.partial`, can be its parameter
        ``tangents``. In X's floating type; float64 for integers.

    Raises
    ------
    ValueError
        If image_shape does not multiply to n_features, transforms is empty or contains an unknown name, or smoothing is
        not positive.

    References
    ----------
    P. Simard, Y. LeCun, J. Denker & B. Victorri, "Transformation invariance in pattern recognition: tangent distance
    and tangent propagation", in *Neural Networks: Tricks of the Trade*, 1998.

    Examples
    --------
    >>> ramp = np.tile(np.arange(15.0), (5, 1))             # brighter to the right
    >>> right, down = image_tangents([ramp.ravel()], (5, 15), ("translate_x", "translate_y"))[0].reshape(2, 5, 15)
    >>> right[2, 6:9].round(1).tolist()                     # a shift to the right makes every pixel darker
    [-1.0, -1.0, -1.0]
    >>> bool(np.abs(down).max() < 1e-12)
    True
    """
    rows = np.asarray(X)
    rows = rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float64)
    height, width, *channels = checked_image_shape(rows, image_shape)
    names = _checked_transforms(transforms)
    if not 0 < smoothing < np.inf:
        raise ValueError(f"smoothing must be positive and finite, got {smoothing!r}")
    images = rows.reshape(len(rows), height, width, *channels)
    x = (np.arange(width) - (width - 1) / 2).reshape(1, width, *[1] * len(channels))
    y = (np.arange(height) - (height - 1) / 2).reshape(height, 1, *[1] * len(channels))
    tangents = np.empty((len(rows), len(names), *images.shape[1:]), rows.dtype)
    for start in range(0, len(rows), BLOCK):
        block = images[start : start + BLOCK]
        by_x, by_y = smoothed(block, smoothing, (0, 1)), smoothed(block, smoothing, (1, 0))
        for k, name in enumerate(names):
            if name == "thickness":
                tangents[start : start + BLOCK, k] = by_x**2 + by_y**2
            else:
                u, v = velocity(name, x, y)
                tangents[start : start + BLOCK, k] = -(u * by_x + v * by_y)
    return tangents.reshape(len(rows), len(names), -1)


def velocity(transform: str, x: Array, y: Array) -> tuple[Array | float, Array | float]:
    """Compute the velocity (u, v) of an affine transform at the points (x, y), relative to the center."""
    fields: dict[str, tuple[Array | float, Array | float]] = {
        "translate_x": (1.0, 0.0),
        "translate_y": (0.0, 1.0),
        "rotate": (-y, x),
        "scale": (x, y),
        "shear_x": (y, 0.0),
        "shear_y": (0.0, x),
    }
    return fields[transform]


def smoothed(images: Array, smoothing: float, order: tuple[int, int] = (0, 0)) -> Array:
    """Compute f, or its derivative of some order in (y, x), at the pixels of images (n_images, height, width, ...)."""
    for axis, derivative in enumerate(order, start=1):
        images = gaussian_filter1d(
            images, smoothing, axis=axis, order=derivative, mode="nearest", truncate=TRUNCATE, output=images.dtype
        )
    return images


def checked_image_shape(rows: Array, image_shape: Any) -> tuple[int, ...]:
    """Return image_shape as integers that multiply to the features of rows."""
    try:
        shape = tuple(int(size) for size in image_shape)
    except (TypeError, ValueError):
        raise TypeError(f"image_shape must be (height, width) or (height, width, 3), got {image_shape!r}") from None
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(f"image_shape must be (height, width) or (height, width, 3), got {image_shape!r}")
    if rows.ndim != 2:
        raise ValueError(f"X must have one image per row, (n_samples, n_features), got an array of shape {rows.shape}")
    if int(np.prod(shape)) != rows.shape[1]:
        raise ValueError(
            f"image_shape = {shape} makes {int(np.prod(shape))} pixels, but X has {rows.shape[1]} features"
        )
    return shape


def _checked_transforms(transforms: Any) -> tuple[str, ...]:
    names = (transforms,) if isinstance(transforms, str) else tuple(transforms)
    if not names:
        raise ValueError(f"transforms is empty: name at least one of {', '.join(TRANSFORMS)}")
    for name in names:
        if name not in TRANSFORMS:
            raise ValueError(f"unknown transform {name!r}; choose from {', '.join(TRANSFORMS)}")
    return names
