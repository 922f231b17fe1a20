"""Callbacks of a training, which see the iterates and may stop it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.training.state import Progress

__all__ = ["FitCallback", "FunctionCallback", "StopWhen"]


class FitCallback:
    """Base class of callbacks; subclasses override the methods that they need.

    Attributes
    ----------
    every_iteration : bool, default False
        Whether it must see every iterate. Otherwise it sees the last one of each burst of steps, about ten times a
        second, and those that `next_iteration` requests. It sees the last iterate of the training in any case.
    collective : bool, default False
        Whether the processes of a distributed run must call it together, for example because it sums over all of them.
        If such a callback fails in one process, that process ends at once, and the others end when they notice that it
        is gone. After a failure of any other callback, the processes agree to end.
    """

    every_iteration: bool = False
    collective: bool = False

    def next_iteration(self, iteration: int) -> int | None:
        """Return the next iteration that it must see after this one; None if the last one of any burst is enough."""
        return iteration + 1 if self.every_iteration else None

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str | None:
        """Handle an iterate, outside JAX's precision scope, and return the reason if the training should stop.

        It is also called at iterations that it did not request, at the end of a burst. When a training is resumed, it
        is called again for the last iterate, since its decision may have changed.

        Parameters
        ----------
        progress : Progress
        theta : array of shape (n_parameters,)
            The weights.
        stop_reason : str
            Why the training ends here, a key of `sparsam.engine.STOP_REASONS`; empty if it would go on.

        Returns
        -------
        str or None
            Why to stop, a key of `sparsam.engine.STOP_REASONS`; empty or None to go on. It does not replace a
            ``stop_reason`` that is not empty.
        """
        return None

    def on_sample(self, progress: Progress) -> str | None:
        """Handle an iterate on a sample of the rows (``progress.share`` < 1), on which a training may begin.

        It is called at the end of bursts; `on_iterate` is called only for iterates on all rows. A reason to stop makes
        the training evaluate J on all rows once, and end there.

        Parameters
        ----------
        progress : Progress

        Returns
        -------
        str or None
            As for `on_iterate`.
        """
        return None

    def reset(self) -> None:
        """Forget all iterates, since the training begins again."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays that a checkpoint must contain; names must differ from those of other callbacks."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore the callback from the state of all callbacks in a checkpoint."""

    def has_passed(self, iteration: int) -> bool:
        """Return whether the training should have ended before this iteration, that of the restored checkpoint.

        This happens if the checkpoint was saved with other limits. The training then begins again.
        """
        return False


class FunctionCallback(FitCallback):
    """A callback that calls a function of the progress, which returns True to stop; not at the last iterate.

    Parameters
    ----------
    function : callable
        Takes a `Progress`.
    """

    def __init__(self, function: Callable[[Progress], bool | None]) -> None:
        self.function = function

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Call the function, and return the reason if it returns True."""
        return "callback" if not stop_reason and self.function(progress) else ""


class StopWhen(FitCallback):
    """Interrupt the training when a function returns True, also on a sample of the rows.

    Parameters
    ----------
    stop : callable
        Called without arguments.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.stop = stop

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Call the function."""
        return "interrupted" if not stop_reason and self.stop() else ""

    def on_sample(self, progress: Progress) -> str:
        """Call the function."""
        return "interrupted" if self.stop() else ""
