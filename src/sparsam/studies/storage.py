"""A study's folder: what the study is, and a model and a row of the table for each setting that is done.

A setting's row is written after its model, each whole or not at all, so that a row says that the setting is done, and
whatever ends a study leaves all that was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsam._utils.atomic_write import atomic_write
from sparsam.io.persistence import save

__all__ = ["MODELS", "STUDY_FILE", "StudyFolder", "read_identity"]

STUDY_FILE, MODELS = "study.json", "models"
NAMES = {"data": "the data", "held_out": "the data held out"}
FORMAT = 1


@dataclass(frozen=True)
class StudyFolder:
    """Where a study keeps what is done.

    Parameters
    ----------
    path : Path
        Made where it is not there.
    """

    path: Path

    def begin(self, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Take the folder for a study, or go on with it there.

        Raises
        ------
        FileExistsError
            If it holds a study, and ``resume`` is False.
        ValueError
            If it holds another study: the error names what differs.
        """
        own = json.loads(json.dumps({"format": FORMAT, **identity}))
        if (self.path / STUDY_FILE).exists():
            if not resume:
                raise FileExistsError(
                    f"the folder {self.path} holds a study: go on with it by resume=True (--resume), or name another "
                    "folder"
                )
            _check_same(read_identity(self.path), own, self.path)
        (self.path / MODELS).mkdir(parents=True, exist_ok=True)
        if not (self.path / STUDY_FILE).exists():
            with atomic_write(self.path / STUDY_FILE, overwrite=False) as file:
                file.write(json.dumps(own, indent=2).encode())

    def release(self) -> None:
        """Free the folder again of a study of which nothing is done, such as one whose data were refused."""
        (self.path / STUDY_FILE).unlink(missing_ok=True)
        with suppress(OSError):  # a model without its row may be there, which the next study replaces
            (self.path / MODELS).rmdir()

    def read_row(self, number: int) -> dict[str, Any] | None:
        """Read the measurements of a setting, None while it is not done."""
        path = self._row_file(number)
        if not path.exists():
            return None
        try:
            row = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}); remove it, and resume the study") from error
        return {name: math.nan if value is None else value for name, value in row.items()}

    def write_row(self, number: int, row: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Write the measurements of a setting, and its model, if there is one; return the row as it will be read."""
        kept = dict(row)
        if hasattr(model, "coefs_"):
            kept["model"] = f"{MODELS}/{number:04d}.safetensors"
            save(model, self.path / kept["model"], overwrite=True)  # left by a study that ended before its row
        content = {name: None if _is_nan(value) else value for name, value in kept.items()}
        with atomic_write(self._row_file(number)) as file:
            file.write(json.dumps(content, indent=2, allow_nan=False).encode())
        return kept

    def _row_file(self, number: int) -> Path:
        return self.path / MODELS / f"{number:04d}.json"


def read_identity(path: Path) -> dict[str, Any]:
    """Read what the study in a folder is.

    Raises
    ------
    FileNotFoundError
        If the folder holds none.
    ValueError
        If the file is damaged, or of another format.
    """
    file = path / STUDY_FILE
    if not file.is_file():
        raise FileNotFoundError(f"the folder {path} holds no study: there is no {STUDY_FILE} in it")
    try:
        identity = json.loads(file.read_bytes())
        if identity["format"] != FORMAT:
            raise ValueError(f"its format is {identity['format']!r}, and this version reads {FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    return identity


def _check_same(there: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    differences = []
    for part in sorted((here.keys() | there.keys()) - {"settings"}):  # those follow from the rest
        one, other = there.get(part), here.get(part)
        if isinstance(one, dict) and isinstance(other, dict):
            differences += [
                f"{name} ({one.get(name)!r} there, {other.get(name)!r} here)"
                for name in sorted(one.keys() | other.keys())
                if one.get(name) != other.get(name)
            ]
            if list(one) != list(other) and one == other:
                differences.append(f"the order of the {part} ({', '.join(one)} there, {', '.join(other)} here)")
        elif one != other:
            differences.append(NAMES.get(part) or f"{part} ({one!r} there, {other!r} here)")
    if differences:
        raise ValueError(
            f"the folder {path} holds another study; what differs: {', '.join(differences)}. Make them the same, or "
            "name another folder"
        )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
