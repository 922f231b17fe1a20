"""Handle Ctrl-C: it ends the command at any time, without a traceback."""

from __future__ import annotations

import signal

from sparsam._utils.interrupts import raise_interrupt

__all__ = ["INTERRUPTED", "handle_interrupts", "ignore_interrupts"]

INTERRUPTED = 130  # 128 + SIGINT, the convention of shells


def handle_interrupts() -> None:
    """Make Ctrl-C raise KeyboardInterrupt where it cannot get lost, unless the caller ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, raise_interrupt)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C while the interpreter exits, so that the exit code of the finished command stays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
