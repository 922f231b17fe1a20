"""Checkpoints: a killed fit resumes to the same bits, and its files can always be read."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, load, save
from sparsam._utils import stop_signals as signals_module
from sparsam._utils.stop_signals import StopSignals
from sparsam.engine.data.batch import Batch
from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.train import train
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.dataset_fingerprint import fingerprint_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).uniform(0.1, 0.9, (60, 6))


class Stopped(Exception):
    pass


def build(folder=None, *, every=0, resume=False, **parameters):
    standard = {"n_components": 3, "rho": 0.2, "beta": 0.1, "random_state": 0, "max_iter": 60, "tol": 0.0}
    if folder is not None:
        standard["checkpoint"] = Checkpoint(folder, every=every, resume=resume)
    return SparseAutoencoder(**standard | parameters)


def stop_at(iteration):
    """A callback that ends a fit between two checkpoints, as a power cut would."""

    def callback(progress):
        if progress.iteration >= iteration:
            raise Stopped

    return callback


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def broken_off(tmp_path):
    """Make a folder with the checkpoints of an interrupted fit."""
    folder = tmp_path / "run"
    with pytest.raises(Stopped):
        build(folder, callback=stop_at(20)).fit(X)
    return folder


@pytest.fixture(scope="module")
def whole():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return build().fit(X)


@pytest.fixture(scope="session")
def same_bits():
    """Compare weights and history, except times, of two models."""

    def compare(one, other):
        for name in ("coefs_", "intercepts_"):
            for array, expected in zip(getattr(one, name), getattr(other, name), strict=True):
                np.testing.assert_array_equal(array, expected)
        columns = [name for name in other.history_ if name not in ("seconds", "resumed")]
        assert one.history_[columns].equals(other.history_[columns])
        assert one.stop_reason_ == other.stop_reason_

    return compare


# Resuming


def test_a_resumed_fit_ends_in_the_same_bits(broken_off, whole, same_bits):
    model = build(broken_off, resume=True).fit(X)
    same_bits(model, whole)
    assert model.stop_reason_ == "max_iter"
    assert model.history_["resumed"].iloc[0] == 0
    assert model.history_["resumed"].iloc[-1] == 1
    assert np.all(np.diff(model.history_["seconds"]) >= 0)
    assert "resumed" not in whole.history_


def test_a_finished_fit_is_read_and_not_trained_again(broken_off, same_bits):
    model = build(broken_off, resume=True).fit(X)
    again = build(broken_off, resume=True, callback=stop_at(0)).fit(X)
    same_bits(again, model)


def test_resume_without_a_checkpoint_begins(tmp_path, whole, same_bits):
    same_bits(build(tmp_path / "new" / "run", resume=True).fit(X), whole)


def test_the_last_two_are_kept(broken_off):
    assert len(names(broken_off)) == 2
    assert all(name.startswith("checkpoint-0000-") for name in names(broken_off))


def test_how_often_it_is_saved_follows_the_clock(tmp_path):
    build(tmp_path, every="1h").fit(X)
    assert names(tmp_path) == ["checkpoint-0000-00000001.safetensors"]  # at the end


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["kronecker-lbfgs", "lbfgs"])
def test_rows_that_are_read_are_resumed_too(tmp_path, same_bits, solver):
    class Chunks:
        def __iter__(self):
            return iter(np.array_split(X, 3))

    whole = build(solver=solver, max_iter=20).fit(Chunks())
    with pytest.raises(Stopped):
        build(tmp_path, solver=solver, max_iter=20, callback=stop_at(9)).fit(Chunks())
    same_bits(build(tmp_path, solver=solver, max_iter=20, resume=True).fit(Chunks()), whole)


ESTIMATING = {
    "noise": (NoisyLabelClassifier, (), (X[:, 0] > 0.5).astype(int), "epsilon_"),
    "folds": (MultivariateNormalRegressor, (2,), X[:, :2] ** 2, "predictive_covariance_"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", ESTIMATING)
def test_the_trainings_of_an_estimate_are_resumed_one_by_one(tmp_path, same_bits, what):
    Model, sizes, y, estimate = ESTIMATING[what]

    def build(**options):
        return Model(sizes, random_state=0, max_iter=15, **options)

    whole, steps, broken = build().fit(X, y), [], 0
    options = {"checkpoint": Checkpoint(tmp_path, every=0, resume=True)}

    def callback(progress):
        steps.append(progress)
        if len(steps) % 12 == 0:
            raise Stopped

    for _ in range(100):
        try:
            model = build(callback=callback, **options).fit(X, y)
            break
        except Stopped:
            broken += 1
    assert broken > 2
    same_bits(model, whole)
    np.testing.assert_array_equal(getattr(model, estimate), getattr(whole, estimate))


@pytest.mark.slow
def test_polishing_is_a_stage_of_its_own(tmp_path, same_bits):
    def regressor(**options):
        return MultivariateNormalRegressor((), dtype="float32", polish=True, random_state=0, **options)

    whole = regressor().fit(X, X[:, :2] ** 2)
    model = regressor(checkpoint=tmp_path).fit(X, X[:, :2] ** 2)
    same_bits(model, whole)
    assert {name[:15] for name in names(tmp_path)} == {"checkpoint-0000", "checkpoint-0001"}
    again = regressor(checkpoint=Checkpoint(tmp_path, resume=True), callback=stop_at(0)).fit(X, X[:, :2] ** 2)
    same_bits(again, whole)


def test_a_model_that_was_checkpointed_can_be_saved(broken_off, tmp_path):
    model = build(broken_off, resume=True).fit(X)
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.checkpoint is None
    assert loaded.cost(X) == model.cost(X)


# Refusals


def test_a_folder_with_a_checkpoint_is_refused_unless_resumed(broken_off):
    before = names(broken_off)
    with pytest.raises(FileExistsError, match=r"of another run: to continue .* set resume=True in sparsam\.Checkpoint"):
        build(broken_off).fit(X)
    assert names(broken_off) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 1e-3}, r"which differs in: alpha \(0.0001 there, 0.001 here\)"),
        ({"n_components": 4}, r"n_components \(3 there, 4 here\)"),
        ({"dtype": "float64"}, "which differs in: dtype"),
        ({"solver": "lbfgs"}, "solver"),
    ],
)
def test_another_model_or_other_options_are_refused(broken_off, changes, message):
    with pytest.raises(ValueError, match=message):
        build(broken_off, resume=True, **changes).fit(X)


def test_a_fit_that_draws_needs_a_seed(tmp_path):
    model = MultivariateNormalRegressor((), early_stopping=True, checkpoint=tmp_path)
    with pytest.raises(ValueError, match="checkpoint needs an integer random_state here"):
        model.fit(X, X[:, :2])
    model = NoisyLabelClassifier((), checkpoint=tmp_path, random_state=np.random.RandomState(0))
    with pytest.raises(ValueError, match="checkpoint needs an integer random_state here"):
        model.fit(X, X[:, 0] > 0.5)


def test_the_order_of_rows_has_no_part_in_the_fingerprint():
    def fingerprint(rows, weights=None):
        return fingerprint_of(InMemoryDataset(Batch(rows, sample_weight=weights)))

    assert fingerprint(X) == fingerprint(X[::-1]) == fingerprint(X, np.ones(60))
    assert fingerprint(np.repeat(X, 2, axis=0)) == fingerprint(X, np.full(60, 2.0))
    assert len({fingerprint(X), fingerprint(X[:-1]), fingerprint(X + 1e-6), fingerprint(X, np.arange(1.0, 61))}) == 4


def test_other_data_are_refused(broken_off):
    with pytest.raises(ValueError, match="which differs in: the data"):
        build(broken_off, resume=True).fit(X + 1e-6)
    with pytest.raises(ValueError, match="the data"):
        build(broken_off, resume=True).fit(X, sample_weight=np.linspace(1, 2, 60))


def test_what_has_no_influence_may_change(broken_off, capsys, same_bits, whole):
    same_bits(build(broken_off, resume=True, verbose=1, time_budget=600.0, every="5min").fit(X), whole)


def test_bad_parameters_are_named(tmp_path):
    for bad in ("soon", "-1s", -1.0, True, "1e999", None):
        with pytest.raises(ValueError, match="every must be seconds"):
            Checkpoint(tmp_path, every=bad)
    with pytest.raises(TypeError, match=r"checkpoint must be the path of a folder, a sparsam\.Checkpoint, or None"):
        SparseAutoencoder(checkpoint=3).fit(X)
    with pytest.raises(TypeError, match="folder must be the path of a folder"):
        Checkpoint(3)
    with pytest.raises(TypeError, match="resume must be True or False"):
        Checkpoint(tmp_path, resume="yes")
    every = ("60s", "1.5 min", "2h", 3, "4", 1e-5)
    assert [Checkpoint(tmp_path, every=text).seconds for text in every] == [60, 90, 7200, 3, 4, 1e-5]


# Damaged files and failing disks


def damage(path, kind):
    content = bytearray(path.read_bytes())
    if kind == "truncated":
        content = content[: len(content) // 2]
    elif kind == "a bit":
        content[-9] ^= 1
    elif kind == "empty":
        content = bytearray()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("truncated", "it is not a safetensors file, or it is truncated"),
        ("a bit", "it was edited or damaged after it was saved \\(the digest does not match\\)"),
        ("empty", "it is not a safetensors file, or it is truncated"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(broken_off, kind, cause, whole, same_bits):
    newest = broken_off / names(broken_off)[-1]
    damage(newest, kind)
    with pytest.warns(UserWarning, match=f"skipped a damaged checkpoint \\({newest.name}: {cause}"):
        same_bits(build(broken_off, resume=True).fit(X), whole)


def test_without_any_that_is_whole_it_ends(broken_off):
    for name in names(broken_off):
        damage(broken_off / name, "truncated")
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read"):
        build(broken_off, resume=True).fit(X)


def test_what_a_killed_write_left_is_cleared_away(broken_off):
    (broken_off / ".checkpoint-0000-00000099.safet.0123456789abcdef.tmp").write_bytes(b"half")
    (broken_off / "notes.txt").write_text("the user's own")
    build(broken_off, resume=True).fit(X)
    assert [name for name in names(broken_off) if not name.startswith("checkpoint-")] == ["notes.txt"]


def test_a_full_disk_does_not_end_the_training(broken_off, monkeypatch, whole, same_bits):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = names(broken_off)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="could not be written .*No space left on device.*the last good one is"):
        same_bits(build(broken_off, resume=True).fit(X), whole)
    assert names(broken_off) == before
    monkeypatch.undo()
    same_bits(build(broken_off, resume=True).fit(X), whole)


def test_a_folder_that_is_taken_away_does_not_end_the_training(tmp_path, whole, same_bits):
    folder = tmp_path / "run"
    with pytest.warns(UserWarning, match="could not be written"):
        same_bits(build(folder, callback=lambda p: shutil.rmtree(folder, ignore_errors=True)).fit(X), whole)


def test_a_quota_does_not_end_the_training(broken_off, whole, same_bits):
    before, handler = names(broken_off), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        with pytest.warns(UserWarning, match="could not be written .*File too large"):
            model = build(broken_off, resume=True).fit(X)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    same_bits(model, whole)
    assert names(broken_off) == before
    same_bits(build(broken_off, resume=True).fit(X), whole)


def test_the_engine_alone_goes_on_from_a_folder(tmp_path, training_job):
    objective, samples, theta = training_job("float32")
    whole = train(objective, samples, theta, max_iter=12)
    stop = FunctionCallback(lambda progress: progress.iteration > 3)
    stopped = train(objective, samples, theta, max_iter=12, callbacks=[stop], checkpointer=Checkpointer(tmp_path, 0.0))
    assert stopped.stop_reason == "callback"
    assert 1 <= len(names(tmp_path)) <= 2
    with pytest.raises(FileExistsError, match="holds the checkpoint"):
        Checkpointer(tmp_path)
    resumed = train(objective, samples, theta, max_iter=12, checkpointer=Checkpointer(tmp_path, resume=True))
    assert resumed.history[-1].resumed == 1
    np.testing.assert_array_equal(resumed.theta, whole.theta)


# Signals


def test_a_signal_that_comes_twice_at_once_is_one(monkeypatch):
    signals = StopSignals()
    with signals.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT
        monkeypatch.setattr(signals_module, "SAME_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) != signals._receive


@pytest.mark.slow
def test_kills_change_no_bit(tmp_path, reduction):
    """Kill fits of every estimator by SIGKILL at random moments; of fifty some happen during a write."""
    n_kills, script = 50 // reduction, Path(__file__).with_name("killed.py")
    output = subprocess.run(
        [sys.executable, script, tmp_path, str(n_kills), "0"], capture_output=True, text=True, check=True, timeout=500
    ).stdout
    result = json.loads(output)
    assert result["kills"] == n_kills
    assert all(run["same"] for run in result["runs"])
    if n_kills == 50:
        assert result["inside_a_write"] > 0
        assert {run["model"] for run in result["runs"]} == {"autoencoder", "regressor", "classifier"}
        assert any(run["resumed"] for run in result["runs"])


ENDLESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # the process that runs the tests may ignore it
import numpy as np
from sparsam import Checkpoint, SparseAutoencoder

X = np.random.default_rng(0).uniform(0.1, 0.9, (60, 6))
model = SparseAutoencoder(
    3, rho=0.2, beta=0.1, max_iter=10**6, tol=0.0, random_state=0, checkpoint=Checkpoint(sys.argv[1], every="1h"),
    callback=lambda progress: print(progress.iteration, flush=True) or __import__("time").sleep(0.01),
)
model.fit(X)
print("fitted", model.stop_reason_)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 0, marks=pytest.mark.exhaustive)]
)
def test_a_signal_ends_the_fit_after_a_last_checkpoint(tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == code
    assert ("fitted interrupted" in output) == (number == signal.SIGINT)
    assert names(tmp_path) == ["checkpoint-0000-00000001.safetensors"]
