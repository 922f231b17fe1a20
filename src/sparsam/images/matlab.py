"""MATLAB's `.mat` files: what variables they hold, and the values of numeric ones.

SciPy's reader of version 5 files trusts the type codes in them, and a damaged one ends the whole process with
a segmentation fault. Numbers are all that is needed here, and that part of the format is small. Of cells,
structures, functions and objects only the header is looked at.

Source: MathWorks, "MAT-File Format" (version 5, which MATLAB still writes unless told otherwise).
"""

import math
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's types by the format's codes of elements (miINT8, miUINT8, ...)."""

MATRIX, COMPRESSED = 14, 15
"""Codes of the elements that stand at the top of a file, one for each variable."""

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
"""MATLAB's classes by their codes; opaque objects follow."""

HEADER = 1024
"""Bytes, more than enough, for the flags, the shape and the name of a variable."""


@dataclass(frozen=True)
class Variable:
    """A variable of which only the header has been read."""

    name: str
    kind: str
    """MATLAB's class, `logical`, or a class with the word `complex` before it."""
    shape: tuple[int, ...]
    read: Callable[[], npt.NDArray[Any]]
    """Gives the values if the class is numeric, and takes no more memory than the shape says."""

    @property
    def is_real(self) -> bool:
        """Whether it consists of plain numbers."""
        return self.kind == "logical" or self.kind in NUMERIC_CLASSES


def list_variables(file: Path) -> list[Variable]:
    """Read the headers of all variables.

    Parameters
    ----------
    file : Path
        Of version 4 to 7.2.

    Returns
    -------
    variables : list of Variable
        In the order of the file.

    Raises
    ------
    Exception
        Of any kind, where the file is damaged.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        preamble = stream.read(128)
        if b"\0" in preamble[:4]:
            return _list_version_4(file)
        order = {b"IM": "<", b"MI": ">"}.get(preamble[126:])
        if order is None:
            raise ValueError("not a MATLAB file")
        (version,) = struct.unpack(f"{order}H", preamble[124:126])
        if version != 0x0100:
            raise ValueError("MATLAB's version 7.3 (HDF5); save it again there with the option -v7")
        variables = []
        while stream.tell() < size:
            position = stream.tell()
            variables.append(_read_header(file, stream, order))
            stream.seek(position)
            _, n_bytes = struct.unpack(f"{order}II", stream.read(8))
            stream.seek(n_bytes, os.SEEK_CUR)
        return [variable for variable in variables if variable.name]  # a nameless one is MATLAB's own


def _list_version_4(file: Path) -> list[Variable]:
    """Leave the oldest version to SciPy, whose reader of it is plain Python."""
    from scipy.io import loadmat, whosmat

    def read(name: str) -> npt.NDArray[Any]:
        return np.asarray(loadmat(str(file), appendmat=False, variable_names=[name])[name])

    headers = whosmat(str(file), appendmat=False)
    return [Variable(name, kind, shape, partial(read, name)) for name, shape, kind in headers]


def _read_header(file: Path, stream: BinaryIO, order: str) -> Variable:
    """Read the header of the variable where the stream stands."""
    position = stream.tell()
    content = _read_content(stream, order, HEADER)
    _, flags, offset = _split_element(content, 0, order)
    (bits,) = struct.unpack_from(f"{order}I", flags)
    code = bits & 0xFF
    if not 0 < code < len(CLASSES):
        return Variable("?", "opaque", (), partial(np.empty, 0))
    _, dimensions, offset = _split_element(content, offset, order)
    _, name, offset = _split_element(content, offset, order)
    shape = tuple(np.frombuffer(dimensions, f"{order}i4").tolist())
    if min(shape) < 0:
        raise ValueError(f"negative size {shape}")
    kind = CLASSES[code]
    if bits & 0x800:
        kind = f"complex {kind}"
    elif bits & 0x200 and kind in NUMERIC_CLASSES:
        kind = "logical"

    def read() -> npt.NDArray[Any]:
        n_values = math.prod(shape)
        with file.open("rb") as stream:
            stream.seek(position)
            values = _read_content(stream, order, offset + 8 + 8 * n_values)
        code, data, _ = _split_element(values, offset, order)
        if code not in NUMBERS:
            raise ValueError(f"unknown type {code} of numbers")
        return np.frombuffer(data, order + NUMBERS[code], n_values).reshape(shape, order="F")

    return Variable(bytes(name).decode("utf-8", "replace"), kind, shape, read)


def _read_content(stream: BinaryIO, order: str, limit: int) -> memoryview:
    """Read the variable where the stream stands, decompressed, up to a limit in bytes."""
    code, n_bytes = struct.unpack(f"{order}II", stream.read(8))
    if code == COMPRESSED:
        # Deflate never makes data much longer, so that this many bytes hold what the limit allows.
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
    """Give the type code and the data of the element at an offset, and the offset of the next."""
    code, n_bytes = struct.unpack_from(f"{order}II", content, offset)
    if code >> 16:  # up to 4 bytes of data stand in the tag itself
        code, n_bytes = code & 0xFFFF, code >> 16
        return code, content[offset + 4 : offset + 4 + min(n_bytes, 4)], offset + 8
    start = offset + 8
    return code, content[start : start + n_bytes], start + n_bytes + -n_bytes % 8
