"""Progress, continuation and end of a fit: max_iter, warm_start, callbacks, Ctrl-C, time budget, verbose, threads."""

import copy
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam.engine.training import evaluators as passes
from sparsam.engine.training.state import Progress
from sparsam.estimators._progress import displays as showing

ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# max_iter


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_iter", [1, 2, 11])
def test_max_iter_is_exact_and_has_a_warning(build, X, max_iter, dtype):
    with pytest.warns(
        ConvergenceWarning, match="Not converged: max_iter iterations are done.*warm_start=True"
    ) as caught:
        model = build(max_iter=max_iter, tol=0.0, dtype=dtype).fit(X)
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the warning points at the user's line
    assert model.n_iter_ == max_iter
    assert len(model.loss_curve_) == max_iter + 1
    assert (model.stop_reason_, model.converged_) == ("max_iter", False)


@ignore_convergence
def test_a_shorter_fit_is_the_beginning_of_a_longer_one(build, X):
    """max_iter and the pauses for callbacks only decide where a fit ends."""
    short, long = build(max_iter=11, tol=0.0).fit(X), build(max_iter=40, tol=0.0, callback=lambda progress: None).fit(X)
    assert short.loss_curve_ == long.loss_curve_[:12]


def test_a_training_stops_with_a_warning_without_measurable_decrease(build, X):
    with pytest.warns(ConvergenceWarning, match=r"no measurable decrease.*\(float32\).*dtype='float64'"):
        model = build(tol=0.0, max_iter=10_000).fit(X)
    assert model.stop_reason_ == "precision"
    assert not model.converged_


