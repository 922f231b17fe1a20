"""Threads that work beside the one that started them, and end before it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sparsam._utils.stop_signals import hold_interrupts

__all__ = ["worker_threads"]


@contextmanager
def worker_threads(n_workers: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Scope of a pool of threads, all of which have ended when it is left, by Ctrl-C too.

    A thread that were left compiling would abort the process at the interpreter's exit.
    """
    pool = ThreadPoolExecutor(n_workers)
    try:
        yield pool
    finally:
        with hold_interrupts():
            pool.shutdown(wait=True)
