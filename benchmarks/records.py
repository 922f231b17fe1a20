"""Records of measured runs: a file of JSON lines, each written completely, so that interrupted benchmarks can continue.

Each record has a ``key``, by which a restarted benchmark recognizes what it has already measured.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sparsam._utils.atomic_write import atomic_write

__all__ = ["Records"]


class Records:
    """Records in a file.

    Parameters
    ----------
    path : Path
        The file. If it exists, it is read, and an incomplete last line is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        if path.exists():
            text = path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text):
                with path.open("r+b") as file:
                    file.truncate(len(whole))
            for line in whole.splitlines():
                row = json.loads(line)
                self.rows[row["key"]] = row

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    def add(self, key: str, **row: Any) -> None:
        """Add a record, and write it to disk before returning."""
        self.rows[key] = {"key": key, **row}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, (json.dumps(self.rows[key]) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def forget(self, sections: list[str]) -> None:
        """Delete the records of these sections, and those of the machine for them."""
        kept = [row for row in self.rows.values() if row["section"] not in sections and row.get("of") not in sections]
        self.rows = {row["key"]: row for row in kept}
        if self.path.exists():
            with atomic_write(self.path) as file:
                file.write("".join(json.dumps(row) + "\n" for row in kept).encode())

    def of(self, section: str) -> list[dict[str, Any]]:
        """Return the records of a section, in the order of measurement."""
        return [row for row in self.rows.values() if row.get("section") == section]
