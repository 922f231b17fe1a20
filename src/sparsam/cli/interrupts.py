"""Ctrl-C of a command: it ends the command wherever it comes, and does nothing else."""

from __future__ import annotations

import _thread
import gc
import signal
import threading
from types import FrameType

__all__ = ["INTERRUPTED", "handle_interrupts"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

RETRY_SECONDS = 0.02


def handle_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, but not where that is lost or aborts the process.

    It is lost in a callback of the garbage collector, of which JAX has one; and it aborts the process within the
    import of a module of C++ that calls Python. There it waits. Where the caller has Ctrl-C ignored it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _is_delicate(frame):
        raise KeyboardInterrupt
    again = threading.Timer(RETRY_SECONDS, _thread.interrupt_main)
    again.daemon = True
    again.start()


def _is_delicate(frame: FrameType | None) -> bool:
    """Whether a module is imported, or garbage collected, at a frame or in one of its callers."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        if frame.f_code in callbacks or frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
