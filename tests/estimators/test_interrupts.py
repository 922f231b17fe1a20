"""Ctrl-C: while a fit compiles, and in a search."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sparsam._utils.stop_signals import AGAIN_SECONDS, interrupts

# Patches that print the marker right before a compilation, with no other work pending.
MARKERS = {
    "the loop is compiled, and the fit waits for it": """
        import threading
        from sparsam.engine.minimizer import lbfgs
        tell_factors, compile = lbfgs.tell_factors, evaluators.ResidentEvaluator.compile
        have_factors = threading.Event()

        def tell_then(state, factors):
            state = tell_factors(state, factors)
            have_factors.set()
            return state

        def compile_then(self, state):
            have_factors.wait()
            print("now", flush=True)
            compile(self, state)

        lbfgs.tell_factors, evaluators.ResidentEvaluator.compile = tell_then, compile_then
    """,
    "factors are compiled, beside the loop": """
        factors = evaluators.ResidentEvaluator.factors

        def factors_now(self, state):
            print("now", flush=True)
            return factors(self, state)

        evaluators.ResidentEvaluator.factors = factors_now
    """,
    "a stream is read": """
        factors = evaluators.StreamedEvaluator.factors

        def factors_now(self, state):
            print("now", flush=True)
            return factors(self, state)

        evaluators.StreamedEvaluator.factors = factors_now
    """,
}

BEGIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent process may ignore it
from sparsam.engine.training import evaluators
"""

FIT = """
import numpy as np
from sparsam import SparseAutoencoder

X = np.random.default_rng(0).uniform(0.1, 0.9, (500, 16))


class Rows:
    def __iter__(self):
        yield from np.split(X, 10)


rows = Rows() if "stream" in {kind!r} else X
try:
    SparseAutoencoder(5, random_state=0).fit(rows)
except KeyboardInterrupt:
    print("interrupted")
"""

COMMAND = """
import sys
from sparsam.cli import main

sys.argv[1:] = ["learn", "--n-patches", "500", "--n-components", "5", "--patch-size", "4", "--out", {out!r}]
main()
"""


def interrupted(program):
    """Run a program, send it Ctrl-C once it says "now", and return its exit code, output and errors."""
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0"}  # otherwise there is nothing to compile
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "now\n", process.stderr.read()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("kind", MARKERS)
def test_ctrl_c_while_compiling_raises_keyboard_interrupt_and_nothing_else(kind):
    program = BEGIN + textwrap.dedent(MARKERS[kind]) + FIT.format(kind=kind)
    assert interrupted(program) == (0, "interrupted\n", "")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    "kind",
    [
        "the loop is compiled, and the fit waits for it",
        pytest.param("factors are compiled, beside the loop", marks=pytest.mark.exhaustive),
    ],
)
def test_ctrl_c_while_compiling_ends_a_command_with_130(kind, tmp_path):
    program = BEGIN + textwrap.dedent(MARKERS[kind]) + COMMAND.format(out=str(tmp_path / "out"))
    code, output, errors = interrupted(program)
    assert (code, output, errors.splitlines()[-1]) == (130, "", "Interrupted.")
    assert "Traceback" not in errors
    assert "ignored" not in errors


@pytest.fixture
def search(build, X, monkeypatch):
    """Search over five fits, and interrupt some by Ctrl-C, with the given seconds between interrupts."""

    def search(*seconds):
        now, left = [0.0], list(seconds)
        monkeypatch.setattr(interrupts, "clock", lambda: now[0])

        def press(progress):
            if progress.iteration >= 3 and left:
                now[0] += left.pop(0)
                raise KeyboardInterrupt

        grid = {"alpha": [1e-4, 1e-3, 1e-2, 1e-1, 1.0]}
        one_split = [(np.arange(40), np.arange(40, 60))]
        return GridSearchCV(build(callback=press), grid, cv=one_split, refit=False, n_jobs=1).fit(X)

    return search


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_ctrl_c_ends_one_fit_of_a_search_and_the_search_continues(search):
    results = search(0.0, AGAIN_SECONDS, AGAIN_SECONDS).cv_results_
    assert np.all(np.isfinite(results["mean_test_score"]))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seconds", [(0.0, 4.9), (0.0, 6.0, 0.0)])
def test_a_second_ctrl_c_within_five_seconds_ends_the_search(search, seconds):
    with pytest.raises(KeyboardInterrupt):
        search(*seconds)
