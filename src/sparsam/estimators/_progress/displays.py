"""Showing how a fit goes: a line of text every so often, bars in a notebook, or what a program has chosen."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from sparsam.engine.training.state import Progress
from sparsam.engine.training.train import STOP_REASONS

__all__ = [
    "PASS_SECONDS",
    "Display",
    "Lines",
    "Nothing",
    "display_of",
    "progress_line",
    "shown_on",
    "summary_line",
]

LINE_SECONDS = 1.0  # between two lines of progress
PASS_SECONDS = 10.0  # between lines of a pass over rows that are read again: lines of progress say more


class Display(Protocol):
    """Where a fit shows how it goes. What is called often shows what it thinks fit."""

    def begin(self, text: str) -> None:
        """Something begins that may take a while."""

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """A training has come so far, of at most so many iterations.

        ``label`` says which of several trainings it is, ``held_out`` how likely the samples held out are.
        """

    def part(self, text: str, done: int, most: int) -> None:
        """One of several trainings has ended, with a result; so many of at most so many are done."""

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """So many are done, of so many where that is known; a line is due after so many seconds, or as usual."""

    def end(self) -> None:
        """The fit has ended."""


class Nothing:
    """Shows nothing."""

    def begin(self, text: str) -> None:
        """Show nothing."""

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """Show nothing."""

    def part(self, text: str, done: int, most: int) -> None:
        """Show nothing."""

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""


@dataclass
class Lines:
    """Lines of text: results at once, progress once a second."""

    write: Callable[[str], None]
    written: float = field(default_factory=lambda: time.monotonic())  # when the last line was, or when all began
    begun: bool = False  # just now: the first line of progress need not wait
    shown: Progress | None = None  # what the last line was about

    def _write(self, text: str, seconds: float = 0.0) -> bool:
        """Write a line, unless the last one is younger than so many seconds; whether it was written."""
        now = time.monotonic()
        if now - self.written < seconds:
            return False
        self.written, self.begun = now, False
        self.write(text)
        return True

    def begin(self, text: str) -> None:
        """Write it."""
        self._write(text)
        self.begun = True

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """Write a line at once and then every second, where there is news."""
        if progress is self.shown:
            return
        which = f"{label}   " if label else ""
        if self._write(which + progress_line(progress, held_out), 0.0 if self.begun else LINE_SECONDS):
            self.shown = progress

    def part(self, text: str, done: int, most: int) -> None:
        """Write each."""
        self._write(f"{text} ({done} of at most {most})")

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Write a line every so many seconds."""
        text = f"{done:,} {what}" if of is None else f"{done:,} of {of:,} {what}"
        self._write(text, LINE_SECONDS if every is None else every)

    def end(self) -> None:
        """Do nothing."""


def progress_line(progress: Progress, held_out: float | None = None) -> str:
    """One tidy line: iteration, J, gradient norm, the mean log-likelihood of samples held out, seconds."""
    score = "" if held_out is None else f"held out {held_out:9.6f}   "
    return (
        f"iteration {progress.iteration:5d}   J {progress.J:9.6f}   gradient {progress.gradient_norm:.1e}   "
        f"{score}{progress.seconds:.1f} s"
    )


def summary_line(estimator: Any) -> str:
    """Say why a training stopped, and where."""
    return (
        f"{STOP_REASONS[estimator.stop_reason_]} (iteration {estimator.n_iter_}, {estimator.n_evaluations_} "
        f"evaluations, J {estimator.cost_:.6f}, gradient {estimator.gradient_norm_:.1e})"
    )


_chosen: ContextVar[Display | None] = ContextVar("display of fits", default=None)


@contextmanager
def shown_on(display: Display) -> Iterator[None]:
    """Show the fits of this context on a display, whatever their ``verbose``."""
    token = _chosen.set(display)
    try:
        yield
    finally:
        _chosen.reset(token)


def display_of(verbose: int) -> Display:
    """Return where a fit is to show how it goes."""
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    if not verbose:
        return Nothing()
    if "IPython" in sys.modules:
        from sparsam.estimators._progress.bars import in_notebook, notebook_bars

        if in_notebook():
            return notebook_bars()
    return Lines(lambda text: print(text, flush=True))
