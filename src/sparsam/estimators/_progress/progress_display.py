"""The display of the progress of a fit, and the callback that shows iterates on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.state import Progress

__all__ = ["DisplayCallback", "ProgressDisplay"]


class ProgressDisplay:
    """Display of the progress of a fit; this one shows nothing.

    Subclasses override what they show. Methods are called often, and choose when to draw.
    """

    def begin(self, text: str) -> None:
        """Show that something begins which may take a while."""

    def progress(self, progress: Progress, most: int, label: str = "", held_out: float | None = None) -> None:
        """Show an iterate of a training.

        Parameters
        ----------
        progress : Progress
        most : int
            Most iterations.
        label : str
            Name of the training, where a fit has several.
        held_out : float or None
            Mean log-likelihood of the samples held out.
        """

    def part(self, text: str, done: int, most: int) -> None:
        """Show the result of one of several trainings, of which ``done`` of at most ``most`` are done."""

    def count(self, what: str, done: int, of: int | None = None, every: float | None = None) -> None:
        """Show how many are done, of how many where that is known, at most once in ``every`` seconds."""

    def end(self) -> None:
        """Show that the fit has ended."""


@dataclass
class DisplayCallback(FitCallback):
    """Shows the iterates of a training on a display.

    Attributes
    ----------
    display : ProgressDisplay
    max_iter : int
    label : str
        See `ProgressDisplay.progress`.
    held_out : callable
        Returns the last mean log-likelihood of samples held out, if there is one.
    """

    display: ProgressDisplay
    max_iter: int
    label: str = ""
    held_out: Callable[[], float | None] = lambda: None

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Show the iterate."""
        self.display.progress(progress, self.max_iter, self.label, self.held_out())
        return ""
