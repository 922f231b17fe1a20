"""Settings for all tests and doctests."""

import math
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import pytest

# No windows; this must be set before Matplotlib is first imported.
os.environ.setdefault("MPLBACKEND", "Agg")

MAPS = Path("/proc/self/maps")
MOST_MAPS = 25_000  # a process crashes at Linux's limit of 65,530; every compiled program uses a few
tests_done = count(1)


collect_ignore_glob = ["docs/*.py", "docs/_build/*"]  # built by Sphinx, and scripts that it runs


def pytest_configure(config):
    """Share compiled programs among the workers and processes of this session only."""
    if hasattr(config, "workerinput"):
        return  # a worker inherits the environment of the process that started it
    folder = tempfile.mkdtemp(prefix="compiled-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    # The key is the program with its options, devices and versions, so a program from the cache is the same.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"


def pytest_collection_modifyitems(items):
    """Mark doctests, which compile their own programs, as slow tests."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def the_same_weights_every_time():
    """Seed NumPy's global generator, from which estimators without a random_state draw."""
    np.random.seed(20)  # noqa: NPY002


@pytest.fixture(autouse=True)
def no_fit_was_interrupted_a_moment_ago(monkeypatch):
    """Forget Ctrl-C of earlier tests, so that the next one does not count as the second."""
    monkeypatch.setattr("sparsam._utils.stop_signals.interrupts.last", -math.inf)


@pytest.fixture(autouse=True)
def no_more_programs_than_a_process_may_hold():
    """Clear compiled programs before a process has too many; a test suite makes more than any user."""
    yield
    if next(tests_done) % 16 == 0 and MAPS.exists():
        with MAPS.open("rb") as lines:
            n_maps = sum(1 for _ in lines)
        if n_maps > MOST_MAPS:
            import jax

            jax.clear_caches()
