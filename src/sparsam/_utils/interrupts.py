"""Ctrl-C that is not lost: it waits where a KeyboardInterrupt would be swallowed, or abort the process."""

from __future__ import annotations

import _thread
import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

__all__ = ["raise_interrupt", "safe_interrupts"]

RETRY_SECONDS = 0.02


@contextmanager
def safe_interrupts() -> Iterator[None]:
    """Scope in which Ctrl-C is raised by `raise_interrupt`, unless the program handles it in its own way."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, raise_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def raise_interrupt(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT: raise KeyboardInterrupt, but not where that is lost or aborts the process.

    It is lost in a callback of the garbage collector, of which JAX has one; and it aborts the process within the
    import of a module of C++ that calls Python. There it waits.
    """
    if not _is_delicate(frame):
        raise KeyboardInterrupt
    again = threading.Timer(RETRY_SECONDS, _interrupt_main_thread)
    again.daemon = True
    again.start()


def _interrupt_main_thread() -> None:
    """Send SIGINT again: as a signal where there are such, for only a signal ends a wait for a lock."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), signal.SIGINT)
    else:
        _thread.interrupt_main()


def _is_delicate(frame: FrameType | None) -> bool:
    """Tell whether a module is imported, or garbage collected, at a frame or in one of its callers."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        if frame.f_code in callbacks or frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
