"""SIGTERM and Ctrl-C as a wish, to be granted when a training is between two bursts."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType

__all__ = ["Signals"]

SAME_SECONDS = 1.0  # a terminal's Ctrl-C may come twice, by itself and from a process that passes it on


@dataclass
class Signals:
    """Who wants a fit to end.

    Attributes
    ----------
    asked : int
        The signal that came last, 0 for none.
    """

    asked: int = field(default=0, init=False)
    asked_at: float = field(default=-SAME_SECONDS, init=False)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals as a wish; a second Ctrl-C, after a second at least, ends at once.

        After SIGTERM the process exits with 143, as one does that does not listen. Only the main thread can listen.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._wish) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        except KeyboardInterrupt:
            if self.asked != signal.SIGTERM:
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.asked == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)

    def _wish(self, number: int, frame: FrameType | None) -> None:
        again = self.asked and time.monotonic() - self.asked_at > SAME_SECONDS
        if number == signal.SIGINT and again:
            raise KeyboardInterrupt
        if not again:
            self.asked_at = time.monotonic()
        self.asked = number
