"""Folders of checkpoints: one hyperparameter for a fit, or for all fits of a search."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder
from sparsam._utils.checksummed_file import checksummed, read_checksummed
from sparsam.engine.training.checkpoints import FORMAT, HEADER_KEY
from sparsam.estimators._training.supervised import split_seed

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).uniform(0.1, 0.9, (40, 4))
FILE = re.compile(r"checkpoint-\d{4}-\d{8}\.safetensors")


def autoencoder(checkpoint=None, **options):
    return SparseAutoencoder(2, rho=0.2, beta=0.1, random_state=0, **{"max_iter": 6} | options, checkpoint=checkpoint)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("checkpoint-*")}


def subfolders(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.is_dir())


# As a hyperparameter


@pytest.mark.parametrize("Model", [SparseAutoencoder, MultivariateNormalRegressor, NoisyLabelClassifier])
def test_a_checkpoint_is_cloned_compared_and_set(Model, tmp_path):
    checkpoint = Checkpoint(tmp_path, every="5min", resume=True, per_fit=True)
    model = Model(checkpoint=checkpoint)
    assert model.get_params()["checkpoint"] is checkpoint
    assert clone(model).checkpoint == checkpoint
    assert model.set_params(checkpoint=None).checkpoint is None
    assert not {"resume", "checkpoint_every"} & model.get_params().keys()
    with pytest.raises(AttributeError):
        checkpoint.resume = False


@pytest.mark.parametrize("of", [str, Path, Checkpoint])
def test_a_path_is_a_checkpoint_with_the_defaults(tmp_path, of):
    model = autoencoder(of(tmp_path / "run")).fit(X)
    assert list(contents(tmp_path / "run")) == ["checkpoint-0000-00000001.safetensors"]
    with pytest.raises(FileExistsError, match="to continue that run, set resume=True"):
        autoencoder(of(tmp_path / "run")).fit(X)
    resumed = autoencoder(Checkpoint(tmp_path / "run", resume=True)).fit(X)
    np.testing.assert_array_equal(resumed.components_, model.components_)


def test_a_checkpoint_with_other_held_out_rows_is_refused(tmp_path):
    """In earlier versions the seed came from the weights' stream, and was not in the fingerprint."""
    y = X[:, :1] ** 2

    def fit(**options):
        model = MultivariateNormalRegressor((), early_stopping=True, random_state=0, max_iter=2)
        return model.set_params(checkpoint=Checkpoint(tmp_path, **options)).fit(X, y)

    fit()
    [path] = tmp_path.glob("checkpoint-*")
    header, arrays = read_checksummed(path, HEADER_KEY, FORMAT, if_older="")
    assert header["fingerprint"].pop("rows held out") == split_seed(0)
    path.write_bytes(checksummed(HEADER_KEY, header, arrays))
    with pytest.raises(ValueError, match=r"another run, which differs in: rows held out \(None there, \d+ here\)"):
        fit(resume=True)


# One checkpoint for many fits


def test_each_fit_has_a_subfolder_by_its_data_and_hyperparameters(tmp_path):
    checkpoint = Checkpoint(tmp_path, per_fit=True)
    for options, rows in (({}, X), ({"alpha": 1e-3}, X), ({}, X[:30]), ({"dtype": "float64"}, X)):
        autoencoder(checkpoint, **options).fit(rows)
    assert len(subfolders(tmp_path)) == 4
    resumed = Checkpoint(tmp_path, per_fit=True, resume=True)
    for options in ({"max_iter": 9}, {"tol": 1e-3}, {"time_budget": 60.0, "verbose": 0}, {"warm_start": True}):
        with warnings.catch_warnings(record=True):  # for example with a larger tol than before
            autoencoder(resumed, **options).fit(X)
    assert len(subfolders(tmp_path)) == 4
    assert autoencoder(resumed, max_iter=9).fit(X).history_["resumed"].iloc[-1] >= 1


def test_a_second_fit_goes_without_checkpoints_and_warns(tmp_path):
    checkpoint = Checkpoint(tmp_path, per_fit=True)
    expected = autoencoder().fit(X)
    autoencoder(checkpoint).fit(X)
    before = contents(tmp_path)
    with pytest.warns(UserWarning, match="runs without checkpoints: the folder .* set resume=True"):
        second = autoencoder(checkpoint).fit(X)
    np.testing.assert_array_equal(second.components_, expected.components_)
    [name] = subfolders(tmp_path)
    with (
        FileLock(tmp_path / name / ".lock"),
        pytest.warns(UserWarning, match=f"runs without checkpoints: another fit .* is using .*{name}"),
    ):
        second = autoencoder(Checkpoint(tmp_path, per_fit=True, resume=True), max_iter=9).fit(X)
    assert second.n_iter_ == 9
    with pytest.warns(UserWarning, match="runs without checkpoints: .*is at iteration 6"):
        second = autoencoder(Checkpoint(tmp_path, per_fit=True, resume=True), max_iter=3).fit(X)
    assert second.n_iter_ == 3
    assert contents(tmp_path) == before


def test_the_subfolder_is_free_again_after_a_fit_that_failed(tmp_path):
    def fails(progress):
        raise KeyError("of the callback")

    checkpoint = Checkpoint(tmp_path, per_fit=True)
    with pytest.raises(KeyError):
        autoencoder(checkpoint, callback=fails).fit(X)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="This fit goes without")
        autoencoder(checkpoint).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_saves_each_of_its_fits(tmp_path, n_jobs):
    y = X[:, :2] ** 2
    grid = {"alpha": [1e-3, 1e-1], "max_iter": [3, 6]}

    def search(**options):
        model = MultivariateNormalRegressor((), random_state=0, tol=1e-12, **options)
        return GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)

    expected = search().cv_results_["mean_test_score"]
    for checkpoint in (Checkpoint(tmp_path, per_fit=True), Checkpoint(tmp_path, per_fit=True, resume=True)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two values of max_iter share a subfolder, which one fit can use
            found = search(checkpoint=checkpoint)
        np.testing.assert_array_equal(found.cv_results_["mean_test_score"], expected)
    assert len(subfolders(tmp_path)) == 2 * 2 + 1  # and the refit on all rows
    assert all(any(map(FILE.fullmatch, names)) for names in map(names_in, map(tmp_path.joinpath, subfolders(tmp_path))))


def names_in(folder):
    return [path.name for path in folder.iterdir()]
