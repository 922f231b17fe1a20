"""Time budget of a fit, divided among its trainings."""

from __future__ import annotations

from dataclasses import dataclass, field

from sklearn.exceptions import ConvergenceWarning

__all__ = ["TimeBudget"]


@dataclass
class TimeBudget:
    """Seconds that the trainings of a fit may take together; None for no limit.

    The time of a training starts at its first evaluation of J: reading the data and compiling take equally long,
    however short the training is. The last training gets at least half of the time; time that a training does not use
    is available to later ones.

    Attributes
    ----------
    used : float
        Seconds used so far.
    cut_off : list of int
        Numbers of iterations of the trainings in folds that the budget has ended.

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
        """Return the seconds for the next training, with ``n_trainings`` still to come, including this one."""
        if self.seconds is None:
            return None
        left = self.seconds - self.used
        share = left if n_trainings == 1 else (left - self.seconds / 2) / (n_trainings - 1)
        return max(share, 0.0)

    def use(self, seconds: float) -> None:
        """Subtract the seconds that a training has used."""
        self.used += seconds

    def warning(self, estimates: str = "") -> Warning | None:
        """Make the warning that the budget ended trainings in folds, on which these estimates are based, if any."""
        if not self.cut_off:
            return None
        short = f"{estimates} are estimated with networks that were not trained long enough, and " if estimates else ""
        return ConvergenceWarning(
            f"time_budget = {self.seconds:g} s ended {len(self.cut_off)} of the trainings in folds early, one of them "
            f"after {min(self.cut_off)} iterations: {short}the folds cannot choose the number of iterations. Increase "
            "time_budget, or set it to None."
        )
