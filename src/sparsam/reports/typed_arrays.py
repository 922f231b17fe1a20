"""Pack numbers for the page's script: typed arrays of JavaScript, in base64."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_LEVELS", "UNKNOWN_PERCENT", "pack", "percentages", "quantize"]

JAVASCRIPT_TYPES = {"u1": "Uint8", "u2": "Uint16", "u4": "Uint32", "i1": "Int8", "f4": "Float32"}
N_LEVELS = 255
UNKNOWN_PERCENT = -128


def pack(values: NDArray[Any]) -> dict[str, str]:
    """Encode an array, in C order, with the name of JavaScript's type.

    Integers that are not int8 must not be negative, and take the smallest unsigned type; floats are rounded to float32.

    Examples
    --------
    >>> pack(np.array([1, 258]))
    {'type': 'Uint16', 'data': 'AQACAQ=='}
    """
    values = np.asarray(values)
    if values.dtype.kind == "f":
        kind = "f4"
    elif values.dtype == np.int8:
        kind = "i1"
    else:
        largest = int(values.max(initial=0))
        kind = next(kind for kind in ("u1", "u2", "u4") if largest < 256 ** int(kind[1]))
    data = np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()
    return {"type": JAVASCRIPT_TYPES[kind], "data": b64encode(data).decode()}


def quantize(values: NDArray[np.floating], largest: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round values from 0 to the largest to 255 levels; 0 where the largest is 0."""
    ratios = np.divide(values, largest, out=np.zeros(np.broadcast(values, largest).shape), where=largest > 0)
    return np.rint(N_LEVELS * np.clip(ratios, 0, 1)).astype(np.uint8)


def percentages(shares: NDArray[np.floating]) -> NDArray[np.int8]:
    """Round shares to whole percents, limited to -100 and 100; -128 where a share is not finite."""
    known = np.isfinite(shares)
    return np.where(known, np.rint(100 * np.clip(np.where(known, shares, 0), -1, 1)), UNKNOWN_PERCENT).astype(np.int8)
