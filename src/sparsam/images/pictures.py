"""PNG, JPEG and TIFF to float64, through Pillow. Errors are named by the caller, loading.py."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG", "TIFF")
"""Pillow's other decoders stay out of reach of a hostile file."""

BITS_PER_SAMPLE = 258
"""Tag of TIFF."""

TOO_LARGE_REMEDY = "scale the picture down or cut it into pieces first"


def read_picture(file: Path, max_pixels: int, *, as_gray: bool) -> list[npt.NDArray[np.float64]]:
    """Decode a file: one image, or one for each page of a TIFF.

    Parameters
    ----------
    file : Path
        Its content says the format, not its suffix.
    max_pixels : int
        Limit on all pages together, checked against the headers before a page is decoded.
    as_gray : bool
        Whether to give (height, width) or (height, width, 3).

    Returns
    -------
    images : list of ndarrays
        In [0, 1] for integer pixels.

    Raises
    ------
    Exception
        Of any kind: Pillow's decoders raise many at damaged files.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    images = []
    pixels = 0
    with file.open("rb") as stream, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(stream, formats=FORMATS) as picture:
                # Only pages are images of their own; those of other formats are animations and previews.
                n_pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
                for page in range(n_pages):
                    picture.seek(page)
                    pixels += picture.width * picture.height
                    if pixels > max_pixels:
                        where = f" on the first {page + 1} pages" if page else ""
                        raise ValueError(
                            f"{pixels:,} pixels{where} ({picture.width} x {picture.height}) are more than "
                            f"{max_pixels:,}; {TOO_LARGE_REMEDY}"
                        )
                    ImageOps.exif_transpose(picture, in_place=True)
                    images.append(_to_array(picture, as_gray))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(f"{error} {TOO_LARGE_REMEDY.capitalize()}.") from error
        except UnidentifiedImageError as error:
            raise ValueError(
                "not a PNG, JPEG or TIFF picture, or one that is damaged or of a pixel type unknown to Pillow"
            ) from error
    return images


def _to_array(picture: "ImageFile", as_gray: bool) -> npt.NDArray[np.float64]:
    """Convert the decoded page, whatever its mode, to gray or color."""
    from skimage.color import rgb2gray

    mode = picture.mode
    if mode == "F":
        gray = np.array(picture, np.float64)
    elif mode.startswith("I;16") or (mode == "I" and picture.format == "PNG"):  # "I": older Pillow
        gray = np.array(picture, np.float64) / _full_scale(picture)
    elif mode == "I":
        raise ValueError("integers of 32 bits or with sign have no fixed white; save 8 or 16 bits, or .npy")
    elif mode in ("1", "L") and not picture.has_transparency_data:
        gray = np.array(picture.convert("L"), np.float64) / 255
    else:
        color = _to_color(picture)
        if not as_gray:
            return color
        gray = rgb2gray(color)
    return gray if as_gray else np.repeat(gray[:, :, np.newaxis], 3, axis=2)


def _to_color(picture: "ImageFile") -> npt.NDArray[np.float64]:
    """Convert 8-bit pixels to color, transparent ones blended onto white."""
    if not picture.has_transparency_data:
        return np.array(picture.convert("RGB"), np.float64) / 255
    rgba = np.array(picture.convert("RGBA"), np.float64) / 255
    alpha = rgba[:, :, 3:]
    return alpha * rgba[:, :, :3] + (1 - alpha)


def _full_scale(picture: "ImageFile") -> float:
    """White of an image in Pillow's 16-bit mode, which serves 12 bits in TIFF too."""
    tags = getattr(picture, "tag_v2", {})
    return float(2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1)
