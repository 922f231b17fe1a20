"""Results of a study: measured, saved and counted as settings are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sparsam.estimators._progress.displays import Lines
from sparsam.studies.grid import Setting
from sparsam.studies.metrics import HeldOut, measured
from sparsam.studies.storage import StudyFolder
from sparsam.studies.tables import study_table, write_table

__all__ = ["Results"]

TABLE = "study.csv"
PROGRESS_INTERVAL = 10.0  # seconds between two lines about the progress of a group


@dataclass
class Results:
    """Results of a study: a row of the table for each setting that is done, in the folder too if there is one.

    Attributes
    ----------
    settings : list of Setting
    parameters : list of dict
        The first columns of the table, for each setting.
    folder : StudyFolder or None
    X : array-like
        The training data.
    unseen : HeldOut or None
    say : callable
        Called with lines about the progress.
    alone : set of int
        Numbers of the settings that are fitted by themselves: each has a line of its own.
    rows : list of dict or None
        The results, None where a setting is not done.
    """

    settings: list[Setting]
    parameters: list[dict[str, Any]]
    folder: StudyFolder | None
    X: Any
    unseen: HeldOut | None
    say: Callable[[str], None]
    alone: set[int] = field(default_factory=set)
    rows: list[dict[str, Any] | None] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = [None if self.folder is None else self.folder.read_row(n) for n in range(len(self.settings))]
        self._lines = Lines(self.say)

    @property
    def missing(self) -> list[int]:
        """Numbers of the settings that are not done."""
        return [number for number, row in enumerate(self.rows) if row is None]

    @property
    def n_done(self) -> int:
        """Number of settings that are done."""
        return len(self.rows) - len(self.missing)

    def add(self, number: int, model: Any, seconds: float) -> None:
        """Measure the fitted model of a setting; save it, and report it."""
        row = measured(model, seconds, self.X, self.unseen)
        self.rows[number] = row if self.folder is None else self.folder.write_row(number, row, model)
        if number in self.alone:
            setting = self.settings[number]
            self.say(f"{setting}, seed {setting.seed}: {model.stop_reason_}, {seconds:.1f} s")
        else:
            self._lines.count("settings are done", self.n_done, len(self.settings), every=PROGRESS_INTERVAL)

    def write(self) -> None:
        """Write the table of the settings that are done; without any, release the folder for another study."""
        if self.folder is None:
            return
        finished = [(first, row) for first, row in zip(self.parameters, self.rows, strict=True) if row is not None]
        if finished:
            write_table(study_table(*zip(*finished, strict=True)), self.folder.path / TABLE)
        else:
            self.folder.release()
