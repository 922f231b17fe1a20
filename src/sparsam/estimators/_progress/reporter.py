"""Progress reporting of a fit: to a display, and to scikit-learn's callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

from sparsam.engine.training.callbacks import FitCallback
from sparsam.estimators._progress.displays import PASS_SECONDS, choose_display, summary_line
from sparsam.estimators._progress.progress_display import DisplayCallback, ProgressDisplay
from sparsam.estimators._progress.sklearn_callbacks import AttributesAt, SklearnTask

__all__ = ["FitReporter"]


@dataclass(frozen=True)
class FitReporter:
    """Reporter of a fit, or of one of its trainings.

    Attributes
    ----------
    display : ProgressDisplay
    task : SklearnTask
        Task of the fit or the training.
    max_iter : int
        Largest number of iterations of a training.
    label : str
        Name of a training that precedes the final training; empty for that.
    start : float
        Time of the beginning of the fit, by the monotonic clock.
    """

    display: ProgressDisplay
    task: SklearnTask
    max_iter: int
    label: str = ""
    start: float = field(default_factory=time.monotonic)

    @classmethod
    def of_fit(cls, estimator: Any, X: Any, y: Any, sample_weight: Any, *, in_parts: bool = False) -> Self:
        """Begin to report; ``in_parts`` is whether trainings for an estimate precede the final training.

        Callbacks get the user's data, which they can pass to the methods of a fitted estimator.
        """
        most = int(estimator.max_iter) + bool(estimator.polish)  # polishing has at least one iteration
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}  # the arguments of `score`
        task = SklearnTask.of_fit(estimator, 2 if in_parts else most, {"X": X, "y": y, "metadata": metadata})
        return cls(choose_display(estimator.verbose), task, most)

    def callbacks(
        self, attributes_at: AttributesAt, held_out: Callable[[], float | None] = lambda: None
    ) -> list[FitCallback]:
        """Make the callbacks that report the iterates of a training.

        Parameters
        ----------
        attributes_at : callable
            See `AttributesAt`.
        held_out : callable
            See `DisplayCallback`.
        """
        self.task.attributes_at = attributes_at
        return [DisplayCallback(self.display, self.max_iter, self.label, held_out), self.task]

    def begin(self, text: str) -> None:
        """Show that a step begins, except in trainings with a label, whose beginning is shown otherwise."""
        if not self.label:
            self.display.begin(text)

    def seconds(self) -> float:
        """Return the seconds since the fit began."""
        return time.monotonic() - self.start

    def rows_read(self, n_rows: int) -> None:
        """Show the number of rows read so far in the first pass."""
        self.display.count("rows read and checked", n_rows)

    def rows_passed(self, n_rows: int, of: int | None) -> None:
        """Show the progress of a pass over streamed rows; ``of`` is None in the first pass."""
        self.display.count("rows of a pass", n_rows, of, every=PASS_SECONDS)

    @contextmanager
    def training(self, label: str = "") -> Iterator[Self]:
        """Report on a training that is a part of this task."""
        task = self.task.part(label or "training", self.max_iter)
        yield replace(self, task=task, label=label)
        task.end()

    @contextmanager
    def estimate(self, what: str, by: str, most: int) -> Iterator[Self]:
        """Report on an estimate from held-out data, which takes at most ``most`` trainings."""
        with self.trainings(f"estimate {what}", f"estimating {what} from held-out {by}", most) as report:
            yield report

    @contextmanager
    def trainings(self, name: str, text: str, most: int) -> Iterator[Self]:
        """Report on at most ``most`` trainings that belong together."""
        self.display.begin(f"{text}, in at most {most} trainings")
        task = self.task.part(name, most)
        yield replace(self, task=task)
        task.end()

    def of_part(self, estimator: Any, label: str) -> Self:
        """Report on the fit of another estimator that is a part of this fit, without scikit-learn's callbacks."""
        most = int(estimator.max_iter)
        return replace(self, task=SklearnTask(estimator, None, {}), max_iter=most, label=label)

    def end(self) -> None:
        """Report that the estimator is fitted."""
        estimator = self.task.estimator
        self.display.end()
        if estimator.verbose:
            print(summary_line(estimator), flush=True)
        self.task.end({})
