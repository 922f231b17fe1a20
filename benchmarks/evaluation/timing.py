"""Time a call."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any, Protocol

__all__ = ["Calls", "Measured", "Source", "seconds_of"]

Calls = dict[str, Callable[[], object]]


def seconds_of(call: Callable[[], object], budget: float) -> float:
    """Return the median time of a call, repeated for about ``budget`` seconds and at least three times."""
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begin < budget and len(times) < 200):
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return median(times)


class Source(Protocol):
    """Provides the calls to time."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """Return the calls for a shape, by name."""


class Measured:
    """Times the calls of a source in a worker; they are made once per shape.

    Parameters
    ----------
    source : str
        "module:Class", with a module of this package.
    **options
        Keyword arguments of the class.
    """

    def __init__(self, source: str, **options: Any) -> None:
        module, name = source.split(":")
        self.source: Source = getattr(import_module(f"benchmarks.evaluation.{module}"), name)(**options)
        self.cache: dict[tuple[int, int, int], Calls] = {}

    def measure(self, shape: list[int], budget: float) -> dict[str, float]:
        """Return the time of each call for a shape (N, D, M)."""
        key = tuple(shape)
        if key not in self.cache:
            self.cache = {key: self.source.calls(*key)}  # one shape at a time, to save memory
        return {name: seconds_of(call, budget) for name, call in self.cache[key].items()}
