"""Patches and filters as small pictures within the page, gray or in color."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparsam.display import filter_mosaic

__all__ = ["Shape", "filter_picture", "limits_of", "mosaic_picture", "patch_picture", "picture_shape"]

Array = NDArray[Any]
Shape = tuple[int, ...]
"""(height, width), or (height, width, 3) in color."""

AS_THEY_ARE: dict[str, Any] = {"normalize_each": False, "normalize_all": False}


def picture_shape(n_features: int, image_shape: Any) -> Shape | None:
    """Check the shape of rows that are pictures; None of rows that are none.

    Raises
    ------
    ValueError
        If the shape is none, or does not fit.
    """
    if image_shape is None:
        return None
    shape = image_shape if isinstance(image_shape, tuple | list) else ()
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
        raise ValueError(
            f"image_shape must be (height, width), or (height, width, 3) in color; got {image_shape!r}. Leave it out "
            "for rows that are no pictures"
        )
    if int(np.prod(shape)) != n_features:
        raise ValueError(f"rows of {n_features} features are no pictures of image_shape {tuple(shape)}")
    return tuple(int(side) for side in shape)


def limits_of(X: Array) -> tuple[float, float]:
    """Which values are black and white: 0 and 1 for data in there, else the extremes; what is missing says nothing."""
    known = X[np.isfinite(X)]
    low, high = float(np.min(known, initial=np.inf)), float(np.max(known, initial=-np.inf))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def filter_picture(values: Array, shape: Shape) -> str:
    """A filter in its own range, a gray of 1/2 its mean."""
    return _data_uri(filter_mosaic(values.reshape(1, *shape), border_width=0))


def patch_picture(values: Array, shape: Shape, limits: tuple[float, float]) -> str:
    """A patch, black and white at the limits."""
    return _data_uri(filter_mosaic(_scaled(values, limits).reshape(1, *shape), border_width=0, **AS_THEY_ARE))


def mosaic_picture(patches: Array, shape: Shape, limits: tuple[float, float], n_columns: int) -> str:
    """Some patches, black and white at the limits, side by side."""
    patches = _scaled(patches, limits).reshape(-1, *shape)
    return _data_uri(filter_mosaic(patches, n_columns=n_columns, border_color="gray", **AS_THEY_ARE))


def _scaled(values: Array, limits: tuple[float, float]) -> Array:
    low, high = limits
    levels = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    return np.nan_to_num(levels, nan=0.5)  # a pixel that is missing, which a pipeline imputes, is gray


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    is_gray = bool((pixels == pixels[..., :1]).all())
    Image.fromarray(pixels[..., 0] if is_gray else pixels).save(file, format="PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
