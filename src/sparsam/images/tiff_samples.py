"""Read the samples of a TIFF page: read strips or tiles, decompress them and assemble them.

LibTIFF decompresses the bytes, through Pillow. It is given a new directory that describes them as gray pixels of 8
bits, so that it decompresses as many bytes as the page has, without interpreting them.

Source: Adobe, "TIFF Revision 6.0" (1992), sections 3 to 9 and 14; Technical Note 3 (2005) for the floating predictor.
"""

import io
import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsam.images.tiff_directory import Directory, read_exactly
from sparsam.images.tiff_page import FLOAT, LOSSLESS, UNCOMPRESSED, Page

Bytes = npt.NDArray[np.uint8]

SLACK = 128
"""Bytes by which compression may lengthen a strip, in addition to doubling it."""

BLOCK = 1 << 20
"""Number of values unpacked from bits at a time."""


def read_samples(directory: Directory, page: Page, plane: int = 0) -> npt.NDArray[Any]:
    """Read the samples of a page.

    Parameters
    ----------
    directory : Directory
    page : Page
        Its description, from :func:`~.tiff_page.describe_page`.
    plane : int, default=0
        Number of the image in a stack with one directory; the images are stored one after the other, uncompressed.

    Returns
    -------
    samples : ndarray of shape (height, width, n_samples)
        Unsigned integers or floating point.

    Raises
    ------
    Exception
        Any exception if the file is damaged.
    """
    rows, columns = (math.ceil(side / part) for side, part in zip((page.height, page.width), page.segment, strict=True))
    n_planes = page.n_samples if page.separate else 1
    shift = plane * page.height * _row_bytes(page, page.width) * n_planes
    offsets, sizes = _find_segments(directory, page, rows * columns * n_planes)
    planes = []
    for k in range(n_planes):
        here = slice(k * rows * columns, (k + 1) * rows * columns)
        content = _read_segments(directory, page, offsets[here] + shift, sizes[here])
        samples = _to_numbers(content, page, directory.format.order)
        if page.tiled:
            height, width = page.segment
            tiles = samples.reshape(rows, columns, height, width, -1)
            samples = tiles.swapaxes(1, 2).reshape(rows * height, columns * width, -1)
        planes.append(samples[: page.height, : page.width])
    return np.concatenate(planes, axis=2) if page.separate else planes[0]


def _row_bytes(page: Page, width: int) -> int:
    return math.ceil(width * (1 if page.separate else page.n_samples) * page.bits / 8)


