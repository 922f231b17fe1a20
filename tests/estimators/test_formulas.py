"""transform, inverse_transform, predict, scores and cost are the formulas of the documentation, in plain NumPy."""

import copy
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam import reference
from sparsam.estimators import _autoencoder_base

FUNCTIONS = {
    "logistic": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": np.tanh,
    "relu": lambda a: np.where(a > 0, a, 0),
    "identity": lambda a: a,
}
METHODS = ("transform", "predict", "score_samples")


def weights_of(model):
    return [array.astype(np.float64) for array in (*model.coefs_, *model.intercepts_)]


def encode(model, X):
    W1, _, b1, _ = weights_of(model)
    return FUNCTIONS[model.hidden_activation](X @ W1 + b1)


def decode(model, Z):
    _, W2, _, b2 = weights_of(model)
    return FUNCTIONS[model.output_activation](Z @ W2 + b2)


def assert_close(actual, desired, model):
    """Compare up to rounding in the model's precision: some tens of units in the last place of numbers about 1."""
    tolerance = 50 * np.finfo(model.dtype).eps
    np.testing.assert_allclose(actual, desired, rtol=tolerance, atol=tolerance)


def test_transform_gives_the_hidden_activations(fitted, X):
    Z = fitted.transform(X)
    assert (Z.shape, Z.dtype) == ((60, 3), fitted.dtype)
    assert np.ptp(Z) > 0.01
    assert_close(Z, encode(fitted, X), fitted)


def test_inverse_transform_gives_the_outputs(fitted):
    Z = np.random.default_rng(0).uniform(size=(60, 3))
    Y = fitted.inverse_transform(Z)
    assert (Y.shape, Y.dtype) == ((60, 6), fitted.dtype)
    assert_close(Y, decode(fitted, Z), fitted)


def test_predict_reconstructs(fitted, X):
    Y = fitted.predict(X)
    assert (Y.shape, Y.dtype) == ((60, 6), fitted.dtype)
    assert_close(Y, decode(fitted, encode(fitted, X)), fitted)
    assert_close(Y, fitted.inverse_transform(fitted.transform(X)), fitted)


def test_score_samples_is_minus_half_the_squared_error(fitted, X):
    scores = fitted.score_samples(X)
    assert (scores.shape, scores.dtype) == ((60,), np.float64)
    assert_close(scores, -0.5 * np.sum((decode(fitted, encode(fitted, X)) - X) ** 2, axis=1), fitted)


def test_score_is_the_weighted_mean_of_score_samples(fitted, X, sample_weight):
    scores = fitted.score_samples(X)
    assert fitted.score(X) == pytest.approx(scores.mean(), rel=1e-14)
    expected = np.sum(sample_weight * scores) / np.sum(sample_weight)
    assert fitted.score(X, sample_weight=sample_weight) == pytest.approx(expected, rel=1e-14)


def test_an_outlier_has_the_lowest_score(model, X):
    assert np.argmin(model.score_samples(np.vstack([X, [[1, 0, 1, 0, 1, 0]]]))) == 60


def reference_cost(model, X, sample_weight=None):
    return reference.network_cost(
        model.coefs_,
        model.intercepts_,
        X,
        X,
        hidden_activation=model.hidden_activation,
        output_activation=model.output_activation,
        alpha=model.alpha,
        rho=model.rho,
        beta=model.beta,
        sample_weight=sample_weight,
    )[0]


@pytest.mark.parametrize("weighted", [False, True])
def test_cost_is_J_in_float64_whatever_the_precision_of_the_model(fitted, X, sample_weight, weighted):
    weights = sample_weight if weighted else None
    assert fitted.cost(X, sample_weight=weights) == pytest.approx(reference_cost(fitted, X, weights), rel=1e-12)


def test_cost_on_the_training_data_is_the_cost_that_the_training_reports(fitted, X):
    assert fitted.loss_ == pytest.approx(fitted.cost(X), rel=20 * float(np.finfo(fitted.dtype).eps))


def test_weighted_fit_minimizes_the_weighted_J(build, X, sample_weight):
    model = build(dtype="float64").fit(X, sample_weight=sample_weight)
    assert model.loss_ == pytest.approx(reference_cost(model, X, sample_weight), rel=1e-12)
    assert model.loss_ < reference_cost(build(dtype="float64").fit(X), X, sample_weight)


