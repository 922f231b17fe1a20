"""What a training leaves with a keeper between two bursts, so that it can go on from there.

The minimizer's state is a pytree of arrays, and with the history it is all there is to a training: one that goes on
from what was saved takes the same steps, to the bit, as one that was never interrupted. Where it is kept, and how
safely, is the keeper's affair (`training.checkpoints`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.stop_signals import Signals

__all__ = ["Keeper", "NoKeeper", "Progress", "Saved", "restored", "saved_leaves"]


@dataclass(frozen=True)
class Progress:
    """How far a training has come; what callbacks are given.

    Attributes
    ----------
    iteration, evaluations : int
        Steps accepted; evaluations of J and its gradient.
    seconds : float
        Wall time since the training began, compilation included; of one that was resumed without the time between.
    J : float
        The objective.
    terms : dict of str to float
        The terms J is the sum of.
    gradient_norm : float
        Max-norm of the gradient.
    resumed : int
        How often the training had been resumed from a checkpoint by then.
    """

    iteration: int
    evaluations: int
    seconds: float
    J: float
    terms: Mapping[str, float]
    gradient_norm: float
    resumed: int = 0


class Saved(NamedTuple):
    """A training between two bursts.

    Attributes
    ----------
    leaves : list of arrays
        Those of the minimizer's state.
    history : list of Progress
    seconds : float
        Wall time so far.
    stop_reason : str
        Empty while it goes on.
    monitor : dict of str to array
        What the monitor has to remember.
    """

    leaves: list[NDArray[Any]]
    history: list[Progress]
    seconds: float
    stop_reason: str
    monitor: Mapping[str, NDArray[Any]]


class Keeper(Protocol):
    """Keeps what `sparsam.engine.train` saves."""

    @property
    def stop(self) -> bool:
        """Whether somebody wants the training to end at the next opportunity."""

    def load(self) -> Saved | None:
        """Return what was saved last, if anything was."""

    def due(self, seconds: float) -> bool:
        """Whether it is time to save, so many seconds after the training began."""

    def save(self, make: Callable[[], Saved]) -> None:
        """Save what ``make`` returns."""


@dataclass(frozen=True)
class NoKeeper:
    """Keeps nothing, but may know of signals."""

    signals: Signals = field(default_factory=Signals)

    @property
    def stop(self) -> bool:
        """Whether a signal came."""
        return bool(self.signals.asked)

    def stage(self, fingerprint_of_data: Callable[[], int]) -> NoKeeper:
        """Begin the next training of a fit, as `sparsam.engine.Checkpoints` would."""
        return self

    def load(self) -> Saved | None:
        """Return None."""
        return None

    def due(self, seconds: float) -> bool:
        """Never."""
        return False

    def save(self, make: Callable[[], Saved]) -> None:
        """Do nothing."""


def saved_leaves(state: Any) -> list[NDArray[Any]]:
    """Copy a state to the host."""
    return [np.array(leaf) for leaf in jax.tree.leaves(jax.device_get(state))]


def restored(saved: Saved, like: Any) -> Any:
    """Make a state of what was saved of one of the same kind.

    Raises
    ------
    ValueError
        If it was of another kind.
    """
    leaves, structure = jax.tree.flatten(like)
    kinds = [(np.shape(leaf), np.result_type(leaf)) for leaf in leaves]
    if [(leaf.shape, leaf.dtype) for leaf in saved.leaves] != kinds:
        raise ValueError("the minimizer's state in the checkpoint is not of this network and solver")
    return jax.tree.unflatten(structure, saved.leaves)
