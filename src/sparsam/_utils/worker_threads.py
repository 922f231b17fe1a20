"""A pool of worker threads that have all ended when its scope is left."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sparsam._utils.stop_signals import hold_interrupts

__all__ = ["worker_threads"]


@contextmanager
def worker_threads(n_workers: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of threads, and wait for all of them at the end of the scope, even after Ctrl-C.

    A thread that is still compiling when the interpreter exits would abort the process.
    """
    pool = ThreadPoolExecutor(n_workers)
    try:
        yield pool
    finally:
        with hold_interrupts():
            pool.shutdown(wait=True)
