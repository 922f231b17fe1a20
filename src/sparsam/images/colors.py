"""Convert between gray and color, and blend transparent images onto white."""

from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def to_gray(image: Values) -> Values:
    """Compute the luminance 0.2125 R + 0.7154 G + 0.0721 B of a color image (height, width, 3); keep gray as it is."""
    if image.ndim == 2:
        return image
    from skimage.color import rgb2gray

    return np.asarray(rgb2gray(image), np.float64)


def to_color(image: Values) -> Values:
    """Repeat a gray image (height, width) as three equal channels; keep color as it is."""
    return image if image.ndim == 3 else np.repeat(image[:, :, np.newaxis], 3, axis=2)


def blend_onto_white(image: Values, alpha: npt.NDArray[Any], *, premultiplied: bool = False) -> Values:
    """Blend a transparent image, in [0, 1], onto white.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, 3)
    alpha : ndarray of shape (height, width)
        Opacity in [0, 1].
    premultiplied : bool, default=False
        Whether the values were multiplied by alpha already.

    Returns
    -------
    blended : ndarray of the image's shape
    """
    opacity = alpha if image.ndim == 2 else alpha[:, :, np.newaxis]
    return (image if premultiplied else opacity * image) + (1 - opacity)
