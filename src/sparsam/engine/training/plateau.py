"""Plateaus of J, where a gradient within tol does not indicate a minimum.

If penalties outweigh the error, J is almost flat around weights that do nothing: all components of the gradient may be
within tol there, and the first steps downhill hardly decrease J. A training that converges on such a plateau goes on to
a hundredth of tol, with the same steps as if that had been its tol from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam.engine.minimizer import lbfgs
from sparsam.engine.training.result import Training

__all__ = ["Plateau", "go_beyond_plateau", "on_plateau", "tol_beyond"]

FACTOR = 100.0


@dataclass(frozen=True)
class Plateau:
    """A plateau of J, where one term is so large that the training has achieved next to nothing.

    Attributes
    ----------
    term : str
        Name of the term.
    least : float
        Weights are on the plateau if the term is larger than this.
    """

    term: str
    least: float

    def includes(self, terms: Mapping[str, float]) -> bool:
        """Return whether an iterate with these terms of J is on the plateau."""
        return terms[self.term] > self.least


def tol_beyond(tol: float) -> float:
    """Return the tolerance for a training that has converged on a plateau."""
    return tol / FACTOR


def on_plateau(
    plateau: Plateau | None, names: list[str], status: int | NDArray[np.integer], terms: NDArray[np.floating]
) -> bool:
    """Return whether a training has converged on a plateau, given the terms of J at its last iterate."""
    if plateau is None or status != lbfgs.CONVERGED:
        return False
    return plateau.includes(dict(zip(names, np.asarray(terms, np.float64).tolist(), strict=True)))


def go_beyond_plateau(
    state: lbfgs.LBFGSState, trainings: Sequence[Training], where: NDArray[np.bool_]
) -> lbfgs.LBFGSState:
    """Let trainings that have converged on a plateau go on: one state, or those of a stack where ``where`` is true."""
    tol = tol_beyond(trainings[0].tol)  # the same for all
    for training in trainings:
        training.plateau_tol = tol
    return lbfgs.set_tol(state, cast(jax.Array, np.asarray(tol, state.tol.dtype)), cast(jax.Array, where))
