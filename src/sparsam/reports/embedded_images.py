"""Draw patches and filters as small images in the page, gray or in color."""

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

UNSCALED: dict[str, Any] = {"normalize_each": False, "normalize_all": False}


def picture_shape(n_features: int, image_shape: Any) -> Shape | None:
    """Check and return the shape of rows that are images; None if they are not images.

    Raises
    ------
    ValueError
        If `image_shape` is not a shape, or does not fit the rows.
    """
    if image_shape is None:
        return None
    shape = image_shape if isinstance(image_shape, tuple | list) else ()
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
        raise ValueError(
            f"image_shape must be (height, width), or (height, width, 3) in color; got {image_shape!r}. Leave it out "
            "for rows that are not images"
        )
    if int(np.prod(shape)) != n_features:
        raise ValueError(f"image_shape {tuple(shape)} does not fit rows of {n_features} features")
    return tuple(int(side) for side in shape)


def limits_of(X: Array) -> tuple[float, float]:
    """Return the values of black and white: 0 and 1 for data in [0, 1], otherwise the extremes of the known values."""
    known = X[np.isfinite(X)]
    low, high = float(np.min(known, initial=np.inf)), float(np.max(known, initial=-np.inf))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high if high > low else low + 1


def filter_picture(values: Array, shape: Shape) -> str:
    """Draw a filter in its own range, with its mean as mid-gray."""
    return _data_uri(filter_mosaic(values.reshape(1, *shape), border_width=0))


def patch_picture(values: Array, shape: Shape, limits: tuple[float, float]) -> str:
    """Draw a patch, with black and white at the limits."""
    return _data_uri(filter_mosaic(_scaled(values, limits).reshape(1, *shape), border_width=0, **UNSCALED))


def mosaic_picture(patches: Array, shape: Shape, limits: tuple[float, float], n_columns: int) -> str:
    """Draw patches side by side, with black and white at the limits."""
    patches = _scaled(patches, limits).reshape(-1, *shape)
    return _data_uri(filter_mosaic(patches, n_columns=n_columns, border_color="gray", **UNSCALED))


def _scaled(values: Array, limits: tuple[float, float]) -> Array:
    low, high = limits
    levels = (np.asarray(values, dtype=np.float64) - low) / (high - low)
    return np.nan_to_num(levels, nan=0.5)  # missing pixels, which a pipeline imputes, are gray


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    is_gray = bool((pixels == pixels[..., :1]).all())
    Image.fromarray(pixels[..., 0] if is_gray else pixels).save(file, format="PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
