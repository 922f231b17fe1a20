"""List the variables of MATLAB's `.mat` files, and read the values of numeric ones.

SciPy's reader of version 5 files trusts the type codes in them, and a damaged file crashes the process with a
segmentation fault. Only numbers, and cell arrays of them, are needed here, which is a small part of the format. Of
structures, functions and objects only the header is read.

Source: MathWorks, "MAT-File Format" (version 5, which MATLAB still writes by default).
"""

import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from sparsam.images.arrays import StoredArray

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's types by the format's codes of data elements (miINT8, miUINT8, ...)."""

MATRIX, COMPRESSED = 14, 15
"""Codes of the top-level elements of a file, one for each variable."""

NUMERIC_CLASSES = (
    "double",
    "single",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
)
CLASSES = ("", "cell", "struct", "object", "char", "sparse", *NUMERIC_CLASSES, "function")
"""MATLAB's classes by their codes; larger codes are opaque objects."""

HEADER = 1024
"""Bytes that are more than enough for the flags, the shape and the name of a variable."""


def list_variables(file: Path) -> list[StoredArray]:
    """Read the headers of all variables.

    Parameters
    ----------
    file : Path
        A file of version 4 to 7.2.

    Returns
    -------
    variables : list of StoredArray
        In the order of the file. The kind is MATLAB's class, `logical`, or a class prefixed by `complex`.

    Raises
    ------
    Exception
        Any exception if the file is damaged.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        preamble = stream.read(128)
        if b"\0" in preamble[:4]:
            return _list_version_4(file)
        order = {b"IM": "<", b"MI": ">"}.get(preamble[126:])
        if order is None or preamble[124:126] != struct.pack(f"{order}H", 0x0100):
            raise ValueError("not a MATLAB file")
        variables = []
        while stream.tell() < size:
            position = stream.tell()
            content = partial(_read_variable, file, position, order)
            variables.append(_describe(content(HEADER), content, order))
            stream.seek(position)
            _, n_bytes = struct.unpack(f"{order}II", stream.read(8))
            stream.seek(n_bytes, os.SEEK_CUR)
        return [variable for variable in variables if variable.name]  # a variable without a name is MATLAB's own


def _list_version_4(file: Path) -> list[StoredArray]:
    """List the variables of a version 4 file by SciPy, whose reader of this version is plain Python."""
    from scipy.io import whosmat

    headers = whosmat(str(file), appendmat=False)
    return [
        StoredArray(name, kind, shape, is_real(kind), partial(_read_version_4, file, name))
        for name, shape, kind in headers
    ]


def _read_version_4(file: Path, name: str) -> npt.NDArray[Any]:
    from scipy.io import loadmat

    return np.asarray(loadmat(str(file), appendmat=False, variable_names=[name])[name])


def is_real(kind: str) -> bool:
    """Return whether a class consists of plain numbers."""
    return kind == "logical" or kind in NUMERIC_CLASSES


Content: TypeAlias = Callable[[int], memoryview]
"""Function that returns the content of a variable, or of a cell, up to a limit in bytes."""


def _describe(header: memoryview, content: Content, order: str) -> StoredArray:
    """Read the header of a variable, or of a cell."""
    _, flags, offset = _split_element(header, 0, order)
    (bits,) = struct.unpack_from(f"{order}I", flags)
    code = bits & 0xFF
    if not 0 < code < len(CLASSES):
        return StoredArray("?", "opaque", (), False, partial(np.empty, 0))
    _, dimensions, offset = _split_element(header, offset, order)
    _, name, offset = _split_element(header, offset, order)
    shape = tuple(np.frombuffer(dimensions, f"{order}i4").tolist())
    if min(shape) < 0:
        raise ValueError(f"negative size {shape}")
    kind = CLASSES[code]
    if bits & 0x800:
        kind = f"complex {kind}"
    elif bits & 0x200 and kind in NUMERIC_CLASSES:
        kind = "logical"
    return StoredArray(
        bytes(name).decode("utf-8", "replace"),
        kind,
        shape,
        is_real(kind),
        partial(_read_numbers, content, order, shape, offset),
        partial(_read_cells, content, order, shape, offset) if kind == "cell" else None,
    )


def _read_numbers(content: Content, order: str, shape: tuple[int, ...], offset: int) -> npt.NDArray[Any]:
    n_values = math.prod(shape)
    code, data, _ = _split_element(content(offset + 8 + 8 * n_values), offset, order)
    if code not in NUMBERS:
        raise ValueError(f"unknown type {code} of numbers")
    if len(data) < n_values * np.dtype(NUMBERS[code]).itemsize:
        raise ValueError(f"the file is damaged: it contains fewer numbers than {' x '.join(map(str, shape))}")
    return np.frombuffer(data, order + NUMBERS[code], n_values).reshape(shape, order="F")


def _read_cells(content: Content, order: str, shape: tuple[int, ...], offset: int, limit: int) -> Iterator[StoredArray]:
    """Yield the headers of the cells in MATLAB's order."""
    everything = content(limit)
    for _ in range(math.prod(shape)):
        code, cell, offset = _split_element(everything, offset, order)
        if code != MATRIX:
            raise ValueError(f"unknown element {code} in a cell array")
        if len(cell):
            yield _describe(cell, partial(_first_bytes, cell), order)
        else:
            yield StoredArray("", "double", (0, 0), True, partial(np.empty, (0, 0)))  # MATLAB writes [] like this


def _first_bytes(content: memoryview, limit: int) -> memoryview:
    return content[:limit]


def _read_variable(file: Path, position: int, order: str, limit: int) -> memoryview:
    with file.open("rb") as stream:
        stream.seek(position)
        return _read_content(stream, order, limit)


def _read_content(stream: BinaryIO, order: str, limit: int) -> memoryview:
    """Read and decompress the variable at the stream's position, up to a limit in bytes."""
    code, n_bytes = struct.unpack(f"{order}II", stream.read(8))
    if code == COMPRESSED:
        # Deflate never makes data much longer, so this many bytes are enough for the limit.
        compressed = stream.read(min(n_bytes, 2 * limit + HEADER))
        content = zlib.decompressobj().decompress(compressed, limit + 8)
        code, n_bytes = struct.unpack_from(f"{order}II", content)
        content = content[8:]
    else:
        content = stream.read(min(n_bytes, limit))
    if code != MATRIX:
        raise ValueError(f"unknown element {code}")
    return memoryview(content)


def _split_element(content: memoryview, offset: int, order: str) -> tuple[int, memoryview, int]:
    """Return the type code and the data of the element at an offset, and the offset of the next."""
    code, n_bytes = struct.unpack_from(f"{order}II", content, offset)
    if code >> 16:  # up to 4 bytes of data are stored in the tag itself
        code, n_bytes = code & 0xFFFF, code >> 16
        return code, content[offset + 4 : offset + 4 + min(n_bytes, 4)], offset + 8
    start = offset + 8
    return code, content[start : start + n_bytes], start + n_bytes + -n_bytes % 8
