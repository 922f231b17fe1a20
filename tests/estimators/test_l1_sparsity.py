"""Sparse codes of ReLU units, with L1 sparsity."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import sparsam.engine.training.adam as adam
import sparsam.engine.training.kinks as kinks
import sparsam.engine.training.mini_batches as mini_batches
from sparsam import Checkpoint, SparseAutoencoder, StackedAutoencoder, load, parameter_study, reference, report, save

OPTIONS = {"sparsity": "l1", "hidden_activation": "relu", "output_activation": "identity", "random_state": 0}


def autoencoder(n_components=8, **options):
    return SparseAutoencoder(n_components, **OPTIONS | options)


def planted(n_samples=600, n_directions=10, n_features=8, seed=0):
    """Rows that are sums of one or two of some directions, and the directions, of length 1."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n_directions, n_features))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    amounts = rng.uniform(1, 2, size=(n_samples, n_directions)) * (rng.uniform(size=(n_samples, n_directions)) < 0.15)
    return amounts @ directions + 0.01 * rng.normal(size=(n_samples, n_features)), directions


X, DIRECTIONS = planted()


@pytest.fixture(scope="module")
def fitted():
    return autoencoder(12).fit(X)


@pytest.fixture
def few_batches(monkeypatch):
    """Begin on mini-batches with few rows, and take few steps."""
    monkeypatch.setattr(kinks, "LEAST_ROWS", 100)
    monkeypatch.setattr("sparsam.estimators._training.train_estimator.LEAST_ROWS", 100)
    monkeypatch.setattr(mini_batches, "FIRST_CYCLE", 200)
    monkeypatch.setattr(adam, "BATCH_ROWS", 64)


