"""Read PNG, JPEG, GIF, BMP and WebP as float64, by Pillow. loading.py adds the file name to errors."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparsam.images.colors import blend_onto_white, to_color, to_gray

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
"""Formats given to Pillow. A hostile file cannot reach its other decoders; tiff.py decides when to use that of TIFF."""

MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"})
"""Pillow's names of pixel types of 1 or 8 bits with a defined color."""

TOO_LARGE_REMEDY = "scale the picture down or cut it into pieces first"


def read_picture(file: Path, max_pixels: int, *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Decode a picture file.

    Parameters
    ----------
    file : Path
        Its content determines the format, not its suffix. For an animation the first picture is read.
    max_pixels : int
        Limit on the size in the header, checked before the picture is decoded.
    as_gray : bool
        Whether to return (height, width) or (height, width, 3).

    Returns
    -------
    images : list of one ndarray
        In [0, 1].

    Raises
    ------
    Exception
        Any exception: Pillow's decoders raise many kinds for damaged files.
    """
    with open_picture(file, FORMATS) as picture:
        pixels = picture.width * picture.height
        if pixels > max_pixels:
            raise ValueError(
                f"{pixels:,} pixels ({picture.width} x {picture.height}) are more than {max_pixels:,}; "
                f"{TOO_LARGE_REMEDY}"
            )
        image = to_values(picture)
    return [to_gray(image) if as_gray else to_color(image)]


@contextmanager
def open_picture(file: Path, formats: tuple[str, ...]) -> Iterator["ImageFile"]:
    """Open a picture in one of the formats by its header; raise ValueError if Pillow cannot, or finds it too large."""
    from PIL import Image, UnidentifiedImageError

    with file.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(stream, formats=formats) as picture:
                yield picture
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(f"{error} {TOO_LARGE_REMEDY.capitalize()}.") from error
        except UnidentifiedImageError as error:
            raise ValueError(
                "not a PNG, JPEG, TIFF, GIF, BMP or WebP picture, or one that is damaged or of a pixel type unknown to "
                "Pillow"
            ) from error


def to_values(picture: "ImageFile") -> npt.NDArray[np.float64]:
    """Decode a picture and turn it upright: gray (height, width) or color (height, width, 3), transparent on white."""
    from PIL import ImageOps

    ImageOps.exif_transpose(picture, in_place=True)
    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and picture.format == "PNG"):  # "I": older Pillow
        pixels = np.array(picture, np.float64)
        transparent = picture.info.get("transparency")  # a single gray value, or None
        return np.where(pixels == transparent, 1.0, pixels / (2**16 - 1))
    if mode not in MODES:
        raise ValueError(f"pixels of the type {mode}; convert the picture to gray or RGB first")
    if mode in ("1", "L") and not picture.has_transparency_data:
        return np.array(picture.convert("L"), np.float64) / 255
    if not picture.has_transparency_data:
        return np.array(picture.convert("RGB"), np.float64) / 255
    rgba = np.array(picture.convert("RGBA"), np.float64) / 255
    return blend_onto_white(rgba[:, :, :3], rgba[:, :, 3])
