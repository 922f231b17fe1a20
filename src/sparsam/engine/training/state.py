"""Checkpointable state of a training, between two bursts of steps.

The minimizer's state is a pytree of arrays, and with the history it is all there is to a training: one that goes on
from a saved state takes the same steps, to the bit, as one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

__all__ = ["Progress", "TrainingState", "host_leaves", "restore_minimizer"]


@dataclass(frozen=True)
class Progress:
    """Progress of a training: an iterate, without its weights.

    Attributes
    ----------
    iteration, evaluations : int
        Steps accepted; evaluations of J and its gradient.
    seconds : float
        Wall time since the training began, compilation included; of a resumed training without the time between.
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


class TrainingState(NamedTuple):
    """State of a training between two bursts of steps.

    Attributes
    ----------
    leaves : list of arrays
        Those of the minimizer's state.
    history : list of Progress
    seconds : float
        Wall time so far.
    callbacks : dict of str to array
        State of the callbacks.
    """

    leaves: list[NDArray[Any]]
    history: list[Progress]
    seconds: float
    callbacks: Mapping[str, NDArray[Any]]


def host_leaves(state: Any) -> list[NDArray[Any]]:
    """Copy the arrays of a pytree to the host."""
    return [np.array(leaf) for leaf in jax.tree.leaves(jax.device_get(state))]


def restore_minimizer(leaves: list[NDArray[Any]], like: Any) -> Any:
    """Rebuild the minimizer's state from its arrays, in the form of another state of the same kind.

    Raises
    ------
    ValueError
        If it was of another kind.
    """
    own, structure = jax.tree.flatten(like)
    kinds = [(np.shape(leaf), np.result_type(leaf)) for leaf in own]
    if [(leaf.shape, leaf.dtype) for leaf in leaves] != kinds:
        raise ValueError("the minimizer's state in the checkpoint is not of this network and solver")
    return jax.tree.unflatten(structure, leaves)