def _find_segments(directory: Directory, page: Page, n: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Read the offsets and the sizes of strips or tiles in the file."""
    offsets = directory.numbers(324 if page.tiled else 273, n)
    whole = page.segment[0] * _row_bytes(page, page.segment[1])
    counts = 325 if page.tiled else 279
    if page.compression == UNCOMPRESSED and counts not in directory.entries:
        sizes = np.full(n, whole)
    else:
        sizes = directory.numbers(counts, n)
    if min(len(offsets), len(sizes)) < n:
        raise ValueError(f"the page has {min(len(offsets), len(sizes))} strips or tiles, but its size needs {n}")
    return offsets, np.minimum(sizes, 2 * whole + SLACK)


def _read_segments(directory: Directory, page: Page, offsets: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> Bytes:
    """Read and decompress strips or tiles, one below the other."""
    width = _row_bytes(page, page.segment[1])
    height = page.segment[0] * len(offsets) if page.tiled else page.height
    if page.compression == UNCOMPRESSED:
        sizes = np.minimum(sizes, width * page.segment[0])
    pieces = [
        read_exactly(directory.stream, place, size, f"strip or tile {k + 1}")
        for k, (place, size) in enumerate(zip(offsets.tolist(), sizes.tolist(), strict=True))
    ]
    if page.compression == UNCOMPRESSED:
        content = np.frombuffer(b"".join(pieces), np.uint8)
        if len(content) < height * width:
            raise ValueError(f"the page has {len(content):,} bytes of pixels, but its size needs {height * width:,}")
        content = content[: height * width].reshape(height, width)
        return _reverse_bits(content) if page.reversed_bits else content
    if page.compression not in LOSSLESS:
        raise ValueError(f"unknown compression {page.compression}; save it without compression, or with deflate")
    if page.reversed_bits:
        pieces = [_reverse_bits(np.frombuffer(piece, np.uint8)).tobytes() for piece in pieces]
    return _decompress(pieces, page.compression, height, width, page.segment[0])


def _decompress(pieces: list[bytes], compression: int, height: int, width: int, rows_per_strip: int) -> Bytes:
    """Decompress strips by LibTIFF, with ``width`` bytes per row."""
    from PIL.TiffImagePlugin import TiffImageFile

    n, sizes = len(pieces), [len(piece) for piece in pieces]
    tags: dict[int, list[int]] = {
        256: [width],
        257: [height],
        258: [8],
        259: [compression],
        262: [1],
        273: [],  # filled in below
        277: [1],
        278: [rows_per_strip],
        279: sizes,
    }
    start = 8 + 2 + 12 * len(tags) + 4
    data = start + 8 * n  # after the lists of offsets and sizes
    if data + sum(sizes) >= 2**32:
        raise ValueError("a page has more than 4 GiB of compressed pixels; cut the picture into pieces first")
    tags[273] = np.cumsum([data, *sizes[:-1]]).tolist()
    entries, lists = b"", b""
    for tag, values in tags.items():
        listed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            lists, listed = lists + listed, struct.pack("<I", start + len(lists))
        entries += struct.pack("<HHI", tag, 4, len(values)) + listed
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + lists.ljust(8 * n, b"\0")
    with TiffImageFile(io.BytesIO(header + b"".join(pieces))) as picture:
        return np.asarray(picture)


def _reverse_bits(content: Bytes) -> Bytes:
    table = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1, bitorder="little"), axis=1)
    reversed_bits: Bytes = table[:, 0][content]
    return reversed_bits


def _to_numbers(content: Bytes, page: Page, order: str) -> npt.NDArray[Any]:
    """Convert rows of bytes to numbers: an array (rows, columns, samples)."""
    n_samples = 1 if page.separate else page.n_samples
    shape = (len(content), page.segment[1], n_samples)
    if page.predictor == 3 and page.kind == FLOAT:
        return _undo_floating_differences(content, page.bits // 8, n_samples).reshape(shape)
    if page.predictor not in (1, 2) or (page.predictor == 2 and page.bits not in (8, 16, 32, 64)):
        raise ValueError(
            f"predictor {page.predictor} with {page.bits} bits per sample is not supported; save it without a predictor"
        )
    if page.bits % 8:
        return _unpack_bits(content, page.bits, math.prod(shape[1:])).reshape(shape)
    integers = np.ascontiguousarray(content).view(f"{order}u{page.bits // 8}").reshape(shape)
    integers = integers.astype(integers.dtype.newbyteorder("="), copy=False)
    if page.predictor == 2:  # values are differences to their left neighbors, modulo the type's range
        integers = np.cumsum(integers, axis=1, dtype=integers.dtype)
    return integers.view(f"f{page.bits // 8}") if page.kind == FLOAT else integers


def _unpack_bits(content: Bytes, bits: int, n_columns: int) -> npt.NDArray[np.uint16]:
    """Unpack values of 1 to 15 bits, the most significant bit first; each row begins at a byte."""
    values = np.empty((len(content), n_columns), np.uint16)
    weights = 2 ** np.arange(bits - 1, -1, -1, dtype=np.uint16)
    step = max(1, BLOCK // n_columns)
    for start in range(0, len(content), step):
        digits = np.unpackbits(content[start : start + step], axis=1, count=n_columns * bits)
        values[start : start + step] = digits.reshape(-1, n_columns, bits) @ weights
    return values


def _undo_floating_differences(content: Bytes, n_bytes: int, n_samples: int) -> npt.NDArray[Any]:
    """Undo predictor 3: a row has all first bytes, then all second ones, ..., as differences to the byte before."""
    rows = content.reshape(len(content), -1, n_samples)
    rows = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(len(content), n_bytes, -1)
    return np.ascontiguousarray(rows.swapaxes(1, 2)).view(f">f{n_bytes}").astype(f"f{n_bytes}")