class Chunks:
    """Rows that are yielded in chunks."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(np.array_split(self.rows, 7))


@pytest.mark.parametrize(
    "data",
    [
        StandardScaler().fit_transform(load_wine().data),
        load_digits().data[:300],
        1e-3 * load_digits().data[:300],
        1e4 + 1e3 * StandardScaler().fit_transform(load_wine().data),
    ],
    ids=["wine", "digits", "small", "far from 0"],
)
def test_the_defaults_converge_on_small_tables_in_any_units(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = autoencoder(12).fit(data)
    Z = model.transform(data)
    assert model.converged_
    assert 0.5 < model.explained_variance_ratio_ < 1
    assert 1 < np.mean(np.sum(Z > 0, axis=1)) < 9
    assert np.all(np.any(Z > 0, axis=0))


def test_it_finds_planted_directions():
    # 10 directions in 8 dimensions; two units more than directions.
    model = autoencoder(12, beta=0.1).fit(X)
    found = model.coefs_[1] / np.linalg.norm(model.coefs_[1], axis=1, keepdims=True)
    assert np.sort((found @ DIRECTIONS.T).max(axis=0))[2:].min() > 0.95


LENGTH = np.sqrt(np.mean(np.sum((X - X.mean(axis=0)) ** 2, axis=1)))


def test_cost_is_that_of_the_reference_in_units_of_the_rows_and_loss_is_the_cost(fitted):
    (W1, W2), (b1, b2) = fitted.coefs_, fitted.intercepts_
    x, mean = (X - X.mean(axis=0)) / LENGTH, X.mean(axis=0)
    J, *_ = reference.network_cost(
        [W1, W2],
        [(b1 + mean @ W1) / LENGTH, (b2 - mean) / LENGTH],
        x,
        x,
        hidden_activation="relu",
        output_activation="identity",
        alpha=fitted.alpha,
        beta=0.05,
        sparsity="l1",
    )
    assert fitted.cost(X) == pytest.approx(J, rel=1e-6)
    assert fitted.loss_ == pytest.approx(J, rel=1e-5)
    assert fitted.loss_ == pytest.approx(sum(fitted.terms_.values()), rel=1e-6)
    assert fitted.terms_["squared_error"] == pytest.approx((1 - fitted.explained_variance_ratio_) / 2, rel=1e-4)
    assert fitted.score(X) == pytest.approx(-fitted.terms_["squared_error"] * LENGTH**2, rel=1e-4)
    np.testing.assert_allclose(fitted.mean_activation_, fitted.transform(X).mean(axis=0), rtol=1e-4)
    assert fitted.terms_.keys() == {"squared_error", "weight_decay", "l1_sparsity"}


def test_at_the_end_no_direction_leads_down(fitted):
    # From a point that is stationary up to the width of the kinks, J rises along any direction, or falls by no more
    # than the width allows.
    rng = np.random.default_rng(1)
    model = clone(fitted)
    vars(model).update(vars(fitted))
    for _ in range(20):
        changes = [1e-3 * rng.normal(size=coef.shape) / np.sqrt(coef.size) for coef in fitted.coefs_]
        model.coefs_ = [coef + change for coef, change in zip(fitted.coefs_, changes, strict=True)]
        assert model.cost(X) > fitted.cost(X) - 1e-6 * fitted.cost(X)


@pytest.mark.parametrize("scale", [1e-4, 7.0, 1e6])
def test_units_of_the_inputs_make_no_difference(fitted, scale):
    # But for rounding, and the order of the rows, which may lead to a neighboring minimum.
    model = autoencoder(12).fit(scale * X)
    assert model.converged_
    assert model.loss_ == pytest.approx(fitted.loss_, rel=0.02)
    assert model.score(scale * X) == pytest.approx(scale**2 * fitted.score(X), rel=0.1)
    assert model.transform(scale * X).mean() == pytest.approx(scale * fitted.transform(X).mean(), rel=0.1)
    np.testing.assert_allclose(model.mean_activation_, model.transform(scale * X).mean(axis=0), rtol=1e-3)


def test_the_origin_of_the_inputs_makes_no_difference(fitted):
    model = autoencoder(12).fit(X + 16.0)
    assert model.loss_ == pytest.approx(fitted.loss_, rel=2e-2)  # perhaps a neighboring minimum: rounding differs
    assert model.predict(X + 16.0).mean() == pytest.approx(X.mean() + 16, abs=0.01)


def test_defaults_of_beta():
    for sparsity, beta in (("l1", 0.05), ("kl", 3.0)):
        hidden = "relu" if sparsity == "l1" else "logistic"
        model = SparseAutoencoder(
            max_iter=1, sparsity=sparsity, hidden_activation=hidden, output_activation="identity"
        ).fit(X)
        assert model.beta_ == beta


def test_a_larger_beta_gives_fewer_active_units_and_explains_less():
    active, explained = [], []
    for beta in (0.02, 0.1, 0.5):
        model = autoencoder(12, beta=beta).fit(X)
        active.append(np.mean(np.sum(model.transform(X) > 0, axis=1)))
        explained.append(model.explained_variance_ratio_)
    assert active == sorted(active, reverse=True)
    assert explained == sorted(explained, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_activation": "logistic"}, "use hidden_activation='relu'"),
        ({"hidden_activation": "satlin"}, "satlin units"),
        ({"output_activation": "logistic"}, "use output_activation='identity'"),
        ({"sparsity": "l0"}, "sparsity"),
        ({"beta": -1.0}, "beta"),
        ({"beta": "much"}, "beta"),
    ],
)
def test_what_it_cannot_be_used_with_is_refused_with_the_reason(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        autoencoder(**options).fit(X)


def test_relu_units_with_kl_sparsity_are_refused_and_told_of_l1():
    with pytest.raises(ValueError, match="sparsity='l1'"):
        SparseAutoencoder(hidden_activation="relu", output_activation="identity").fit(X)


def test_a_stack_refuses_it():
    with pytest.raises(ValueError, match="fit it alone"):
        StackedAutoencoder([autoencoder(), SparseAutoencoder(3)]).fit(X)


def test_a_beta_that_outweighs_the_error_is_warned_of_with_a_smaller_one():
    with pytest.warns(ConvergenceWarning, match="beta to"):
        autoencoder(beta=100.0).fit(X)


def test_dead_units_are_warned_of_with_a_smaller_beta():
    rng = np.random.default_rng(3)
    rows = np.outer(rng.lognormal(size=200), [1.0, 2.0, -1.0]) + 1e-3 * rng.normal(size=(200, 3))
    with pytest.warns(ConvergenceWarning, match="lower it, to 0.025.*lower n_components"):
        autoencoder(20).fit(rows)


def test_constant_data_are_warned_of():
    with pytest.warns(ConvergenceWarning, match="all the same"):
        autoencoder().fit(np.ones((20, 3)))


@pytest.mark.parametrize("begin", ["all", "mini-batches"])
def test_integer_weights_are_copies_to_the_bit(begin, request):
    if begin == "mini-batches":
        request.getfixturevalue("few_batches")
    counts = np.random.default_rng(2).integers(1, 4, size=len(X))
    one = autoencoder(max_iter=40).fit(X, sample_weight=counts)
    other = autoencoder(max_iter=40).fit(np.repeat(X, counts, axis=0))
    for this, that in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(this, that)


def test_mini_batches_come_first_with_many_rows_and_can_be_switched_off(few_batches):
    model = autoencoder(12).fit(X)
    assert model.converged_
    assert len(model.sample_history_) > 0
    assert model.sample_history_.share.max() < 1
    assert len(autoencoder(12, start_on_sample=False).fit(X).sample_history_) == 0
    again = autoencoder(12).fit(X)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("begin", ["all", "mini-batches"])
def test_a_stream_can_be_fitted(begin, request, fitted):
    if begin == "mini-batches":
        request.getfixturevalue("few_batches")
    model = autoencoder(12).fit(Chunks(X))
    assert model.converged_
    assert model.loss_ == pytest.approx(fitted.loss_, rel=0.03)  # perhaps another minimum
    assert bool(len(model.sample_history_)) == (begin == "mini-batches")


@pytest.mark.parametrize("begin", ["all", "mini-batches"])
def test_a_fit_that_was_cut_off_is_resumed_to_the_same_bits(tmp_path, begin, request):
    if begin == "mini-batches":
        request.getfixturevalue("few_batches")
    whole = autoencoder().fit(X)
    with pytest.warns(ConvergenceWarning):
        autoencoder(max_iter=20, checkpoint=Checkpoint(tmp_path, resume=True)).fit(X)
    resumed = autoencoder(checkpoint=Checkpoint(tmp_path, resume=True)).fit(X)
    for this, that in zip(resumed.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(this, that)
    assert resumed.history_.J.tolist() == whole.history_.J.tolist()


def test_a_warm_start_stays_where_it_is(fitted):
    model = clone(fitted).set_params(warm_start=True)
    vars(model).update({name: value for name, value in vars(fitted).items() if name.endswith("_") or name[0] == "_"})
    before = fitted.loss_
    model.fit(X)
    assert model.n_iter_ < 30
    assert model.loss_ <= before * (1 + 1e-5)


@pytest.mark.parametrize(
    "options", [{"tied": True}, {"early_stopping": True}, {"polish": True}, {"dtype": "float64"}, {"corruption": 0.2}]
)
def test_it_goes_with_the_other_options(options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = autoencoder(**options).fit(X)
    assert model.explained_variance_ratio_ > 0.7
    assert model.score(X) == pytest.approx(-np.mean(np.sum((model.predict(X) - X) ** 2, axis=1)) / 2, rel=1e-5)
    for score in model.validation_scores_[-1:]:
        assert score == pytest.approx(model.score(X), rel=0.5)
    if options.get("tied"):
        np.testing.assert_array_equal(model.coefs_[1], model.coefs_[0].T)


def test_it_is_saved_loaded_reported_and_studied(tmp_path, fitted):
    save(fitted, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert loaded.beta_ == fitted.beta_
    report(loaded, X, path=tmp_path / "report.html")
    table = parameter_study(autoencoder(max_iter=20), {"beta": [0.05, 0.2]}, X)
    assert len(table) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@parametrize_with_checks([SparseAutoencoder(3, max_iter=50, **OPTIONS | {"random_state": None})])
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


def test_a_thousand_units_of_word_vectors_stay_alive(few_batches, monkeypatch):
    """At the rate of 400 units, 34 of 1,000 die."""
    monkeypatch.setattr(adam, "BATCH_ROWS", 256)
    with np.load(Path(__file__).parents[2] / "docs" / "data" / "word_vectors.npz") as file:
        vectors = file["vectors"].astype(np.float32)
    Z = autoencoder(1000, max_iter=1, dtype="float32").fit_transform(vectors)
    assert np.mean(~np.any(Z > 0, axis=0)) <= 0.01
