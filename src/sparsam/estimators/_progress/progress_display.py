"""Base class of progress displays, and the callback that shows iterates on a display."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.state import Progress

__all__ = ["DisplayCallback", "ProgressDisplay"]


class ProgressDisplay:
    """Display of the progress of a fit; the base class shows nothing.

    Subclasses override the methods for what they show. Methods are called often, and need not draw every time.
    """

    def begin(self, text: str) -> None:
        """Show that a step begins which may take a while."""

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """Show an iterate of a training.

        Parameters
        ----------
        progress : Progress
        most : int
            Largest number of iterations.
        label : str
            Name of the training, if a fit has several.
        held_out : float or None
            Mean held-out log-likelihood.
        """

    def part(self, text: str, done: int, most: int) -> None:
        """Show the result of a training, after ``done`` of at most ``most`` trainings."""

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Show a count, and its total if that is known, at most once in ``every`` seconds."""

    def end(self) -> None:
        """Show that the fit has ended."""


@dataclass
class DisplayCallback(FitCallback):
    """Show the iterates of a training on a display.

    Attributes
    ----------
    display : ProgressDisplay
    max_iter : int
    label : str
        See `ProgressDisplay.progress`.
    held_out : callable
        Returns the last mean held-out log-likelihood, if there is one.
    """

    display: ProgressDisplay
    max_iter: int
    label: str = ""
    held_out: Callable[[], float | None] = lambda: None

    def on_sample(self, progress: Progress) -> str:
        """Show the number of iterations on a sample."""
        self.display.count("iterations on a part of the rows", progress.iteration)
        return ""

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Show the iterate."""
        self.display.progress(progress, self.max_iter, self.label, self.held_out())
        return ""
