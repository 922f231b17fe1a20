"""What a statistical claim is, and its draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

__all__ = ["Cell", "Draw", "Subject"]

Draw = Callable[[np.random.Generator], dict[str, float]]
"""Makes data of a known truth, applies the method, and returns numbers by name: 1 or 0 for what happened or not."""


@dataclass(frozen=True)
class Cell:
    """Claims about a method, on data whose truth is known.

    Attributes
    ----------
    name : str
        It also fixes the seeds.
    truth : str
        In words, what the data are drawn from.
    draw : Draw
        A plain function.
    claims : dict of str to (float, float)
        By the name of a number that the draw returns, the range in which its mean over the draws should be. The others
        are reported.
    n_draws : int
        Of the full run.
    """

    name: str
    truth: str
    draw: Draw
    claims: dict[str, tuple[float, float]]
    n_draws: int = 1000

    def outcome(self, number: int) -> dict[str, float]:
        """Make a draw: its seed is that of the cell's name and the number, whatever is drawn before."""
        seed = np.random.SeedSequence(int.from_bytes(self.name.encode()), spawn_key=(number,))
        try:
            return {name: float(value) for name, value in self.draw(np.random.default_rng(seed)).items()}
        except Exception as error:
            error.add_note(f"in draw {number} of {self.name!r}")
            raise

    def outcomes(self, n_draws: int) -> dict[str, list[float]]:
        """Make the first draws; return all their numbers by name."""
        return by_name([self.outcome(number) for number in range(n_draws)])


class Subject(NamedTuple):
    """Cells about one method, and what a reader of their results should know.

    Claims of ``pooled`` are about the draws of all cells together.
    """

    title: str
    about: str
    cells: list[Cell]
    pooled: Mapping[str, tuple[float, float]] = MappingProxyType({})


def by_name(outcomes: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return the numbers of several draws by name."""
    return {name: [outcome[name] for outcome in outcomes] for name in outcomes[0]}
