"""Callbacks of a training: each sees the iterates, and may stop it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.training.state import Progress

__all__ = ["FitCallback", "FunctionCallback"]


class FitCallback:
    """A callback of a training; subclasses override what they need.

    Attributes
    ----------
    every_iteration : bool, default False
        Whether it must see every iterate. Otherwise it sees the last one of each burst of steps, about ten times a
        second, and those that `next_iteration` asks for. The last iterate of the training is seen in either case.
    collective : bool, default False
        Whether the processes of a distributed run call it together: it adds up over all of them, say. Where it fails in
        one, that one ends at once, and the others do when they miss it. A failure of any other callback is voted on.
    """

    every_iteration: bool = False
    collective: bool = False

    def next_iteration(self, iteration: int) -> int | None:
        """Return the next iteration after this one whose iterate it must see; None where that of any burst will do."""
        return iteration + 1 if self.every_iteration else None

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str | None:
        """See an iterate and return why to stop, outside JAX's precision scope.

        It may be called at other iterations than those it asks for, wherever a burst ends; and where a training is
        resumed once more at the last iterate, for it may end there now, or no longer.

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
            Why to stop, a key of `sparsam.engine.STOP_REASONS`; empty or None to go on. A ``stop_reason`` given stays.
        """
        return None

    def reset(self) -> None:
        """Forget what was seen: the training begins again."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what a checkpoint must hold for the callback to go on; names must differ from other callbacks'."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from the state of all callbacks in a checkpoint."""

    def has_passed(self, iteration: int) -> bool:
        """Return whether the training should have ended before this iteration, that of the checkpoint restored.

        It was saved when something else said where to stop. The training then begins anew.
        """
        return False


class FunctionCallback(FitCallback):
    """A function of the progress that returns True to stop; it is not called at the last iterate.

    Parameters
    ----------
    function : callable
        Takes a `Progress`.
    reason : str, default "callback"
        Why the training stops then, a key of `sparsam.engine.STOP_REASONS`.
    """

    def __init__(self, function: Callable[[Progress], bool | None], reason: str = "callback") -> None:
        self.function, self.reason = function, reason

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Call the function."""
        return self.reason if not stop_reason and self.function(progress) else ""
