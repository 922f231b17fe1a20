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
    iteration : int
        Number of accepted steps.
    evaluations : int or float
        Number of evaluations of J and its gradient; on a sample in units of all rows, and so not an integer.
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
    share : float
        Share of the rows, by weight, of which J is: less than 1 on a sample, on which a training may begin.
    """

    iteration: int
    evaluations: float
    seconds: float
    J: float
    terms: Mapping[str, float]
    gradient_norm: float
    resumed: int = 0
    share: float = 1.0


class TrainingState(NamedTuple):
    """State of a training between two bursts of steps.

    Attributes
    ----------
    leaves : list of arrays
        The arrays of the minimizer's state.
    history : list of Progress
        Iterates on all rows; empty while the training is on a sample.
    seconds : float
        Wall time so far.
    callbacks : dict of str to array
        State of the callbacks.
    sampled : list of Progress
        Iterates on samples, before those on all rows.
    share, cost : float
        See `GrowingSample`.
    """

    leaves: list[NDArray[Any]]
    history: list[Progress]
    seconds: float
    callbacks: Mapping[str, NDArray[Any]]
    sampled: list[Progress]
    share: float
    cost: float


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
