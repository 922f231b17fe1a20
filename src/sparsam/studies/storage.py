"""Folder of a study: its definition, and a model and a table row for each setting that is done.

The row of a setting is written after its model, each atomically. So a row marks its setting as done, and a study that
is killed keeps all its results.
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
NAMES = {"data": "the data", "held_out": "the held-out data"}
FORMAT = 1


@dataclass(frozen=True)
class StudyFolder:
    """Folder of a study's results.

    Parameters
    ----------
    path : Path
        The folder; created if it does not exist.
    """

    path: Path

    def begin(self, identity: Mapping[str, Any], *, resume: bool) -> None:
        """Start a study in the folder, or resume the study there.

        Raises
        ------
        FileExistsError
            If the folder holds a study and ``resume`` is False.
        ValueError
            If it holds another study. The error names the differences.
        """
        own = json.loads(json.dumps({"format": FORMAT, **identity}))
        if (self.path / STUDY_FILE).exists():
            if not resume:
                raise FileExistsError(
                    f"the folder {self.path} holds a study: continue it with resume=True (--resume), or name another "
                    "folder"
                )
            _check_same(read_identity(self.path), own, self.path)
        (self.path / MODELS).mkdir(parents=True, exist_ok=True)
        if not (self.path / STUDY_FILE).exists():
            with atomic_write(self.path / STUDY_FILE, overwrite=False) as file:
                file.write(json.dumps(own, indent=2).encode())

    def release(self) -> None:
        """Remove the files of a study without results, such as one whose data were rejected."""
        (self.path / STUDY_FILE).unlink(missing_ok=True)
        with suppress(OSError):  # a model without its row may remain; the next study replaces it
            (self.path / MODELS).rmdir()

    def read_row(self, number: int) -> dict[str, Any] | None:
        """Read the results of a setting; None if it is not done."""
        path = self._row_file(number)
        if not path.exists():
            return None
        try:
            row = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is damaged ({error}): remove it and resume the study") from error
        return {name: math.nan if value is None else value for name, value in row.items()}

    def write_row(self, number: int, row: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """Write the results of a setting, and its model if there is one; return the row as it will be read."""
        complete = dict(row)
        if hasattr(model, "coefs_"):
            complete["model"] = f"{MODELS}/{number:04d}.safetensors"
            save(model, self.path / complete["model"], overwrite=True)  # replaces a model left without its row
        content = {name: None if _is_nan(value) else value for name, value in complete.items()}
        with atomic_write(self._row_file(number)) as file:
            file.write(json.dumps(content, indent=2, allow_nan=False).encode())
        return complete

    def _row_file(self, number: int) -> Path:
        return self.path / MODELS / f"{number:04d}.json"


def read_identity(path: Path) -> dict[str, Any]:
    """Read the definition of the study in a folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no study.
    ValueError
        If the file is damaged, or has another format.
    """
    file = path / STUDY_FILE
    if not file.is_file():
        raise FileNotFoundError(f"the folder {path} holds no study: it has no {STUDY_FILE}")
    try:
        identity = json.loads(file.read_bytes())
        if identity["format"] != FORMAT:
            raise ValueError(f"its format is {identity['format']!r}, but this version of sparsam reads {FORMAT}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    return identity


def _check_same(there: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    differences = []
    for part in sorted((here.keys() | there.keys()) - {"settings"}):  # they follow from the rest
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
            f"the folder {path} holds another study; differences: {', '.join(differences)}. Make them the same, or "
            "name another folder"
        )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))
