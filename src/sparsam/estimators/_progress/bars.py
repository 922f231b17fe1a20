"""Progress bars of a fit in a notebook or a terminal, drawn by rich.

rich's live display in notebooks needs ipywidgets, and is lost when the notebook is opened again. An ordinary cell
output that is updated needs no widgets, and is saved in the notebook.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich import get_console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Table

from sparsam.engine.training.state import Progress
from sparsam.estimators._progress.progress_display import ProgressDisplay

__all__ = ["Bars", "in_notebook", "notebook_bars", "table_of_bars"]

REDRAW_SECONDS = 0.2  # least time between two updates in a notebook, which are sent to the browser


def table_of_bars(**options: Any) -> Table:
    """Make a table with a row for each bar; options are those of `rich.progress.Progress`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}"),
    )
    return Table(*columns, **options)


@dataclass
class Bars(ProgressDisplay):
    """Progress bars: for a training, for the trainings of an estimate, and for rows that are read.

    Parameters
    ----------
    table : rich.progress.Progress
    redraw : callable
        Called when the table has changed, with True if it must be drawn at once.
    """

    table: Table
    redraw: Callable[[bool], None]
    bars: dict[str, TaskID] = field(default_factory=dict)

    def _show(self, name: str, description: str, done: int, most: int | None, text: str = "") -> None:
        if name not in self.bars:
            self.bars[name] = self.table.add_task(description, total=most, text=text)
        self.table.update(self.bars[name], description=description, completed=done, total=most, text=text)
        self.redraw(False)

    def begin(self, text: str) -> None:
        """Show a bar that has begun, with this description."""
        self._show("training", text, 0, None)

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """Update the bar of the training."""
        score = "" if held_out is None else f"held out {held_out:.6f}   "
        text = f"J {progress.J:.6f}   gradient {progress.gradient_norm:.1e}   {score}{progress.seconds:.1f} s"
        done = progress.iteration
        description = f"{label}   " if label else ""
        self._show("training", f"{description}iteration {done} of at most {most}", done, most, text)

    def part(self, text: str, done: int, most: int) -> None:
        """Update the bar of the trainings of an estimate."""
        self._show("parts", f"{done} of at most {most} trainings", done, most, text)

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Update the bar of a count."""
        self._show(what, f"{done:,} {what}" if of is None else f"{done:,} of {of:,} {what}", done, of)

    def end(self) -> None:
        """Fill the bars, even if the fit ended early."""
        for bar in self.bars.values():
            done = next(task.completed for task in self.table.tasks if task.id == bar)
            self.table.update(bar, total=max(done, 1), completed=max(done, 1))
        self.redraw(True)


def in_notebook() -> bool:
    """Return whether this code runs in a notebook, whose outputs can be updated."""
    return get_console().is_jupyter


def notebook_bars() -> Bars:
    """Make progress bars in the output of the current cell."""
    from IPython.display import display

    table = table_of_bars(auto_refresh=False)
    handle = display(table, display_id=True)
    drawn = -REDRAW_SECONDS

    def redraw(now: bool) -> None:
        nonlocal drawn
        if now or time.monotonic() - drawn >= REDRAW_SECONDS:
            drawn = time.monotonic()
            handle.update(table)

    return Bars(table, redraw)
