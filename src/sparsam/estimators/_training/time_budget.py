"""The time that a fit may take, divided among its trainings."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["TimeBudget"]


@dataclass(frozen=True)
class TimeBudget:
    """Seconds for a whole fit, from the making of this on; None for no limit.

    The last training has half of it at least, and what those before it leave over goes to those that follow.

    Examples
    --------
    >>> TimeBudget(60.0).share(6) <= 6.0, TimeBudget(None).share(6)
    (True, None)
    """

    seconds: float | None
    start: float = field(default_factory=time.monotonic)

    def share(self, n_trainings: int) -> float | None:
        """Return the seconds that the next of so many trainings may take."""
        if self.seconds is None:
            return None
        left = self.seconds - (time.monotonic() - self.start)
        share = left if n_trainings == 1 else (left - self.seconds / 2) / (n_trainings - 1)
        return max(share, 0.0)
