"""Ctrl-C of a command: it ends the command wherever it comes, and does nothing else."""

from __future__ import annotations

import signal

from sparsam._utils.interrupts import raise_interrupt

__all__ = ["INTERRUPTED", "handle_interrupts", "ignore_interrupts"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def handle_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt where it is not lost; where the caller has it ignored it stays ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, raise_interrupt)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C while the interpreter ends: the command has done its work, and its exit code stands."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
