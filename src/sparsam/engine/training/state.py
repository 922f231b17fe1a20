"""Checkpointable state of a training, between two bursts of steps.

The minimizer's state, a pytree of arrays, and the history are the whole state of a training: a training that is resumed
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
    """Progress of a training at one iterate.

    Attributes
    ----------
    iteration, evaluations : int
        Number of accepted steps, and of evaluations of J and its gradient.
    seconds : float
        Wall time since the training began, including compilation; if it was resumed, without the time in between.
    J : float
        The objective.
    terms : dict of str to float
        The terms whose sum is J.
    gradient_norm : float
        Max-norm of the gradient.
    resumed : int
        How often the training had been resumed from a checkpoint before this iterate.
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
        The arrays of the minimizer's state.
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
    """Rebuild the minimizer's state from its arrays, with the structure of another state.

    Raises
    ------
    ValueError
        If the arrays do not fit that structure.
    """
    expected, structure = jax.tree.flatten(like)
    kinds = [(np.shape(leaf), np.result_type(leaf)) for leaf in expected]
    if [(leaf.shape, leaf.dtype) for leaf in leaves] != kinds:
        raise ValueError("the minimizer's state in the checkpoint is from another network or solver")
    return jax.tree.unflatten(structure, leaves)
