"""Read TIFF as float64: choose the pages that are images, and interpret their numbers.

loading.py adds the file name to errors.
"""

import json
import math
import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sparsam.images.colors import blend_onto_white, to_color, to_gray
from sparsam.images.pictures import open_picture, to_values
from sparsam.images.tiff_directory import Directory, read_directories, read_directory
from sparsam.images.tiff_page import (
    ALPHA,
    CMYK,
    FLOAT,
    MIN_IS_WHITE,
    PALETTE,
    PREMULTIPLIED,
    UNCOMPRESSED,
    Page,
    describe_page,
    is_image,
)
from sparsam.images.tiff_samples import read_samples

Values = npt.NDArray[np.float64]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF, in both byte orders, classic and BigTIFF."""

SAMPLES = 4
"""Maximum number of samples per pixel in a picture of the maximum size: for CMYK, or RGB and opacity."""


def read_tiff(file: Path, max_pixels: int, *, as_gray: bool) -> list[Values]:
    """Read a TIFF: an image for each page, except for overviews and masks.

    Parameters
    ----------
    file : Path
    max_pixels : int
        Limit on the pixels of all pages together, checked against their directories before they are read.
    as_gray : bool
        Whether to return (height, width) or (height, width, 3).

    Returns
    -------
    images : list of ndarrays
        Unsigned integers of 1 to 16 bits are scaled to [0, 1]; floating point is unchanged.

    Raises
    ------
    Exception
        Any exception if the file is damaged; ValueError for pixels without a defined meaning.
    """
    images = []
    pixels = 0
    picture = None
    with ExitStack() as stack:
        stream = stack.enter_context(file.open("rb"))
        places = read_directories(stream)
        for index, place in enumerate(places):
            directory = read_directory(stream, place)
            if not is_image(directory):
                continue
            page = describe_page(directory)
            n_planes = _count_planes(directory, page) if len(places) == 1 else 1
            pixels += n_planes * page.width * page.height
            _check_size(page, pixels, index + 1, max_pixels)
            for plane in range(n_planes):
                if page.needs_pillow:
                    picture = picture or stack.enter_context(open_picture(file, ("TIFF",)))
                    picture.seek(index)
                    image = to_values(picture)
                else:
                    image = _turn_upright(_to_image(directory, page, plane), page.orientation)
                images.append(to_gray(image) if as_gray else to_color(image))
    if not images:
        raise ValueError("all pages are overviews or masks of other images, which are missing")
    return images


def _check_size(page: Page, pixels: int, n_pages: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        where = f" on the first {n_pages} pages" if n_pages > 1 else ""
        raise ValueError(
            f"{pixels:,} pixels{where} ({page.width} x {page.height}) are more than {max_pixels:,}; "
            "scale the picture down or cut it into pieces first"
        )
    height, width = page.segment
    stored = math.ceil(page.height / height) * height * math.ceil(page.width / width) * width
    if stored * page.n_samples > SAMPLES * max_pixels:
        raise ValueError(
            f"{stored * page.n_samples:,} samples ({page.n_samples} per pixel, in strips or tiles of {height} x "
            f"{width}) are more than {SAMPLES * max_pixels:,}; save the picture with fewer"
        )


def _count_planes(directory: Directory, page: Page) -> int:
    """Count the images of a file with one directory: ImageJ and tifffile may describe a stack in ImageDescription.

    ImageJ: a line `images=5`. tifffile: JSON with the shape of the whole stack.
    """
    text = directory.text(270)
    found = re.match(r"ImageJ=[^\n]*\n(?:.*\n)*?images=(\d{1,9})\s*(?:\n|$)", text)
    if found:
        n_planes = int(found[1])
    elif text.startswith('{"shape": '):
        n_values = math.prod(json.loads(text)["shape"])
        n_planes = n_values // (page.height * page.width * page.n_samples)
    else:
        return 1
    if n_planes > 1 and (page.compression != UNCOMPRESSED or page.tiled or page.needs_pillow):
        raise ValueError(f"{n_planes} images are described, but there is only one; save each of them as a page")
    return max(n_planes, 1)


def _to_image(directory: Directory, page: Page, plane: int) -> Values:
    """Convert the samples of a page to gray (height, width) or color (height, width, 3)."""
    samples = read_samples(directory, page, plane)
    if page.photometric == PALETTE:
        return _read_palette(directory, page.bits)[samples[:, :, 0]]
    values = samples.astype(np.float64)
    if page.kind != FLOAT:
        values /= 2**page.bits - 1
    colors = values[:, :, : page.n_colors]
    if page.photometric == CMYK:
        return (1 - colors[:, :, :3]) * (1 - colors[:, :, 3:])
    if page.photometric == MIN_IS_WHITE:
        colors = 1 - colors
    image = colors[:, :, 0] if page.n_colors == 1 else colors
    for extra, meaning in enumerate(page.extras, start=page.n_colors):
        if meaning in (PREMULTIPLIED, ALPHA):
            return blend_onto_white(image, values[:, :, extra], premultiplied=meaning == PREMULTIPLIED)
    return np.ascontiguousarray(image)


def _read_palette(directory: Directory, bits: int) -> Values:
    """Read the colors of a palette, in [0, 1].

    The entries have 16 bits. Some programs store 8-bit colors in the upper byte, others in both bytes, so the upper
    byte is used. If no entry exceeds 8 bits, the lower byte is used.
    """
    n_colors = 2**bits
    entries = directory.numbers(320, 3 * n_colors)
    if len(entries) < 3 * n_colors:
        raise ValueError(f"the palette has {len(entries)} numbers, but {bits} bits per pixel need {3 * n_colors}")
    return np.asarray((entries if entries.max() < 256 else entries >> 8).reshape(3, n_colors).T / 255)


def _turn_upright(image: Values, orientation: int) -> Values:
    """Turn an image upright by the tag Orientation: reverse rows or columns, and swap them."""
    rows = -1 if orientation in (3, 4, 6, 7) else 1
    columns = -1 if orientation in (2, 3, 7, 8) else 1
    image = image[::rows, ::columns]
    return np.ascontiguousarray(image.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else image)
