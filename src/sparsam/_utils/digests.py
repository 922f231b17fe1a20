"""Checksums of arrays, and JSON of hyperparameters, to check whether data and options are the same as before."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_digest", "to_jsonable"]


def array_digest(*arrays: NDArray[Any] | None) -> int:
    """Compute a checksum of the types, shapes and bits of some arrays, in order."""
    check = 0
    for array in arrays:
        if array is None:
            continue
        check = zlib.crc32(f"{array.dtype.str} {array.shape}".encode(), check)
        if array.dtype.kind in "biufc":
            raw: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            check = zlib.crc32(raw, check)
        else:
            check = zlib.crc32("\0".join(map(str, array.ravel().tolist())).encode(), check)
    return check


def to_jsonable(value: Any) -> Any:
    """Convert a hyperparameter to a JSON value, detailed enough to compare it with another."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [to_jsonable(part) for part in value]
    if isinstance(value, Mapping):
        return [[to_jsonable(key), to_jsonable(part)] for key, part in value.items()]
    if hasattr(value, "__array__"):  # a data frame, too
        value = np.asarray(value)
        return [list(value.shape), value.dtype.str, array_digest(value)]
    return getattr(value, "__qualname__", type(value).__qualname__)