def test_a_converged_fit_does_not_warn(build, X, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build().fit(X)
    assert capsys.readouterr() == ("", "")


# warm_start


@ignore_convergence
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_warm_start_continues_where_the_fit_ended(build, X, dtype):
    model = build(max_iter=10, tol=0.0, warm_start=True, dtype=dtype).fit(X)
    first = model.loss_curve_
    model.fit(X)
    assert model.loss_curve_[0] == pytest.approx(first[-1], rel=4 * float(np.finfo(dtype).eps))
    assert model.loss_curve_[-1] < first[-1] < first[0]
    assert len(model.loss_curve_) == 11  # the second fit's own


@ignore_convergence
def test_many_short_warm_fits_reach_the_minimum_of_a_long_one(build, X):
    short = build(max_iter=10, warm_start=True)
    for _ in range(30):
        short.fit(X)
    assert short.converged_
    assert short.loss_ == pytest.approx(build().fit(X).loss_, rel=1e-3)


def test_warm_start_at_the_minimum_stays_there(build, X, model):
    again = copy.deepcopy(model).set_params(warm_start=True).fit(X)
    assert again.n_iter_ == 0
    assert again.converged_
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_warm_start_continues_float32_weights_in_float64(build, X, model):
    finer = copy.deepcopy(model).set_params(warm_start=True, dtype="float64", tol=1e-10).fit(X)
    assert finer.coefs_[0].dtype == np.float64
    assert finer.converged_
    assert finer.loss_curve_[0] == pytest.approx(model.loss_, rel=1e-5)


def test_first_warm_start_is_an_ordinary_fit(build, X, model, same_bits):
    assert same_bits(build(warm_start=True).fit(X), model)


def test_without_warm_start_a_fit_starts_from_new_weights(build, X, model, same_bits):
    assert same_bits(copy.deepcopy(model).fit(X[:40]).fit(X), model)


@pytest.mark.parametrize(
    "change", [lambda model, X: (model.set_params(n_components=4), X), lambda model, X: (model, X[:, :4])]
)
def test_warm_start_refuses_other_shapes(model, X, change):
    other, data = change(copy.deepcopy(model).set_params(warm_start=True), X)
    asked = f"{data.shape[1]}-{other.n_components}-{data.shape[1]}"
    with pytest.raises(ValueError, match=f"a network 6-3-6, and this fit needs {asked}: set warm_start=False"):
        other.fit(data)


# Callbacks


@ignore_convergence
def test_callback_gets_the_progress(build, X):
    told = []
    model = build(tol=0.0, max_iter=200, callback=told.append).fit(X)
    assert told
    assert all(isinstance(progress, Progress) for progress in told)
    assert told[0].iteration == 0
    assert all(one.iteration <= two.iteration for one, two in pairwise(told))
    for progress in told:
        row = model.history_.iloc[progress.iteration]
        assert (progress.J, progress.gradient_norm, progress.evaluations) == (row.J, row.gradient_norm, row.evaluations)
        assert progress.terms == {name: row[name] for name in ("squared_error", "weight_decay", "sparsity")}


def test_callback_stops_by_returning_true_and_without_a_warning(build, X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = build(callback=lambda progress: True).fit(X)
    assert (model.stop_reason_, model.converged_, model.n_iter_) == ("callback", False, 0)
    assert model.transform(X).shape == (60, 3)


def test_callback_runs_outside_the_precision_scope(build, X):
    seen = []

    def callback(progress):
        seen.append((jax.config.jax_enable_x64, jnp.ones(1).dtype))

    build(dtype="float64", callback=callback).fit(X)
    assert set(seen) == {(False, jnp.dtype("float32"))}


def test_an_error_in_a_callback_is_raised_and_keeps_the_previous_fit(build, X, model, same_bits):
    def callback(progress):
        raise LookupError("the disk of my log is full")

    again = copy.deepcopy(model).set_params(callback=callback)
    with pytest.raises(LookupError, match="the disk of my log is full"):
        again.fit(X)
    assert not jax.config.jax_enable_x64
    assert same_bits(again, model)


# Ctrl-C


def test_after_ctrl_c_the_estimator_is_fitted(build, X):
    def callback(progress):
        if progress.iteration >= 3:
            raise KeyboardInterrupt

    def fit():
        try:
            return build(callback=callback).fit(X)
        except KeyboardInterrupt:  # otherwise it would end pytest itself
            pytest.fail("Ctrl-C was passed on")

    with pytest.warns(UserWarning, match="Training interrupted.*has the weights reached so far") as caught:
        model = fit()
    assert not issubclass(caught[0].category, ConvergenceWarning)
    assert caught[0].filename == __file__
    assert (model.stop_reason_, model.converged_) == ("interrupted", False)
    assert model.n_iter_ >= 3
    assert model.cost(X) == pytest.approx(model.loss_, rel=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_after_a_real_sigint_the_estimator_is_fitted_and_predicts():
    program = """
        import numpy as np
        from sparsam import SparseAutoencoder

        X = np.random.default_rng(0).uniform(size=(3000, 100))
        model = SparseAutoencoder(80, tol=0.0, max_iter=10**6, time_budget=60, dtype="float64", random_state=0,
                                  callback=lambda progress: print("running", flush=True))
        model.fit(X)
        print(model.stop_reason_, model.n_iter_ > 0, model.predict(X).shape)
        print(abs(model.cost(X) / model.loss_ - 1) < 1e-9)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(5):
            assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.splitlines()[-2:] == ["interrupted True (3000, 100)", "True"]
    assert "UserWarning: Training interrupted" in errors


# Time budget


def test_time_budget_stops_with_a_warning(build, X):
    with pytest.warns(ConvergenceWarning, match="the time budget is used up.*Increase time_budget"):
        model = build(time_budget=1e-9).fit(X)
    assert (model.stop_reason_, model.converged_) == ("time_budget", False)
    assert model.predict(X).shape == (60, 6)


def test_ample_time_budget_changes_nothing(build, X, model, same_bits):
    assert same_bits(build(time_budget=3600.0).fit(X), model)


# verbose

PROGRESS = re.compile(r"iteration +\d+   J +\d\.\d{6}   gradient \d\.\de[+-]\d\d   \d+\.\d s")


@ignore_convergence
@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({}, "converged: no component of the gradient is larger than tol"),
        ({"max_iter": 5}, "max_iter iterations are done"),
        ({"callback": lambda progress: True}, "a callback asked to stop"),
        ({"time_budget": 1e-9}, "the time budget is used up"),
        ({"tol": 0.0, "max_iter": 10_000}, "no measurable decrease is left in this precision"),
    ],
)
def test_verbose_prints_aligned_lines_and_the_stop_reason(build, X, capsys, monkeypatch, parameters, why):
    monkeypatch.setattr(showing, "LINE_SECONDS", 0.0)
    model = build(verbose=1, **parameters).fit(X)
    out, err = capsys.readouterr()
    first, *lines, last = out.splitlines()
    assert first == "compiling and training a network 6-3-6 in float32"
    assert lines
    assert all(PROGRESS.fullmatch(line) for line in lines)
    where = f"iteration {model.n_iter_}, {model.n_evaluations_} evaluations, J {model.loss_:.6f}, gradient "
    assert last == f"{why} ({where}{model.gradient_norm_:.1e})"
    assert err == ""


def test_verbose_prints_at_most_a_line_a_second(build, X, capsys, monkeypatch):
    monkeypatch.setattr(showing, "LINE_SECONDS", 3600.0)
    build(verbose=1).fit(X)
    _, first, last = capsys.readouterr().out.splitlines()
    assert PROGRESS.fullmatch(first)
    assert last.startswith("converged")


# Threads


def test_fits_in_two_precisions_in_two_threads_have_the_same_bits_as_alone(build, X, same_bits):
    """Each fit waits in its first callback for the other, so that both run at the same time."""
    alone = {dtype: build(dtype=dtype).fit(X) for dtype in ("float32", "float64")}
    together, outputs = {}, {}
    meet = threading.Barrier(2, timeout=60)

    def callback(progress):
        if progress.iteration == 0:
            meet.wait()

    def work(dtype):
        for _ in range(5):
            together[dtype] = build(dtype=dtype, callback=callback).fit(X)
            outputs[dtype] = together[dtype].transform(X)

    threads = [threading.Thread(target=work, args=(dtype,)) for dtype in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for dtype in alone:
        assert same_bits(together[dtype], alone[dtype])
        np.testing.assert_array_equal(outputs[dtype], alone[dtype].transform(X))
        assert outputs[dtype].dtype == dtype


# Out of memory


@pytest.fixture
def short_of_memory(monkeypatch):
    """Simulate devices that run out of memory in the first bursts of a training."""

    def make(n_failures):
        genuine, sizes = passes._burst, []

        def burst(objective, samples, state, steps, pause):
            if steps:
                sizes.append(samples.inputs.shape[-1])
                if len(sizes) <= n_failures:
                    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 3 bytes")
            return genuine(objective, samples, state, steps, pause)

        monkeypatch.setattr(passes, "_burst", burst)
        return sizes

    return make


@pytest.mark.slow
@pytest.mark.usefixtures("as_shipped")
def test_out_of_memory_halves_the_chunks_once_with_a_warning(build, X, short_of_memory):
    sizes = short_of_memory(1)
    with pytest.warns(UserWarning, match="ran out of memory with chunks of 64 samples; trying again with chunks of 32"):
        model = build().fit(X)
    assert sizes[0] == 64
    assert set(sizes[1:]) == {32}
    assert model.converged_


@pytest.mark.slow
def test_out_of_memory_a_second_time_is_an_error(build, X, short_of_memory):
    short_of_memory(2)
    with (
        pytest.warns(UserWarning, match="trying again"),
        pytest.raises(RuntimeError, match="Out of memory"),
    ):
        build().fit(X)
