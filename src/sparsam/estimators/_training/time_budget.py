"""Time budget of a fit, divided among its trainings."""

from __future__ import annotations

from collections.abc import Sequence
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

    def warning(self, estimates: Sequence[str], *, ends_by_folds: bool) -> Warning | None:
        """Make the warning that the budget ended trainings in folds, if it did.

        Parameters
        ----------
        estimates : sequence of str
            Names of the attributes that these trainings estimate.
        ends_by_folds : bool
            Whether they also choose the number of iterations.
        """
        if not self.cut_off:
            return None
        effects = []
        if estimates:
            verb = "is" if len(estimates) == 1 else "are"
            names = " and ".join(filter(None, (", ".join(estimates[:-1]), estimates[-1])))
            effects.append(f"{names} {verb} estimated with networks that were not trained long enough")
        if ends_by_folds:
            effects.append("the folds cannot choose the number of iterations")
        return ConvergenceWarning(
            f"time_budget = {self.seconds:g} s ended {len(self.cut_off)} of the trainings in folds early, one of them "
            f"after {min(self.cut_off)} iterations: {', and '.join(effects)}. Increase time_budget, or set it to None."
        )
