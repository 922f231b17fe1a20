"""Fits that begin on a sample of the rows: which do, and what else does not change."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, load, parameter_study, save
from sparsam.engine.data.batch import Batch
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.engine.training.train_many import train_lanes
from sparsam.estimators._data import dataset as dataset_module
from sparsam.estimators._data import stream_sample
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._training.convergence import warn_or_raise
from sparsam.estimators._training.device_data import DeviceData
from sparsam.estimators.fit_many import fit_many

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_ROWS = 640
RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (N_ROWS, 6))


@pytest.fixture
def many_chunks(monkeypatch):
    """Make chunks of 16 rows, so that 640 rows are as many as some ten thousand."""
    monkeypatch.setattr(dataset_module, "choose_chunk_size", lambda *arguments: 16)


def build(**parameters):
    standard = {"n_components": 3, "rho": 0.2, "beta": 0.5, "random_state": 0, "max_iter": 12, "tol": 1e-4}
    return SparseAutoencoder(**standard | parameters)


def same(one, other):
    arrays = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    return all(np.array_equal(a, b) for a, b in arrays) and one.loss_curve_ == other.loss_curve_


class Chunks:
    """Yields chunks of rows, and counts the passes."""

    def __init__(self, *arrays, size=50):
        self.arrays, self.size, self.passes = arrays, size, 0

    def __iter__(self):
        self.passes += 1
        for start in range(0, len(self.arrays[0]), self.size):
            parts = tuple(array[start : start + self.size] for array in self.arrays)
            yield parts if len(parts) > 1 else parts[0]


def test_a_fit_begins_on_a_sample_and_ends_at_a_minimum_on_all_rows(many_chunks):
    model, plain = build(max_iter=1000).fit(X), build(max_iter=1000, start_on_sample=False).fit(X)
    assert model.stop_reason_ == plain.stop_reason_ == "converged"
    assert model.gradient_norm_ <= 1e-4
    assert model.loss_ == pytest.approx(plain.loss_, rel=0.01)
    assert model.cost(X) == pytest.approx(model.loss_, rel=1e-5)
    sampled = model.sample_history_
    assert list(sampled) == [*plain.history_, "share"]
    assert set(sampled["share"]) == {5 / 40, 10 / 40, 20 / 40}
    assert sampled["iteration"].tolist() == list(range(len(sampled)))
    assert sampled["seconds"].iloc[-1] <= model.history_["seconds"].iloc[0]
    assert len(model.loss_curve_) == model.n_iter_ + 1 == len(model.history_)
    assert model.history_["evaluations"].iloc[0] == 1
    assert plain.sample_history_.empty


def test_data_of_one_chunk_begin_on_all_rows():
    for chunk_size in (None, 16):  # whatever the user sets
        model = build(chunk_size=chunk_size).fit(X)
        assert model.sample_history_.empty
        assert same(model, build(chunk_size=chunk_size, start_on_sample=False).fit(X))
    assert build().fit(Chunks(X)).sample_history_.empty


def test_the_default_chunk_decides():
    """Of 64-25-64 it holds 27,000 rows."""
    shares = {
        n_rows: DeviceData(
            InMemoryDataset(Batch(np.ones((n_rows, 64)) * np.arange(n_rows)[:, None])), (64, 25, 64), None
        )
        for n_rows in (27_000, 60_000)
    }
    for n_rows, data in shares.items():
        data.least_rows = 650
        assert bool(data.samples_to_begin_on("float32")) == (n_rows == 60_000)


def test_integer_weights_and_the_order_of_rows_change_no_bit(many_chunks):
    weights = RNG.integers(1, 4, N_ROWS)
    weighted, repeated = build().fit(X, sample_weight=weights), build().fit(np.repeat(X, weights, axis=0))
    assert len(weighted.sample_history_)
    assert same(weighted, repeated)
    assert same(build().fit(X), build().fit(X[::-1]))


def test_a_fit_from_fitted_weights_begins_on_all_rows(many_chunks):
    model = build(warm_start=True).fit(X)
    assert len(model.sample_history_)
    reached = model.loss_
    assert model.fit(X).sample_history_.empty
    assert model.loss_curve_[0] == pytest.approx(reached, rel=1e-5)


def test_a_saved_model_keeps_its_sample_history(many_chunks, tmp_path):
    model = build().fit(X)
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").sample_history_.equals(model.sample_history_)


def test_polishing_goes_on_from_there_on_all_rows(many_chunks):
    model = build(polish=True, max_iter=1000).fit(X)
    assert model.gradient_norm_ <= 1e-8
    assert model.sample_history_.drop(columns="seconds").equals(
        build(max_iter=1000).fit(X).sample_history_.drop(columns="seconds")
    )


def test_a_target_that_no_row_of_the_sample_has_is_learned_from_all_rows(many_chunks):
    Y = X[:, :2] + RNG.normal(0, 0.1, (N_ROWS, 2))
    Y[3:, 1] = np.nan
    options = {"covariance": "diag", "alpha": 0.01, "cv": None, "early_stopping": False, "max_iter": 20}
    model = MultivariateNormalRegressor((), **options).fit(X, Y)
    plain = MultivariateNormalRegressor((), **options, start_on_sample=False).fit(X, Y)
    assert np.all(np.isfinite(model.loss_curve_))
    assert model.loss_ == pytest.approx(plain.loss_, abs=0.05)


@pytest.mark.parametrize("n_sampled", [0, 50])
def test_a_stop_after_many_iterations_on_a_sample_is_not_close_to_the_initial_weights(n_sampled):
    rows = [Progress(k, k + 1, 0.1, 1.0, {}, 0.5) for k in range(n_sampled + 1)]
    training = Training(np.zeros(2), "time_budget", 1e-5, history=rows[:1], sampled=rows[1:])
    with pytest.warns(ConvergenceWarning, match="Not converged: the time budget is used up") as caught:
        warn_or_raise(training)
    assert ("close to the initial ones" in str(caught[0].message)) == (n_sampled == 0)


def test_fits_in_lanes_begin_on_all_rows(many_chunks):
    found = {}
    fit_many([build(max_iter=3)], X, lambda number, model: found.update({number: model}), train_many=train_lanes)
    assert found[0].sample_history_.empty


def test_fits_of_a_study_begin_on_the_sample_too(many_chunks):
    found = parameter_study(build(), {"rho": [0.1, 0.2]}, X)
    alone = [build(rho=rho, random_state=0).fit(X) for rho in (0.1, 0.2)]
    assert found["J"].tolist() == [model.loss_ for model in alone]


@pytest.mark.slow
@pytest.mark.parametrize("Model", [MultivariateNormalRegressor, NoisyLabelClassifier])
def test_only_trainings_to_a_minimum_begin_on_a_sample(Model, many_chunks):
    y = X[:, :2] + RNG.normal(0, 0.1, (N_ROWS, 2))
    y = y if Model is MultivariateNormalRegressor else y[:, 0] > 0.5
    options = {"random_state": 0, "max_iter": 12}
    to_the_end = Model((3,), early_stopping=False, **options).fit(X, y)
    assert len(to_the_end.sample_history_)
    assert Model((3,), early_stopping=True, **options).fit(X, y).sample_history_.empty
    assert Model((3,), early_stopping=False, start_on_sample=False, **options).fit(X, y).sample_history_.empty


def test_a_stream_is_sampled_in_one_pass_and_then_needs_fewer(many_chunks):
    plain, sampled = Chunks(X), Chunks(X)
    options = {"max_iter": 1000, "dtype": "float64"}
    expected = build(start_on_sample=False, **options).fit(plain)
    model = build(**options).fit(sampled)
    assert model.stop_reason_ == expected.stop_reason_ == "converged"
    assert model.loss_ == pytest.approx(expected.loss_, rel=0.01)
    shares = model.sample_history_["share"].unique()
    assert abs(shares[-1] - 0.5) < 4 * 0.5 / np.sqrt(N_ROWS)  # a binomial share
    per_evaluation = plain.passes / expected.n_evaluations_
    assert sampled.passes < per_evaluation * model.n_evaluations_ * 1.2 + 10
    assert sampled.passes < plain.passes


def test_a_sample_of_a_stream_is_limited_in_size(many_chunks, monkeypatch):
    monkeypatch.setattr(stream_sample, "SAMPLE_BYTES", 200 * 7 * 4)
    shares = build().fit(Chunks(X)).sample_history_["share"]
    assert abs(shares.iloc[-1] - 200 / N_ROWS) < 4 * np.sqrt(200) / N_ROWS
    monkeypatch.setattr(stream_sample, "SAMPLE_BYTES", 60 * 7 * 4)  # fewer rows than 10 per weight of a unit
    assert build().fit(Chunks(X)).sample_history_.empty


def test_weights_of_a_stream_count_in_its_sample(many_chunks):
    """Rows of weight 0 have no influence, also on the sample."""
    weights = np.repeat([1.0, 0.0], [400, 240])
    spoilt = np.where(weights[:, None] > 0, X, 0.5)
    models = [build().fit(Chunks(rows, weights)) for rows in (X, spoilt)]
    assert len(models[0].sample_history_)
    assert same(*models)


def test_progress_on_a_sample_is_shown(many_chunks, monkeypatch, capsys):
    monkeypatch.setattr("sparsam.estimators._progress.displays.LINE_SECONDS", 0.0)
    build(verbose=1).fit(X)
    out = capsys.readouterr().out
    assert out.index("iterations on a part of the rows") < out.index("iteration     0")


def test_start_on_sample_must_be_a_bool():
    with pytest.raises(TypeError, match="start_on_sample must be True or False"):
        build(start_on_sample="yes").fit(X)
