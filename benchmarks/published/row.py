"""What a row of the page is made of: figures that others have published, and ways to compute them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.published.data import Data

__all__ = ["Figure", "Row", "Way"]

Result = dict[str, float]


@dataclass(frozen=True)
class Figure:
    """A published number.

    Attributes
    ----------
    key : str
        Its name in the result of a run.
    what : str
        What it is, in words.
    published : str
        The number as published, or what was said in place of a number.
    goal : float or None
        What ours must reach; None if it was no number.
    higher : bool
        Whether ours must be at least the goal, or at most.
    form : str
        Format of ours.
    from_memory : bool
        Whether the published number is quoted from memory of the paper.
    letter : str or None
        The way that follows the protocol to the letter; None if it is the first.
    """

    key: str
    what: str
    published: str
    goal: float | None
    higher: bool = True
    form: str = ".2%"
    from_memory: bool = False
    letter: str | None = None

    def reached(self, ours: float) -> bool | None:
        """Return whether ours reaches the goal; None if there is no goal."""
        if self.goal is None:
            return None
        return ours >= self.goal if self.higher else ours <= self.goal

    def show(self, ours: float) -> str:
        """Format a number of ours."""
        return f"{ours:{self.form}}".replace("%", " %")


@dataclass(frozen=True)
class Way:
    """A way to compute the figures of a row: by the published protocol, or as the library does by itself.

    ``run(data, seed)`` returns the figures by their keys, and other numbers that the page mentions.
    """

    name: str
    run: Callable[[Data, int], Result]
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Row:
    """Figures of one source, by one protocol.

    Attributes
    ----------
    name : str
        Its name on the command line.
    title, source, protocol : str
        For the page, in Markdown.
    needs : tuple of str
        Files in the folder of data; the row is skipped without them.
    figures : tuple of Figure
    ways : tuple of Way
        The first is by the letter of the protocol.
    picture : str or None
        What its picture shows, if it has one.
    """

    name: str
    title: str
    source: str
    protocol: str
    needs: tuple[str, ...]
    figures: tuple[Figure, ...]
    ways: tuple[Way, ...]
    picture: str | None = None
