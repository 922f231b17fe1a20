"""Patches and filters as small pictures within the page."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparsam.display import filter_mosaic

__all__ = ["filter_picture", "limits_of", "mosaic_picture", "patch_picture", "row_shape", "square_shape"]

Array = NDArray[Any]


def square_shape(n_features: int) -> tuple[int, int] | None:
    """Height and width of a square of so many pixels, if there is one."""
    side = isqrt(n_features)
    return (side, side) if side**2 == n_features else None


def row_shape(n_features: int, image_shape: Any) -> tuple[int, int]:
    """Height and width in which a row is shown: a picture, or where it is none a line of pixels.

    Raises
    ------
    ValueError
        If the shape does not fit.
    """
    if image_shape is None:
        return (1, n_features)
    if image_shape == "auto":
        return square_shape(n_features) or (1, n_features)
    if len(image_shape) != 2 or int(np.prod(image_shape)) != n_features:
        raise ValueError(f"rows of {n_features} features are no pictures of image_shape {tuple(image_shape)}")
    return (int(image_shape[0]), int(image_shape[1]))


def limits_of(X: Array) -> tuple[float, float]:
    """Which values are black and white: 0 and 1 for data in there, else the extremes; what is missing says nothing."""
    known = X[np.isfinite(X)]
    low, high = float(np.min(known, initial=np.inf)), float(np.max(known, initial=-np.inf))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def filter_picture(values: Array, shape: tuple[int, int]) -> str:
    """A filter in its own range, a gray of 1/2 its mean."""
    return _data_uri(filter_mosaic(values.reshape(1, *shape), normalize_each=True, border_width=0))


def patch_picture(values: Array, shape: tuple[int, int], limits: tuple[float, float]) -> str:
    """A patch, black and white at the limits."""
    return _data_uri(filter_mosaic(_scaled(values, limits).reshape(1, *shape), normalize_all=False, border_width=0))


def mosaic_picture(patches: Array, shape: tuple[int, int], limits: tuple[float, float], n_columns: int) -> str:
    """Some patches, black and white at the limits, side by side."""
    patches = _scaled(patches, limits).reshape(-1, *shape)
    return _data_uri(filter_mosaic(patches, normalize_all=False, n_columns=n_columns, border_color="gray"))


def _scaled(values: Array, limits: tuple[float, float]) -> Array:
    low, high = limits
    levels = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    return np.nan_to_num(levels, nan=0.5)  # a pixel that is missing, which a pipeline imputes, is gray


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, format="PNG")  # red, green and blue are alike
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
