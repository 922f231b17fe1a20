"""Delay Ctrl-C where a KeyboardInterrupt would be lost or would abort the process."""

from __future__ import annotations

import _thread
import _weakrefset
import gc
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import cast

__all__ = ["raise_interrupt", "safe_interrupts"]

RETRY_SECONDS = 0.02
UNSAFE_FILES = {"<frozen importlib._bootstrap>", weakref.__file__, _weakrefset.__file__}


@contextmanager
def safe_interrupts() -> Iterator[None]:
    """Handle Ctrl-C by `raise_interrupt` within the scope, unless the program has its own handler."""
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
    """Handle SIGINT: raise KeyboardInterrupt, or try again later where it would be lost or abort the process.

    It is lost in a callback of the garbage collector (JAX registers one) or of a weak reference, and in `__del__`. It
    aborts the process during the import of a C++ module that calls Python.
    """
    if not _is_unsafe(frame):
        raise KeyboardInterrupt
    retry = threading.Timer(RETRY_SECONDS, _interrupt_main_thread)
    retry.daemon = True
    retry.start()


def _interrupt_main_thread() -> None:
    """Send SIGINT again, as a signal where the system has signals: only a signal ends a wait for a lock."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), signal.SIGINT)
    else:
        _thread.interrupt_main()


def _is_unsafe(frame: FrameType | None) -> bool:
    """Return whether a frame or one of its callers imports a module, collects garbage, or deletes an object."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None:
        code = frame.f_code
        if code in callbacks or code.co_filename in UNSAFE_FILES or code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
