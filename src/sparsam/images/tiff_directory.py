"""Read the directories of a TIFF, one for each page, and the values of their tags.

They are read strictly: an offset outside of the file is an error. The package tifffile, a dependency of scikit-image,
repairs and logs damage instead, reads metadata of a dozen vendors when it opens a file, and decompresses data of any
size.

Source: Adobe, "TIFF Revision 6.0" (1992), section 2; BigTIFF (Adobe and LibTIFF, 2007).
"""

import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
"""NumPy's types by TIFF's codes; no tag that is needed here has fractions or floating point."""

NAMES = {256: "ImageWidth", 257: "ImageLength", 262: "PhotometricInterpretation", 323: "TileLength"}
"""Names of the tags that every page needs."""

LONGEST_TEXT = 100_000
"""Maximum number of bytes read from a description."""


@dataclass(frozen=True)
class Format:
    """Byte order, and the integer types in which classic TIFF and BigTIFF differ, as codes of `struct`."""

    order: str
    count: str
    """Type of the number of entries in a directory."""
    offset: str
    """Type of offsets in the file, and of numbers of values."""

    @property
    def entry(self) -> str:
        """Layout of an entry: its tag, its type, the number of its values, and the values or their offset."""
        return f"{self.order}HH{self.offset}{struct.calcsize(self.offset)}s"


def read_format(stream: BinaryIO) -> Format:
    """Read the first bytes of the file, up to the offset of the first directory."""
    start = stream.read(4)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 4:
        raise ValueError("not a TIFF")
    (version,) = struct.unpack(f"{order}H", start[2:])
    if version == 42:
        return Format(order, "H", "I")
    if version != 43 or stream.read(4) != struct.pack(f"{order}HH", 8, 0):
        raise ValueError(f"unknown TIFF version {version}")
    return Format(order, "Q", "Q")


@dataclass(frozen=True)
class Directory:
    """A page's tags; the values are read on demand."""

    stream: BinaryIO
    format: Format
    entries: dict[int, tuple[int, int, bytes]]
    """By tag, the type, the number of values, and the values or their offset."""

    def numbers(self, tag: int, at_most: int, default: tuple[int, ...] = ()) -> npt.NDArray[Any]:
        """Read the integers of a tag, no more of them than ``at_most``."""
        if tag not in self.entries:
            return np.array(default, np.int64)
        kind, count, value = self.entries[tag]
        if kind not in TYPES:
            raise ValueError(f"tag {tag} has the unknown type {kind}")
        dtype = np.dtype(self.format.order + TYPES[kind])
        if count * dtype.itemsize > len(value):
            (place,) = struct.unpack(self.format.order + self.format.offset, value)
            value = read_exactly(self.stream, place, min(count, at_most) * dtype.itemsize, f"tag {tag}")
        return np.frombuffer(value, dtype, min(count, at_most)).astype(np.int64)

    def number(self, tag: int, default: int | None = None) -> int:
        """Read the only integer of a tag, or the first."""
        found = self.numbers(tag, 1, () if default is None else (default,))
        if not len(found):
            raise ValueError(f"a page has no tag {NAMES.get(tag, tag)}: the file is damaged")
        return int(found[0])

    def text(self, tag: int) -> str:
        """Read the beginning of a text; empty if there is none."""
        return self.numbers(tag, LONGEST_TEXT).astype(np.uint8).tobytes().rstrip(b"\0").decode("latin-1")


def read_directories(stream: BinaryIO) -> list[int]:
    """Follow the chain of directories, and return their offsets. Overviews may be outside of the chain (SubIFDs)."""
    layout = read_format(stream)
    places: dict[int, None] = {}  # an ordered set
    (place,) = struct.unpack(layout.order + layout.offset, stream.read(struct.calcsize(layout.offset)))
    while place:
        if place in places:
            raise ValueError(f"page {len(places) + 1} is an earlier page: the directories form a circle")
        places[place] = None
        n_entries = _count_entries(stream, layout, place)
        stream.seek(n_entries * struct.calcsize(layout.entry), os.SEEK_CUR)
        following = stream.read(struct.calcsize(layout.offset))
        if len(following) < struct.calcsize(layout.offset):
            raise ValueError(f"the directory of page {len(places)} goes beyond the end of the file")
        (place,) = struct.unpack(layout.order + layout.offset, following)
    return list(places)


def read_directory(stream: BinaryIO, place: int) -> Directory:
    """Read the entries of a directory."""
    stream.seek(0)
    layout = read_format(stream)
    n_entries = _count_entries(stream, layout, place)
    content = read_exactly(stream, stream.tell(), n_entries * struct.calcsize(layout.entry), "a directory")
    return Directory(
        stream,
        layout,
        {tag: (kind, count, value) for tag, kind, count, value in struct.iter_unpack(layout.entry, content)},
    )


def _count_entries(stream: BinaryIO, layout: Format, place: int) -> int:
    content = read_exactly(stream, place, struct.calcsize(layout.order + layout.count), "a directory")
    return int(struct.unpack(layout.order + layout.count, content)[0])


def read_exactly(stream: BinaryIO, place: int, n_bytes: int, whose: str) -> bytes:
    """Read ``n_bytes``, or raise ValueError if the file is too short, before any memory is allocated."""
    size = stream.seek(0, os.SEEK_END)
    if place + n_bytes > size:
        raise ValueError(f"{whose} goes beyond the end of the file")
    stream.seek(place)
    return stream.read(n_bytes)
