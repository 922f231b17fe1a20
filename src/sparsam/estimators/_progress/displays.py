"""Progress displays: lines of text, bars, or a display that a program has chosen."""

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
PASS_SECONDS = 10.0  # between lines of a pass over streamed rows, which are less important than lines of progress


@dataclass
class Lines(ProgressDisplay):
    """Lines of text: results at once, progress once a second."""

    write: Callable[[str], None]
    written: float = field(default_factory=lambda: time.monotonic())  # time of the last line, or of the beginning
    begun: bool = False  # the last line was a beginning, so that the first line of progress need not wait
    shown: Progress | None = None  # progress in the last line

    def _write(self, text: str, seconds: float = 0.0) -> bool:
        """Write a line unless the last one is less than ``seconds`` old; return whether it was written."""
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
        """Write a line at once and then every second, if the iterate is new."""
        if progress is self.shown:
            return
        prefix = f"{label}   " if label else ""
        if self._write(prefix + progress_line(progress, held_out), 0.0 if self.begun else LINE_SECONDS):
            self.shown = progress

    def part(self, text: str, done: int, most: int) -> None:
        """Write each result."""
        self._write(f"{text} ({done} of at most {most})")

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Write a line every ``every`` seconds, by default each second."""
        text = f"{done:,} {what}" if of is None else f"{done:,} of {of:,} {what}"
        self._write(text, LINE_SECONDS if every is None else every)


def progress_line(progress: Progress, held_out: float | None = None) -> str:
    """Format an iterate: iteration, J, gradient norm, mean held-out log-likelihood, seconds."""
    score = "" if held_out is None else f"held out {held_out:9.6f}   "
    return (
        f"iteration {progress.iteration:5d}   J {progress.J:9.6f}   gradient {progress.gradient_norm:.1e}   "
        f"{score}{progress.seconds:.1f} s"
    )


def summary_line(estimator: Any) -> str:
    """Format the end of a fit: the stop reason, and the last iterate."""
    return (
        f"{STOP_REASONS[estimator.stop_reason_]} (iteration {estimator.n_iter_}, {estimator.n_evaluations_} "
        f"evaluations, J {estimator.loss_:.6f}, gradient {estimator.gradient_norm_:.1e})"
    )


_chosen: ContextVar[ProgressDisplay | None] = ContextVar("display of fits", default=None)


@contextmanager
def show_fits_on(display: ProgressDisplay) -> Iterator[None]:
    """Show fits in this context on the given display, whatever their ``verbose``."""
    token = _chosen.set(display)
    try:
        yield
    finally:
        _chosen.reset(token)


def choose_display(verbose: int) -> ProgressDisplay:
    """Return the display of a fit: the one chosen in this context, otherwise one by ``verbose``."""
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
