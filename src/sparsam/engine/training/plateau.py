"""Plateaus: where a gradient within tol is no sign of a minimum.

Where penalties outweigh an error J is almost flat around weights that do nothing: all components of the gradient may be
within tol there, and the way down begins with steps of hardly any decrease. A training that converges on such a plateau
goes on to a hundredth of tol, by the very steps that it would have taken with this tol from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Plateau", "tol_beyond"]

FACTOR = 100.0


@dataclass(frozen=True)
class Plateau:
    """A plateau of J: a term is so large that the training has achieved next to nothing.

    Attributes
    ----------
    term : str
        Name of the term.
    least : float
        Value of the term beyond which the weights are on the plateau.
    """

    term: str
    least: float

    def includes(self, terms: Mapping[str, float]) -> bool:
        """Whether an iterate with these terms of J is on the plateau."""
        return terms[self.term] > self.least


def tol_beyond(tol: float) -> float:
    """Tolerance to which a training goes on that has converged on a plateau."""
    return tol / FACTOR
