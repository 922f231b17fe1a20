"""Who hears how a fit goes: a display, and scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.training.state import Progress
from sparsam.estimators._progress.displays import PASS_SECONDS, Display, display_of, summary_line
from sparsam.estimators._progress.sklearn_callbacks import Task

__all__ = ["Attributes", "Estimate", "Report"]

Attributes = Callable[[Progress, NDArray[np.floating]], Mapping[str, Any]]
"""Fitted attributes, of how far a training has come and of its weights."""


@dataclass(frozen=True)
class Report:
    """Reports on a fit, or on one of its trainings: a `training.train.Watch`.

    Attributes
    ----------
    display : Display
    task : Task
        Of the fit or the training.
    most : int
        Iterations.
    label : str
        Which training it is of an estimate; empty for the one that is kept.
    attributes : callable
        See `Attributes`.
    held_out : callable
        Takes an iteration, and returns the mean log-likelihood of samples held out, if it is known.
    """

    display: Display
    task: Task
    most: int
    label: str = ""
    attributes: Attributes = lambda progress, theta: {}
    held_out: Callable[[int], float | None] = lambda iteration: None

    @classmethod
    def of_fit(cls, estimator: Any, X: Any, y: Any, sample_weight: Any, *, in_parts: bool = False) -> Self:
        """Begin to report; ``in_parts`` is whether trainings for an estimate precede the one that is kept.

        Callbacks are given the data as the user gave them: so a fitted estimator takes them.
        """
        most = int(estimator.max_iter) + bool(estimator.polish)  # which is granted one if there is none left
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}  # what a score takes, too
        task = Task.of_fit(estimator, 2 if in_parts else most, {"X": X, "y": y, "metadata": metadata})
        return cls(display_of(estimator.verbose), task, most)

    def telling(self, attributes: Attributes) -> Self:
        """Tell callbacks which attributes a fitted estimator would have."""
        return replace(self, attributes=attributes)

    def scored(self, held_out: Callable[[int], float | None]) -> Self:
        """Show the score of what is held out."""
        return replace(self, held_out=held_out)

    def begin(self, text: str) -> None:
        """Show that something begins; of an estimate that has been said."""
        if not self.label:
            self.display.begin(text)

    def checked(self, n_rows: int) -> None:
        """Show how many rows have been read for the first time."""
        self.display.count("rows read and checked", n_rows)

    def passed(self, n_rows: int, of: int | None) -> None:
        """Show how far a pass over rows has come; of how many the first one does not know."""
        self.display.count("rows of a pass", n_rows, of, every=PASS_SECONDS)

    def __call__(self, progress: Progress, theta: NDArray[np.floating]) -> bool:
        """Tell how far a training has come; whether a callback asks to stop."""
        self.display.progress(progress, self.most, self.label, self.held_out(progress.iteration))
        return self.task.advance(progress.iteration, lambda: self.attributes(progress, theta))

    @contextmanager
    def training(self, label: str = "") -> Iterator[Self]:
        """Report on a training that is a part of this."""
        task = self.task.part(label or "training", self.most)
        yield replace(self, task=task, label=label)
        task.end()

    @contextmanager
    def estimate(self, what: str, most: int) -> Iterator[Estimate]:
        """Report on at most so many trainings for an estimate."""
        self.display.begin(f"estimating {what} by labels held out, in at most {most} trainings")
        task = self.task.part(f"estimate {what}", most)
        yield Estimate(replace(self, task=task), most)
        task.end()

    def end(self) -> None:
        """The estimator is fitted."""
        estimator = self.task.estimator
        self.display.end()
        if estimator.verbose:
            print(summary_line(estimator), flush=True)
        self.task.end({})


@dataclass
class Estimate:
    """Reports on trainings for an estimate.

    Attributes
    ----------
    report : Report
    most : int
        Trainings, at most.
    done : int
        Trainings.
    """

    report: Report
    most: int
    done: int = 0

    @contextmanager
    def training(self, label: str) -> Iterator[Report]:
        """Report on one of them."""
        with self.report.training(label) as report:
            yield report
        self.done += 1

    def found(self, label: str, likelihood: float) -> None:
        """Show what one or several of them came to."""
        text = f"{label}: held-out log-likelihood {likelihood:.4f}"
        self.report.display.part(text, self.done, self.most)
