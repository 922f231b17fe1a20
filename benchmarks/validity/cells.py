"""Statistical claims and their draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

__all__ = ["Cell", "Draw", "Subject"]

Draw = Callable[[np.random.Generator], dict[str, float]]
"""Draws data from a known truth, applies the method, and returns numbers by name; events are 1 or 0."""


@dataclass(frozen=True)
class Cell:
    """Claims about a method, on data whose truth is known.

    Attributes
    ----------
    name : str
        The name, which also fixes the seeds.
    truth : str
        Description of the distribution of the data.
    draw : Draw
        A plain function.
    claims : dict of str to (float, float)
        The claimed ranges of the means over the draws, by the name of a number that the draw returns. Other numbers are
        only reported.
    n_draws : int
        Number of draws in the full run.
    """

    name: str
    truth: str
    draw: Draw
    claims: dict[str, tuple[float, float]]
    n_draws: int = 1000

    def outcome(self, number: int) -> dict[str, float]:
        """Make a draw; its seed depends only on the cell's name and the number."""
        seed = np.random.SeedSequence(int.from_bytes(self.name.encode()), spawn_key=(number,))
        try:
            return {name: float(value) for name, value in self.draw(np.random.default_rng(seed)).items()}
        except Exception as error:
            error.add_note(f"in draw {number} of {self.name!r}")
            raise

    def outcomes(self, n_draws: int) -> dict[str, list[float]]:
        """Make the first draws; return their numbers by name."""
        return by_name([self.outcome(number) for number in range(n_draws)])


class Subject(NamedTuple):
    """Cells about one method, with an explanation for the reader.

    The claims in ``pooled`` are about the draws of all cells together.
    """

    title: str
    about: str
    cells: list[Cell]
    pooled: Mapping[str, tuple[float, float]] = MappingProxyType({})


def by_name(outcomes: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the numbers of several draws by name."""
    return {name: [outcome[name] for outcome in outcomes] for name in outcomes[0]}
