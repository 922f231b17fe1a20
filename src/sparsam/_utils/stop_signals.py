"""Defer SIGTERM and Ctrl-C to a safe point: where a training is between two bursts of steps, or compiled."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["Interrupts", "StopSignals", "hold_interrupts", "interrupts"]

SAME_SECONDS = 1.0  # a terminal's Ctrl-C may come twice, by itself and from a process that passes it on
AGAIN_SECONDS = 5.0  # who presses Ctrl-C again so soon does not mean one fit of a search, but all of it


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the scope, where it does what it would have done.

    For what a KeyboardInterrupt must not tear: Python takes a thread for ended whose `join` it interrupts, and loses
    the interrupt where it comes in a callback of the garbage collector, of which JAX has one. Only the main thread
    can handle signals; in others nothing is held back.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            signal.raise_signal(signal.SIGINT)


@dataclass
class Interrupts:
    """Ctrl-C that ended fits, which kept their weights.

    One ends a fit, and the program goes on: to the next fit of a search, say. A second one soon after it ends the
    program, too.

    Attributes
    ----------
    clock : callable
        Returns seconds.
    last : float
        When the last one came.
    """

    clock: Callable[[], float] = time.monotonic
    last: float = -math.inf

    def end_fit(self) -> bool:
        """Note one that has come; return whether it ends a fit alone."""
        before, self.last = self.last, self.clock()
        return self.last - before >= AGAIN_SECONDS


interrupts = Interrupts()
"""The interrupts of this process; its main thread handles them."""


@dataclass
class StopSignals:
    """Signals that ask a fit to end.

    Attributes
    ----------
    received : int
        The last signal, 0 for none.
    """

    received: int = field(default=0, init=False)
    received_at: float = field(default=-SAME_SECONDS, init=False)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Record signals instead of acting on them; a second Ctrl-C, after a second at least, ends at once.

        So does one that comes soon after another fit was ended by one.

        After SIGTERM the process exits with 143, as one does that does not handle it. Only the main thread can handle
        signals.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        except KeyboardInterrupt:
            if self.received != signal.SIGTERM:
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.received == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        again = self.received and time.monotonic() - self.received_at > SAME_SECONDS
        if number == signal.SIGINT and (again or not (self.received or interrupts.end_fit())):
            raise KeyboardInterrupt
        if not again:
            self.received_at = time.monotonic()
        self.received = number
