"""Tangents in the estimators: their sources, their effect, and errors."""

import warnings
from functools import partial
from inspect import signature

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sparsam import (
    CovarianceDisplay,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
    TangentPipeline,
    encoder_tangents,
    invariance_report,
    load,
    save,
)
from sparsam.engine.data.batch import Batch
from sparsam.estimators import _tangents as of_estimators
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._progress.progress_display import ProgressDisplay
from sparsam.estimators._tangents import prepare_tangents
from sparsam.estimators.tangent_pipeline import transform_tangents
from sparsam.images import image_tangents


def make_classifier(**parameters):
    standard = {"hidden_layer_sizes": (4,), "epsilon": 0.0, "random_state": 0, "tol": 1e-3}
    return NoisyLabelClassifier(**(standard | parameters))


def make_regressor(**parameters):
    standard = {"hidden_layer_sizes": (4,), "alpha": 1e-3, "covariance": [[0.1]], "random_state": 0}
    standard |= {"tol": 1e-2, "dtype": "float32"}
    return MultivariateNormalRegressor(**(standard | parameters))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(make_classifier, id="classifier"),
        pytest.param(make_regressor, id="regressor", marks=pytest.mark.slow),
    ],
)
def make(request):
    return request.param


@pytest.fixture(scope="module")
def data():
    """80 samples of three features; the target depends only on the first, and the others are nuisances."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3)) * [1.0, 2.0, 0.5]
    return X, (X[:, 0] + 0.3 * rng.normal(size=80) > 0).astype(float)


@pytest.fixture(scope="module")
def along(data):
    """Tangents along the two nuisances."""
    return np.tile(np.eye(3)[None, 1:], (len(data[0]), 1, 1))


def outputs(model, X):
    return model.predict_proba(X)[:, 1] if hasattr(model, "predict_proba") else model.predict(X)


def movement(model, X, along):
    """Measure by differences how much outputs change along tangents."""
    return np.mean([np.abs(outputs(model, X + 0.1 * t) - outputs(model, X - 0.1 * t)).mean() for t in along[0]])


def constant(X, along):
    return np.tile(along, (len(X), 1, 1))


def test_the_penalty_reduces_changes_of_outputs_along_tangents(make, data, along):
    X, y = data
    plain = make().fit(X, y)
    model = make(tangent_weight=1.0).fit(X, y, tangents=along)
    assert movement(model, X, along) < 0.2 * movement(plain, X, along)
    assert np.corrcoef(outputs(model, X), y)[0, 1] > 0.7
    assert "tangent_propagation" in model.history_


def test_a_callable_gives_the_same_model_as_the_array(make, data, along):
    X, y = data
    given = make(tangent_weight=0.1).fit(X, y, tangents=along)
    made = make(tangent_weight=0.1, tangents=partial(constant, along=along[0])).fit(X, y)
    np.testing.assert_array_equal(given.coefs_[0], made.coefs_[0])


def test_weight_zero_is_no_penalty_to_the_bit(make, data, along):
    X, y = data
    without = make(tangent_weight=0.0).fit(X, y, tangents=along)
    np.testing.assert_array_equal(make().fit(X, y).coefs_[0], without.coefs_[0])


def test_weights_are_repetitions_and_order_does_not_matter(make, data):
    X, y = data
    rng = np.random.default_rng(1)
    tangents = rng.normal(size=(80, 2, 3))
    counts = rng.integers(1, 3, size=80)
    index = rng.permutation(np.repeat(np.arange(80), counts))
    model = make(tangent_weight=0.1)
    weighted = clone(model).fit(X, y, sample_weight=counts, tangents=tangents)
    repeated = clone(model).fit(X[index], y[index], tangents=tangents[index])
    np.testing.assert_array_equal(weighted.coefs_[0], repeated.coefs_[0])


@pytest.mark.slow
def test_a_sample_with_two_sets_of_tangents_is_two_samples(make, data):
    X, y = data
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 80, 1, 3))
    both = make(tangent_weight=0.2, normalize_tangents=False, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        twice = clone(both).fit(np.vstack([X, X]), np.hstack([y, y]), tangents=np.vstack([one, other]))
        at_once = clone(both).set_params(tangent_weight=0.1).fit(X, y, tangents=np.concatenate([one, other], axis=1))
    # The mean of Omega over both copies is half of its sum over both tangents.
    assert twice.loss_ == pytest.approx(at_once.loss_, rel=1e-3)


@pytest.mark.slow
def test_early_stopping_uses_the_tangents_of_the_training_part(make, data, along):
    X, y = data
    model = make(tangent_weight=1.0, early_stopping=True, validation_fraction=0.3).fit(X, y, tangents=along)
    assert movement(model, X, along) < movement(make(early_stopping=True, validation_fraction=0.3).fit(X, y), X, along)


@pytest.mark.slow
@pytest.mark.usefixtures("as_shipped")
@pytest.mark.parametrize("early_stopping", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_tangents_too_large_for_memory_are_computed_in_every_pass(make, data, monkeypatch, early_stopping):
    X, y = data
    sizes = []

    def function(X):
        sizes.append(len(X))
        return np.stack([X[:, [1, 2, 0]], X**2], axis=1)

    stopping = {"early_stopping": early_stopping, "validation_fraction": 0.3, "tol": 1e-4}
    model = make(alpha=0.01, tangent_weight=0.1, tangents=function, **stopping)
    kept = clone(model).fit(X, y)
    monkeypatch.setattr(of_estimators, "RESIDENT_BYTES", 1000)
    monkeypatch.setattr(of_estimators, "BATCH_TANGENT_BYTES", 1500)
    sizes.clear()
    made = clone(model).fit(X, y)
    assert len(sizes) > 20
    assert max(sizes) <= 64
    assert made.history_["J"][0] == pytest.approx(kept.history_["J"][0], rel=1e-5)
    assert made.stop_reason_ == kept.stop_reason_ == ("held_out" if early_stopping else "converged")
    assert made.loss_ == pytest.approx(kept.loss_, rel=1e-3 if early_stopping else 1e-6)
    if not early_stopping:
        np.testing.assert_allclose(outputs(made, X), outputs(kept, X), atol=1e-3)


def test_a_callable_that_changes_the_number_of_tangents_raises_an_error(data, monkeypatch):
    X, y = data
    monkeypatch.setattr(of_estimators, "RESIDENT_BYTES", 1000)
    monkeypatch.setattr(of_estimators, "BATCH_TANGENT_BYTES", 1500)
    model = make_classifier(tangent_weight=0.1, tangents=lambda X: np.ones((len(X), 1 + (len(X) < 64), 3)))
    with pytest.raises(ValueError, match="their number must be the same"):
        model.fit(X, y)


# Their length


def normalized(tangents, X, sample_weight):
    dataset = InMemoryDataset(Batch(X, None, sample_weight, tangents))
    return prepare_tangents(make_classifier(), dataset, ProgressDisplay())[0].batch.tangents


def test_normalized_tangents_do_not_depend_on_units(data):
    X, _ = data
    tangents, ones = np.random.default_rng(3).normal(size=(80, 2, 3)), np.ones(80)
    expected = normalized(tangents, X, ones)
    np.testing.assert_allclose(normalized(64 * tangents, X, ones), expected, rtol=1e-12)  # transform's unit
    np.testing.assert_allclose(normalized(tangents, 255 * X, ones), 255 * expected, rtol=1e-12)  # inputs' unit
    # An image with each pixel repeated four times: |Jac tau| is the same with a quarter of the weights.
    larger = normalized(np.repeat(tangents, 4, axis=2), np.repeat(X, 4, axis=1), ones)
    np.testing.assert_allclose(larger, np.repeat(expected, 4, axis=2), rtol=1e-12)


def test_normalized_tangents_have_the_length_of_a_deviation(data):
    X, _ = data
    rng = np.random.default_rng(4)
    tangents, s = rng.normal(size=(80, 2, 3)) * [[[1.0], [100.0]]], rng.uniform(size=80)
    scaled = normalized(tangents, X, s)
    deviation = np.average(np.sum((X - np.average(X, axis=0, weights=s)) ** 2, axis=1), weights=s)
    np.testing.assert_allclose(np.average(np.sum(scaled**2, axis=2), axis=0, weights=s), deviation, rtol=1e-12)
    np.testing.assert_array_equal(normalized(0 * tangents, X, s), 0)  # blank images have zero tangents


# Tangents with scikit-learn's tools


@pytest.mark.slow
def test_cross_validation_slices_the_array_that_fit_gets(make, data, along):
    X, y = data
    seen = []

    class Spy(type(make())):
        def fit(self, X, y, sample_weight=None, tangents=None):
            seen.append((X, tangents))
            return super().fit(X, y, sample_weight, tangents)

    tangents = along * np.arange(1, 81)[:, None, None]
    model = Spy(**make(tangent_weight=0.1).get_params())
    cross_val_score(model, X, y, cv=4, params={"tangents": tangents})
    assert len(seen) == 4
    rows = {tuple(x): t for x, t in zip(X, tangents, strict=True)}
    for part, of_part in seen:
        assert len(part) == 60
        np.testing.assert_array_equal(of_part, [rows[tuple(x)] for x in part])


@pytest.mark.slow
def test_a_grid_search_over_scaled_inputs_transforms_the_tangents(make, data, along):
    X, y = data
    search = GridSearchCV(
        TangentPipeline(StandardScaler(), make()), {"estimator__tangent_weight": [0.0, 1.0]}, cv=2, refit=True
    )
    search.fit(100 * X, y, tangents=along)
    assert set(search.cv_results_["param_estimator__tangent_weight"]) == {0.0, 1.0}
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    model = clone(search.best_estimator_).set_params(estimator__tangent_weight=1.0).fit(100 * X, y, tangents=along)
    plain = clone(model).set_params(estimator__tangent_weight=0.0).fit(100 * X, y)
    assert movement(model, 100 * X, 100 * along) < 0.2 * movement(plain, 100 * X, 100 * along)


def test_a_pipeline_transforms_tangents_like_inputs(data):
    X, y = data
    tangents = np.random.default_rng(5).normal(size=(80, 2, 3))
    scaler = StandardScaler().fit(X)
    np.testing.assert_allclose(transform_tangents(scaler, X, tangents), tangents / scaler.scale_, atol=1e-12)
    pca = PCA(2).fit(X)
    np.testing.assert_allclose(transform_tangents(pca, X, tangents), tangents @ pca.components_.T, rtol=0, atol=1e-9)
    cube = FunctionTransformer(lambda x: x**3)
    np.testing.assert_allclose(transform_tangents(cube, X, tangents), 3 * X[:, None] ** 2 * tangents, rtol=0, atol=1e-4)
    by_hand = make_classifier(tangent_weight=0.3).fit(scaler.transform(X), y, tangents=tangents / scaler.scale_)
    model = TangentPipeline(StandardScaler(), make_classifier(tangent_weight=0.3)).fit(X, y, tangents=tangents)
    np.testing.assert_allclose(model.predict_proba(X), by_hand.predict_proba(scaler.transform(X)), atol=1e-3)
    assert model.score(X, y) == np.mean(model.predict(X) == y)


@pytest.mark.slow
def test_a_pipeline_calls_its_callable_with_the_original_inputs(data, along):
    X, y = data
    called = []

    def tangents(X):
        called.append(X)
        return constant(X, along[0])

    steps = make_pipeline(StandardScaler(), PCA(3))
    model = TangentPipeline(steps, make_classifier(tangent_weight=1.0), tangents=tangents).fit(X, y)
    np.testing.assert_array_equal(called[0], X)
    given = TangentPipeline(steps, make_classifier(tangent_weight=1.0)).fit(X, y, tangents=along)
    np.testing.assert_array_equal(model.predict_proba(X), given.predict_proba(X))


def test_a_model_can_be_saved_after_removing_its_callable(make, data, along, tmp_path):
    """A file cannot contain the callable, and another fit without it would be different."""
    X, y = data
    model = make(tangent_weight=0.1, tangents=partial(constant, along=along[0])).fit(X, y)
    with pytest.raises(TypeError, match=r"tangents is a function, .* set_params\(tangents=None\) before saving"):
        save(model, tmp_path / "model.safetensors")
    save(model.set_params(tangents=None), tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(outputs(loaded, X), outputs(model, X))
    assert loaded.tangents is None
    assert loaded.tangent_weight == 0.1


# Bad input


@pytest.mark.parametrize(
    ("parameters", "tangents", "error", "match"),
    [
        ({"tangent_weight": 1.0}, np.ones((80, 3)), ValueError, r"\(80, n_tangents, 3\) for this X, got an array of"),
        ({"tangent_weight": 1.0}, np.ones((79, 2, 3)), ValueError, r"shape \(79, 2, 3\)"),
        ({"tangent_weight": 1.0}, np.ones((80, 2, 4)), ValueError, r"shape \(80, 2, 4\)"),
        ({"tangent_weight": 0.0}, np.ones((80, 2, 4)), ValueError, r"shape \(80, 2, 4\)"),
        ({"tangent_weight": 1.0}, np.ones((80, 0, 3)), ValueError, "zero tangents per sample"),
        ({"tangent_weight": 1.0}, np.full((80, 1, 3), np.nan), ValueError, "Input tangents contains NaN"),
        ({"tangent_weight": 1.0}, [["a"]], TypeError, "an array of numbers"),
        ({"tangent_weight": 1.0}, None, ValueError, "tangent_weight = 1.0 needs tangents"),
        ({"tangent_weight": -1.0}, None, ValueError, "tangent_weight must be finite and at least 0|tangent_weight"),
        ({"tangents": np.ones((80, 1, 3))}, None, TypeError, "Pass an array to fit"),
        ({"tangents": np.copy, "tangent_weight": 1.0}, np.ones((80, 1, 3)), ValueError, "given twice"),
        (
            {"tangents": np.copy, "tangent_weight": 1.0},
            None,
            ValueError,
            "the result of the parameter tangents must be",
        ),
        ({"normalize_tangents": 1}, None, TypeError, "normalize_tangents must be True or False"),
    ],
)
def test_bad_tangents_are_named(make, data, parameters, tangents, error, match):
    with pytest.raises(error, match=match):
        make(**parameters).fit(*data, tangents=tangents)


def test_tangents_of_selects_the_outputs_of_the_penalty():
    with pytest.raises(ValueError, match="tangents_of must be one of 'log_odds', 'probabilities'"):
        make_classifier(tangents_of="logits").fit([[0.0], [1.0]], [0, 1])


def test_a_pipeline_refuses_two_sources_of_tangents(data, along):
    X, y = data
    with pytest.raises(ValueError, match="given twice"):
        TangentPipeline(StandardScaler(), make_classifier(), tangents=np.copy).fit(X, y, tangents=along)
    with pytest.raises(ValueError, match="called with transformed inputs"):
        TangentPipeline(StandardScaler(), make_classifier(tangents=np.copy)).fit(X, y)
    with pytest.raises(NotFittedError):
        TangentPipeline(StandardScaler(), make_classifier()).predict(X)


# Learned tangents


@pytest.fixture(scope="module")
def autoencoder():
    X = load_digits().data[:400] / 16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return X, SparseAutoencoder(20, beta=0.0, random_state=0, max_iter=100).fit(X)


@pytest.mark.slow
def test_learned_tangents_are_the_leading_singular_vectors_of_the_encoder(autoencoder):
    X, model = autoencoder
    tangents = encoder_tangents(X[:5].astype(np.float64), model, 4)
    assert tangents.shape == (5, 4, 64)
    for x, vectors in zip(X, tangents, strict=False):
        z = model.transform([x])[0]
        jacobian = (z * (1 - z))[:, None] * model.coefs_[0].T
        _, values, expected = np.linalg.svd(jacobian)
        assert values[3] > 1.001 * values[4]
        np.testing.assert_allclose(np.abs(np.sum(vectors * expected[:4], axis=1)), 1, atol=1e-4)
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("sizes", [(6, 4), (6, 5, 3)], ids=["two layers", "three layers"])
def test_learned_tangents_of_a_stack_are_singular_vectors_of_numerical_differences(sizes):
    X = np.random.default_rng(0).uniform(0.2, 0.8, size=(40, 5))
    parts = [SparseAutoencoder(size, rho=0.3, beta=0.1, alpha=1e-3, hidden_activation="tanh") for size in sizes[:-1]]
    parts.append(SparseAutoencoder(sizes[-1], rho=0.3, beta=0.1, alpha=1e-3, output_activation="identity"))
    for part in parts[1:]:
        part.output_activation = "identity"
    with pytest.warns(ConvergenceWarning):
        stack = StackedAutoencoder(parts, max_iter=20, dtype="float64", random_state=0).fit(X)
    tangents = encoder_tangents(X[:3], stack, 2)
    steps = 1e-5 * np.eye(5)
    for x, vectors in zip(X, tangents, strict=False):
        jacobian = (stack.transform(x + steps) - stack.transform(x - steps)).T / 2e-5
        _, values, expected = np.linalg.svd(jacobian)
        assert values[1] > 1.01 * values[2]
        np.testing.assert_allclose(np.abs(np.sum(vectors * expected[:2], axis=1)), 1, atol=1e-6)
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(2), atol=1e-6)


@pytest.mark.slow
def test_learned_tangents_fit_a_classifier_as_array_and_as_callable(autoencoder):
    X, model = autoencoder
    y = load_digits().target[:400] % 2
    made = make_classifier(tangents=partial(encoder_tangents, autoencoder=model, n_tangents=2), tangent_weight=1e-3)
    given = make_classifier(tangent_weight=1e-3).fit(X, y, tangents=encoder_tangents(X, model, 2))
    np.testing.assert_allclose(made.fit(X, y).predict_proba(X), given.predict_proba(X), atol=0.05)


@pytest.mark.slow
def test_bad_requests_for_learned_tangents_are_named(autoencoder):
    X, model = autoencoder
    with pytest.raises(ValueError, match=r"n_tangents must be in \[1, 20\], got 21"):
        encoder_tangents(X, model, 21)
    with pytest.raises(NotFittedError):
        encoder_tangents(X, SparseAutoencoder())


# Invariance


@pytest.mark.slow
def test_a_report_shows_changes_along_tangents():
    digits = load_digits()
    X, y = digits.data[:300] / 16, digits.target[:300] < 5
    tangents = image_tangents(X, (8, 8), ("translate_x", "translate_y"))
    plain = make_classifier(hidden_layer_sizes=(20,)).fit(X, y)
    model = make_classifier(hidden_layer_sizes=(20,), tangent_weight=0.03).fit(X, y, tangents=tangents)
    amounts = {"translate_x": [0.25, 1.0], "rotate": [0.1]}
    report = invariance_report({"plain": plain, "tangents": model}, X, y, image_shape=(8, 8), transforms=amounts)
    assert list(report.columns) == ["estimator", "transform", "amount", "change", "same", "score"]
    assert len(report) == 2 * (3 + 2)
    still = report[report.amount == 0]
    assert (still.change == 0).all()
    assert (still.same == 1).all()
    by_name = report[(report["transform"] == "translate_x") & (report.amount == 0.25)].set_index("estimator")
    assert by_name.change["tangents"] < 0.8 * by_name.change["plain"]
    with pytest.raises(ValueError, match="unknown transform 'thickness'"):
        invariance_report(plain, X, image_shape=(8, 8), transforms=["thickness"])
    with pytest.raises(ValueError, match=r"image_shape = \(8, 9\) makes 72 pixels"):
        invariance_report(plain, X, image_shape=(8, 9))


# Corners


def test_a_direction_that_a_transformer_removes_becomes_zero(data):
    X, _ = data
    pca = PCA(2).fit(X)
    removed = np.linalg.svd(X - X.mean(axis=0))[2][2]
    tangents = np.tile(removed, (80, 1, 1))
    np.testing.assert_array_equal(transform_tangents(pca, X, tangents), 0)


def test_steps_suit_very_different_units_and_every_sample():
    rng = np.random.default_rng(6)
    X = np.hstack([rng.uniform(0.5, 1, size=(50, 1)), 1e6 * rng.uniform(0.5, 1, size=(50, 1))])
    tangents = np.stack([[1.0, 0.0] * np.ones((50, 2)), [0.0, 1e4] * np.geomspace(1e-3, 1e3, 50)[:, None]], axis=1)
    got = transform_tangents(FunctionTransformer(np.log), X, tangents)
    np.testing.assert_allclose(got, tangents / X[:, None], rtol=1e-4)


def test_a_pipeline_passes_data_frames_and_missing_values_to_its_transformer(data):
    X, y = data
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.loc[::7, "b"] = np.nan
    columns = ColumnTransformer([("impute", SimpleImputer(), ["a", "b"]), ("keep", "passthrough", ["c"])])
    model = TangentPipeline(columns, make_classifier()).fit(frame, y)
    assert model.predict(frame).shape == (80,)
    assert model.label_error_proba(frame, y).shape == (80,)
    assert not hasattr(model, "predict_conditional")
    assert hasattr(TangentPipeline(columns, make_regressor()), "predict_conditional")
    full = pd.DataFrame(X, columns=["a", "b", "c"])
    tangents = np.random.default_rng(7).normal(size=(80, 1, 3))
    np.testing.assert_allclose(transform_tangents(columns.fit(full), full, tangents), tangents, atol=1e-9)


def test_tangents_count_without_a_weight_and_weight_zero_switches_them_off(make, data, along):
    X, y = data
    assert "tangent_propagation" in make().fit(X, y, tangents=along).history_
    assert "tangent_propagation" in make(tangents=partial(constant, along=along[0])).fit(X, y).history_
    assert "tangent_propagation" not in make(tangent_weight=0.0).fit(X, y, tangents=along).history_


def test_a_callable_that_always_returns_the_same_array_raises_an_error(make, data, along):
    X, y = data
    with pytest.raises(ValueError, match="the result of the parameter tangents must be"):
        make(tangents=lambda X: along).fit(X, y)


@pytest.mark.slow
def test_learned_tangents_beyond_the_rank_are_zero():
    rng = np.random.default_rng(8)
    X = np.hstack([rng.uniform(0.2, 0.8, size=(100, 2)), np.full((100, 4), 0.5)])
    model = SparseAutoencoder(5, beta=0.0, random_state=0, max_iter=5, tol=1e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    model.coefs_[0][2:] = 0.0  # the encoder does not depend on the other features
    vectors = encoder_tangents(X[:3], model, 4)
    expected = np.zeros((4, 4))
    expected[[0, 1], [0, 1]] = 1
    for of_sample in vectors:
        np.testing.assert_allclose(of_sample @ of_sample.T, expected, atol=1e-6)


def test_a_pipeline_has_every_prediction_of_its_networks():
    """Methods about the training data of linear models are not predictions."""
    of_training = {"standard_errors", "coefficient_covariance"}
    for network in (MultivariateNormalRegressor, NoisyLabelClassifier):
        parts = [part for part in network.__mro__ if part.__module__.startswith("sparsam.")]
        names = {name for part in parts for name in vars(part) if not name.startswith("_")}
        methods = {name: getattr(network, name) for name in names if callable(getattr(network, name))}
        own = {name for name, method in methods.items() if "X" in signature(method).parameters}
        assert own - of_training - {"fit"} <= set(dir(TangentPipeline))
        assert {"predict", "score"} <= own


def test_a_pipeline_has_the_covariances_and_regions_of_its_network():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2)) * [1.0, 100.0]
    y = X[:, 0] * (1 + rng.normal(size=60))
    network = MultivariateNormalRegressor((), covariance="input", cv=None, max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TangentPipeline(StandardScaler(), network).fit(X, y)
    scaled = model.transformer_.transform(X)
    np.testing.assert_array_equal(model.predict_covariance(X), model.estimator_.predict_covariance(scaled))
    np.testing.assert_array_equal(model.predict_region(X).upper, model.estimator_.predict_region(scaled).upper)
    residuals = CovarianceDisplay.from_estimator(model, X, y).residuals
    deviations = np.sqrt(model.predict_covariance(X)[:, :, 0])
    expected = (y - model.predict(X))[:, None] * np.sqrt(model.estimator_.predictive_covariance_) / deviations
    np.testing.assert_allclose(residuals, expected)
