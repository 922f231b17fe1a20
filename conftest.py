"""Settings for all tests and doctests."""

import gc
import math
import os
import shutil
import signal
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

# No windows; this must be set before Matplotlib is first imported.
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # there is a worker for each core: more threads would only compete
    # This must be set before NumPy and JAX are first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("NPROC", "1")  # threads of a program that JAX has compiled
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_parallel_codegen_split_count=1")  # threads that compile

MAPS = Path("/proc/self/maps")
MOST_MAPS = 25_000  # a process crashes at Linux's limit of 65,530; every compiled program uses a few
LARGEST_CACHE = 2**30  # bytes of compiled programs that are kept
tests_done = count(1)


collect_ignore_glob = ["docs/*.py", "docs/_build/*"]  # built by Sphinx, and scripts that it runs


def pytest_addoption(parser):
    """Add ``--exhaustive``."""
    parser.addoption(
        "--exhaustive",
        action="store_true",
        default=os.environ.get("SPARSAM_EXHAUSTIVE", "") not in ("", "0"),
        help="run every test, and simulations, damaged files and kills at their full number (or SPARSAM_EXHAUSTIVE=1)",
    )


def pytest_configure(config):
    """Prepare the session, and each of its workers."""
    choose_hypothesis_profiles(config.getoption("exhaustive"))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(20_000, 20, 20)  # thousands of traced programs stay alive, and each collection visits them
    if not hasattr(config, "workerinput"):  # a worker inherits the environment of the process that started it
        share_compiled_programs(config)


def choose_hypothesis_profiles(exhaustive):
    """Search at random, without deadlines, so that no test fails because the machine is busy.

    Tests whose examples take long, or whose bounds are acceptance figures, use the profile "few": the same examples
    every time, so that an unlucky cancellation cannot fail the test of another change; many random ones in an
    exhaustive run.
    """
    try:
        from hypothesis import settings
    except ImportError:
        return
    settings.register_profile("shared", deadline=None)
    settings.load_profile("shared")
    if exhaustive:
        settings.register_profile("few", max_examples=50, print_blob=True)
    else:
        settings.register_profile("few", max_examples=6, derandomize=True)


def share_compiled_programs(config):
    """Share compiled programs among the workers and processes of a session, and keep them for the next one."""
    if not hasattr(config, "cache"):  # with -p no:cacheprovider
        return
    folder = config.cache.mkdir("compiled")
    if sum(file.stat().st_size for file in folder.iterdir()) > LARGEST_CACHE:
        shutil.rmtree(folder)
        folder.mkdir()
    # The key is the program with its options, devices and versions, so a program from the cache is the same.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.pop("SPARSAM_KEEP_COMPILED_PROGRAMS", None)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.05"


def pytest_collection_modifyitems(config, items):
    """Mark doctests, which compile their own programs, as slow; leave exhaustive tests out unless asked for."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker(pytest.mark.slow)
    if not config.getoption("exhaustive"):
        left_out = [item for item in items if item.get_closest_marker("exhaustive")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


@pytest.fixture(scope="session")
def reduction(request):
    """Factor by which simulations, damaged files and kills are fewer than in an exhaustive run: 10, or 1 in one."""
    return 1 if request.config.getoption("exhaustive") else 10


@contextmanager
def compiling(level, smallest):
    """Compile at an optimization level of LLVM, for chunks of at least ``smallest`` samples."""
    from sparsam._utils import jit as compilation

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(compilation.CPU_OPTIONS, "xla_backend_optimization_level", level)
        patch.setattr("sparsam.engine.data.samples.SMALLEST", smallest)
        compilation._options.cache_clear()
        yield
    compilation._options.cache_clear()


@pytest.fixture(scope="session")
def shipped():
    """Return the settings with which users compile."""
    from sparsam._utils.jit import CPU_OPTIONS
    from sparsam.engine.data.samples import SMALLEST

    return {"level": CPU_OPTIONS["xla_backend_optimization_level"], "smallest": SMALLEST}


@pytest.fixture(scope="session", autouse=True)
def compile_quickly(shipped):
    """Compile without optimization, which takes a third of the time, and the same program for all small data.

    Most tests run so few steps that it matters little how long they take: four times as long. No formula or interface
    depends on it. Pages, commands in processes of their own and tests with the fixture `as_shipped` compile as users
    do.
    """
    with compiling(level=0, smallest=256):
        yield


@pytest.fixture
def as_shipped(shipped):
    """Compile as users do."""
    with compiling(**shipped):
        yield


@pytest.fixture(autouse=True)
def the_same_weights_every_time():
    """Seed NumPy's global generator, from which estimators without a random_state draw."""
    import numpy as np

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
