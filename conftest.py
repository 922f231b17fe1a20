"""Settings of every test, doctests included."""

import math
import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import pytest

# No windows; before Matplotlib is imported for the first time.
os.environ.setdefault("MPLBACKEND", "Agg")

MAPS = Path("/proc/self/maps")
MOST_MAPS = 25_000  # of 65,530 that Linux grants a process; every compiled program takes a few, and then it crashes
tests_done = count(1)


collect_ignore_glob = ["docs/*.py", "docs/_build/*"]  # Sphinx's, and scripts that it runs


def pytest_configure(config):
    """Share compiled programs among the workers and processes of this session, and with no other session."""
    if hasattr(config, "workerinput"):
        return  # whose environment is that of the process that started it
    folder = tempfile.mkdtemp(prefix="compiled-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    # The key is the program itself, with its options, devices and versions: who finds it would compile the same.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"


def pytest_collection_modifyitems(items):
    """Count examples, programs of their own each, among the slow tests."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def the_same_weights_every_time():
    """Estimators without a random_state draw from NumPy's own generator: here from a beginning that no test names."""
    np.random.seed(20)  # noqa: NPY002


@pytest.fixture(autouse=True)
def no_fit_was_interrupted_a_moment_ago(monkeypatch):
    """Ctrl-C of one test is not the second one of another."""
    monkeypatch.setattr("sparsam._utils.stop_signals.interrupts.last", -math.inf)


@pytest.fixture(autouse=True)
def no_more_programs_than_a_process_may_hold():
    """Forget compiled programs in time; a suite makes more than any user."""
    yield
    if next(tests_done) % 16 == 0 and MAPS.exists():
        with MAPS.open("rb") as lines:
            n_maps = sum(1 for _ in lines)
        if n_maps > MOST_MAPS:
            import jax

            jax.clear_caches()
