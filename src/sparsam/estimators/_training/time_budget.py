"""The time that a fit may take, divided among its trainings."""

from __future__ import annotations

from dataclasses import dataclass, field

from sklearn.exceptions import ConvergenceWarning

__all__ = ["TimeBudget"]


@dataclass
class TimeBudget:
    """Seconds that the trainings of a fit may take together, each from its first evaluation on; None for no limit.

    What comes before, reading the data and compiling, takes as long however short the training is. The last training
    has half of the time at least, and what those before it leave over goes to those that follow.

    Attributes
    ----------
    used : float
        Seconds that trainings have taken.
    cut_off : list of int
        Iterations of the trainings for an estimate that the budget has ended.

    Examples
    --------
    >>> budget = TimeBudget(60.0)
    >>> budget.share(6)
    6.0
    >>> budget.use(2.0)
    >>> budget.share(5), budget.share(1), TimeBudget(None).share(6)
    (7.0, 58.0, None)
    """

    seconds: float | None
    used: float = field(default=0.0, init=False)
    cut_off: list[int] = field(default_factory=list, init=False)

    def share(self, n_trainings: int) -> float | None:
        """Return the seconds that the next of so many trainings may take."""
        if self.seconds is None:
            return None
        left = self.seconds - self.used
        share = left if n_trainings == 1 else (left - self.seconds / 2) / (n_trainings - 1)
        return max(share, 0.0)

    def use(self, seconds: float) -> None:
        """Take what a training has used."""
        self.used += seconds

    def warning(self, estimates: str) -> Warning | None:
        """Make the warning of trainings that were ended before they told enough for these estimates."""
        if not self.cut_off:
            return None
        return ConvergenceWarning(
            f"time_budget = {self.seconds:g} s was over before {len(self.cut_off)} of the trainings in folds had "
            f"ended, one of them after {min(self.cut_off)} iterations: {estimates} are those of networks that were "
            "trained too little, and the number of iterations is not chosen by them. Increase time_budget, or set it "
            "to None."
        )
