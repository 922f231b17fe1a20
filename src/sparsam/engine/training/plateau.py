"""Plateaus of J, where a gradient within tol does not indicate a minimum.

If penalties outweigh the error, J is almost flat around weights that do nothing: all components of the gradient may be
within tol there, and the first steps downhill hardly decrease J. A training that converges on such a plateau goes on to
a hundredth of tol, with the same steps as if that had been its tol from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Plateau", "tol_beyond"]

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
