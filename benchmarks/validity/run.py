"""Make draws, continuing where they stopped."""

from __future__ import annotations

import time

from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.validity.cells import Cell, by_name

__all__ = ["recorded", "run"]

SAVE_EVERY = 30.0  # seconds; an interruption loses at most this time, or one draw


def run(cell: Cell, records: Records, n_draws: int, revision: str | None) -> None:
    """Make the first `n_draws` draws of a cell, except those in the records."""
    done = n_recorded(records, cell)
    while done < n_draws:
        start, outcomes = time.monotonic(), []
        while done + len(outcomes) < n_draws and time.monotonic() - start < SAVE_EVERY:
            outcomes.append(cell.outcome(done + len(outcomes)))
        seconds = round(time.monotonic() - start, 1)
        key, numbers = f"{cell.name}/{done}", by_name(outcomes)
        records.add(key, section=cell.name, revision=revision, seconds=seconds, n=len(outcomes), numbers=numbers)
        done += len(outcomes)
        say(f"{cell.name}: {done} of {n_draws} draws")


def n_recorded(records: Records, cell: Cell) -> int:
    """Count the draws of a cell in the records; these are the first ones."""
    return sum(row["n"] for row in records.of(cell.name))


def recorded(records: Records, cell: Cell) -> dict[str, list[float]]:
    """Return the numbers of all draws in the records, by name."""
    rows = records.of(cell.name)
    names = rows[0]["numbers"] if rows else ()
    return {name: [value for row in rows for value in row["numbers"][name]] for name in names}
