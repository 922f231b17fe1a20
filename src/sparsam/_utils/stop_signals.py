"""Defer SIGTERM and Ctrl-C to a safe point: between two bursts of training steps, or after compilation."""

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

SAME_SECONDS = 1.0  # one Ctrl-C may arrive twice: from the terminal, and from a process that forwards it
AGAIN_SECONDS = 5.0  # a second Ctrl-C so soon is meant to end the whole search, not one fit of it


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the end of the scope, where it takes its usual effect.

    Protects code that a KeyboardInterrupt must not interrupt: after an interrupted `join`, Python believes that the
    thread has ended; and an interrupt in a callback of the garbage collector (JAX registers one) is lost. Only the
    main thread can handle signals; in other threads nothing is delayed.
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
    """Record of Ctrl-C that ended a fit, which keeps its weights.

    The first Ctrl-C ends a fit, and the program goes on, for example to the next fit of a search. A second one soon
    afterwards ends the program too.

    Attributes
    ----------
    clock : callable
        Returns seconds.
    last : float
        Time of the last Ctrl-C.
    """

    clock: Callable[[], float] = time.monotonic
    last: float = -math.inf

    def end_fit(self) -> bool:
        """Record a Ctrl-C; return whether it ends the fit only, and not the program."""
        before, self.last = self.last, self.clock()
        return self.last - before >= AGAIN_SECONDS


interrupts = Interrupts()
"""The record of this process; its main thread handles signals."""


@dataclass
class StopSignals:
    """Signals that ask a fit to end.

    Attributes
    ----------
    received : int
        Number of the last signal, 0 for none.
    """

    received: int = field(default=0, init=False)
    received_at: float = field(default=-SAME_SECONDS, init=False)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Record signals instead of acting on them.

        A second Ctrl-C, at least a second after the first, raises KeyboardInterrupt at once; so does the first if it
        comes soon after a Ctrl-C that ended another fit. After SIGTERM the process exits with 143, as it would without
        a handler. Only the main thread can handle signals.
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
