"""Progress displays: lines of text, bars, or the display that a program has chosen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sparsam.engine.training.state import Progress
from sparsam.engine.training.stop_reasons import STOP_REASONS
from sparsam.estimators._progress.progress_display import ProgressDisplay

__all__ = [
    "PASS_SECONDS",
    "Lines",
    "choose_display",
    "progress_line",
    "show_fits_on",
    "summary_line",
]

LINE_SECONDS = 1.0  # between two lines of progress
PASS_SECONDS = 10.0  # between lines of a pass over rows that are read again: lines of progress say more


@dataclass
class Lines(ProgressDisplay):
    """Lines of text: results at once, progress once a second."""

    write: Callable[[str], None]
    written: float = field(default_factory=lambda: time.monotonic())  # when the last line was, or when all began
    begun: bool = False  # just now: the first line of progress need not wait
    shown: Progress | None = None  # in the last line

    def _write(self, text: str, seconds: float = 0.0) -> bool:
        """Write a line unless the last one is younger than so many seconds; return whether it was written."""
        now = time.monotonic()
        if now - self.written < seconds:
            return False
        self.written, self.begun = now, False
        self.write(text)
        return True

    def begin(self, text: str) -> None:
        """Write the text."""
        self._write(text)
        self.begun = True

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """Write a line at once and then every second, where there is news."""
        if progress is self.shown:
            return
        prefix = f"{label}   " if label else ""
        if self._write(prefix + progress_line(progress, held_out), 0.0 if self.begun else LINE_SECONDS):
            self.shown = progress

    def part(self, text: str, done: int, most: int) -> None:
        """Write each result."""
        self._write(f"{text} ({done} of at most {most})")

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Write a line every so many seconds."""
        text = f"{done:,} {what}" if of is None else f"{done:,} of {of:,} {what}"
        self._write(text, LINE_SECONDS if every is None else every)


def progress_line(progress: Progress, held_out: float | None = None) -> str:
    """Format an iterate: iteration, J, gradient norm, the mean log-likelihood of samples held out, seconds."""
    score = "" if held_out is None else f"held out {held_out:9.6f}   "
    return (
        f"iteration {progress.iteration:5d}   J {progress.J:9.6f}   gradient {progress.gradient_norm:.1e}   "
        f"{score}{progress.seconds:.1f} s"
    )


def summary_line(estimator: Any) -> str:
    """Format the end of a fit: why it stopped, and where."""
    return (
        f"{STOP_REASONS[estimator.stop_reason_]} (iteration {estimator.n_iter_}, {estimator.n_evaluations_} "
        f"evaluations, J {estimator.loss_:.6f}, gradient {estimator.gradient_norm_:.1e})"
    )


_chosen: ContextVar[ProgressDisplay | None] = ContextVar("display of fits", default=None)


@contextmanager
def show_fits_on(display: ProgressDisplay) -> Iterator[None]:
    """Show the fits of this context on a display, whatever their ``verbose``."""
    token = _chosen.set(display)
    try:
        yield
    finally:
        _chosen.reset(token)


def choose_display(verbose: int) -> ProgressDisplay:
    """Return the display of a fit: the chosen one of this context, else by ``verbose``."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    if not verbose:
        return ProgressDisplay()
    if "IPython" in sys.modules:
        from sparsam.estimators._progress.bars import in_notebook, notebook_bars

        if in_notebook():
            return notebook_bars()
    return Lines(lambda text: print(text, flush=True))
