"""Defer SIGTERM and Ctrl-C to a safe point: where a training is between two bursts of steps."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["StopSignals"]

SAME_SECONDS = 1.0  # a terminal's Ctrl-C may come twice, by itself and from a process that passes it on


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
        if number == signal.SIGINT and again:
            raise KeyboardInterrupt
        if not again:
            self.received_at = time.monotonic()
        self.received = number