def test_the_gradient_at_the_end_is_that_of_the_reference(fitted, X):
    theta = weights_of(fitted)
    _, coef_gradients, intercept_gradients = reference.network_cost(
        theta[:2],
        theta[2:],
        X,
        X,
        hidden_activation=fitted.hidden_activation,
        output_activation=fitted.output_activation,
        alpha=fitted.alpha,
        rho=fitted.rho,
        beta=fitted.beta,
    )
    norm = max(np.abs(gradient).max() for gradient in (*coef_gradients, *intercept_gradients))
    assert fitted.gradient_norm_ == pytest.approx(norm, abs=20 * float(np.finfo(fitted.dtype).eps))


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_activation_is_the_weighted_mean(build, X, sample_weight, fitted, weighted):
    if weighted:
        fitted = copy.deepcopy(fitted).fit(X, sample_weight=sample_weight)
    Z = encode(fitted, X)
    p = (Z + 1) / 2 if fitted.hidden_activation == "tanh" else Z
    assert_close(fitted.mean_activation_, np.average(p, axis=0, weights=sample_weight if weighted else None), fitted)


# Chunks


def chunked(model, chunk_size):
    return copy.deepcopy(model).set_params(chunk_size=chunk_size)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 7, 60, 100])
@pytest.mark.parametrize("method", METHODS)
def test_chunks_make_no_difference_beyond_rounding(model, X, method, chunk_size):
    """7 does not divide 60, 60 is the number of rows, 100 is larger."""
    assert_close(getattr(chunked(model, chunk_size), method)(X), getattr(model, method)(X), model)


@pytest.mark.parametrize("chunk_size", [7, 60])
def test_chunks_make_no_difference_to_the_cost(model, X, sample_weight, chunk_size):
    whole = model.cost(X, sample_weight=sample_weight)
    assert chunked(model, chunk_size).cost(X, sample_weight=sample_weight) == pytest.approx(whole, rel=1e-14)


@pytest.mark.slow
def test_chunks_make_no_difference_to_a_fit(build, X, sample_weight):
    whole, pieces = (
        build(dtype="float64", tol=1e-9, chunk_size=size).fit(X, sample_weight=sample_weight) for size in (None, 7)
    )
    assert pieces.loss_curve_[:5] == pytest.approx(whole.loss_curve_[:5], rel=1e-12)
    assert pieces.loss_ == pytest.approx(whole.loss_, rel=1e-12)
    np.testing.assert_allclose(pieces.coefs_[0], whole.coefs_[0], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(start=st.integers(0, 59), count=st.integers(1, 60))
def test_a_row_does_not_depend_on_other_rows(model, X, start, count):
    rows = slice(start, start + count)
    for method in METHODS:
        assert_close(getattr(chunked(model, 7), method)(X[rows]), getattr(model, method)(X)[rows], model)


@pytest.mark.parametrize(
    ("method", "program", "columns"),
    [
        ("transform", "encode", 6),
        ("inverse_transform", "decode", 3),
        ("predict", "network_outputs", 6),
        ("score_samples", "negative_error", 6),
    ],
)
def test_compiled_programs_see_one_chunk_at_a_time(model, X, monkeypatch, method, program, columns):
    shapes, original = [], getattr(_autoencoder_base, program)

    def watched(*arguments):
        shapes.append(arguments[-1].shape)
        return original(*arguments)

    monkeypatch.setattr(_autoencoder_base, program, watched)
    getattr(chunked(model, 7), method)(X[:, :columns])
    assert shapes == [(7, columns)] * 9


def test_cost_sums_over_one_chunk_at_a_time(model, X, monkeypatch):
    seen, original = [], _autoencoder_base.sums_of
    monkeypatch.setattr(
        _autoencoder_base, "sums_of", lambda *arguments: seen.append(arguments[-1]) or original(*arguments)
    )
    chunked(model, 7).cost(X)
    assert [stream.chunk_size for stream in seen] == [7]


def test_memory_beyond_the_result_does_not_grow_with_the_data(model, X):
    few, many = (np.resize(X, (n_samples, 6)) for n_samples in (2_000, 20_000))
    model = chunked(model, 60)

    def peak_beyond_the_result(rows):
        model.transform(rows)
        tracemalloc.start()
        result = model.transform(rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - result.nbytes

    assert peak_beyond_the_result(many) < peak_beyond_the_result(few) + many.nbytes / 10
