"""Arrays and a JSON header in one safetensors file, with a digest of both that reveals edits and damage.

Model files and checkpoints share this format; each stores its header under its own key. Reading executes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

__all__ = ["Arrays", "checksummed", "read_checksummed"]

Arrays = dict[str, NDArray[Any]]


def checksummed(key: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Serialize a header and arrays, with a digest of both.

    Parameters
    ----------
    key : str
        Name of the header, which identifies the kind of file.
    header : dict
        JSON values, with an integer under ``format``.
    arrays : dict of str to array
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    whole = {**header, "digest": _digest(header, arrays)}
    return safetensors.numpy.save(arrays, metadata={key: json.dumps(whole)})


def read_checksummed(path: Path, key: str, file_format: int, *, if_older: str) -> tuple[dict[str, Any], Arrays]:
    """Read a file that `checksummed` made; return its header, without the digest, and its arrays.

    Parameters
    ----------
    path : path
    key : str
        Name of the header.
    file_format : int
        The format that this version can read.
    if_older : str
        Advice for a file of an older format; it ends the error message.

    Raises
    ------
    ValueError
        If the file is damaged, edited, of another origin, or of another format.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if key not in metadata:
                raise ValueError("it is a safetensors file, but sparsam did not write it")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"it is not a safetensors file, or it is truncated ({error})") from error
    try:
        header = json.loads(metadata[key])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it was edited or damaged after it was saved ({error})") from error
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    _check_format(header.get("format"), file_format, if_older)
    if header.pop("digest", None) != _digest(header, arrays):
        raise ValueError("it was edited or damaged after it was saved (the digest does not match)")
    return header, arrays


def _check_format(found: Any, readable: int, if_older: str) -> None:
    """Raise ValueError unless this version can read the format."""
    if type(found) is not int:
        raise ValueError(f"its format is {found!r}, not an integer: it was edited or damaged after it was saved")
    if found < readable:
        raise ValueError(
            f"an older version of sparsam wrote it (its format is {found}, this version reads {readable}): {if_older}"
        )
    if found > readable:
        raise ValueError(f"its format is {found}, but this version of sparsam reads {readable}: update sparsam")


def _digest(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Compute SHA-256 of the header (without the digest) and of each array with its name, type and shape."""
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
