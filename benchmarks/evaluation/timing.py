"""How a call is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

__all__ = ["Measured", "seconds_of"]


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


class Measured:
    """An object whose `calls` make, for a shape, the calls to be timed; a worker makes them once a shape."""

    def __init__(self) -> None:
        self.cache: dict[tuple[int, int, int], dict[str, Callable[[], object]]] = {}

    def calls(self, n: int, d: int, m: int) -> dict[str, Callable[[], object]]:
        """Return calls by the name of what they do."""
        raise NotImplementedError

    def measure(self, shape: list[int], budget: float) -> dict[str, float]:
        """Return the time of each call for a shape (N, D, M)."""
        key = tuple(shape)
        if key not in self.cache:
            self.cache = {key: self.calls(*key)}  # one shape at a time: memory
        return {name: seconds_of(call, budget) for name, call in self.cache[key].items()}
