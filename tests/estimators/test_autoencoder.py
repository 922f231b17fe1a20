"""SparseAutoencoder: fitted attributes, dependence on parameters and data, and recovery of planted features."""

import copy

import jax
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sparsam import SparseAutoencoder, save
from sparsam.engine.minimizer.line_search import NOISE

# Fitted attributes


def test_weights_have_the_shapes_of_the_layers(fitted):
    assert [coef.shape for coef in fitted.coefs_] == [(6, 3), (3, 6)]
    assert [intercept.shape for intercept in fitted.intercepts_] == [(3,), (6,)]
    assert fitted.mean_activation_.shape == (3,)
    for array in (*fitted.coefs_, *fitted.intercepts_, fitted.mean_activation_):
        assert isinstance(array, np.ndarray)
        centered = fitted.output_activation == "identity" and any(array is bias for bias in fitted.intercepts_)
        assert array.dtype == ("float64" if centered else fitted.dtype)


def test_components_are_the_first_layer_transposed(fitted):
    assert fitted.components_.shape == (3, 6)
    np.testing.assert_array_equal(fitted.components_, fitted.coefs_[0].T)


def test_history_has_a_row_per_iteration_and_a_column_per_term(fitted):
    history = fitted.history_
    terms = ["squared_error", "weight_decay", "sparsity"] if fitted.beta else ["squared_error", "weight_decay"]
    assert list(history) == ["iteration", "evaluations", "seconds", "J", *terms, "gradient_norm"]
    assert history.iteration.tolist() == list(range(fitted.n_iter_ + 1))
    assert (np.diff(history.evaluations) >= 1).all()
    assert (np.diff(history.seconds) >= 0).all()
    np.testing.assert_allclose(history[terms].sum(axis=1), history.J, rtol=1e-15)


def test_results_are_the_last_row_of_the_history(fitted):
    last = fitted.history_.iloc[-1]
    assert fitted.loss_curve_ == fitted.history_.J.tolist()
    assert fitted.loss_ == last.J
    assert (fitted.n_iter_, fitted.n_evaluations_) == (last.iteration, last.evaluations)
    assert fitted.gradient_norm_ == last.gradient_norm


def test_J_never_increases_beyond_rounding(fitted):
    J = fitted.history_.J.to_numpy()
    # The line search's tolerance, and half an epsilon at either end: it compares sums of terms in that precision.
    assert (np.diff(J) <= (NOISE + 1) * np.finfo(fitted.dtype).eps * J[:-1]).all()
    assert J[-1] < 0.9 * J[0]


def test_history_cannot_be_changed_through_the_frame(fitted):
    frame = fitted.history_
    frame.loc[:, "J"] = 0.0
    assert fitted.history_.J.tolist() == fitted.loss_curve_ != frame.J.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("tol", "max_iter"), [(1e-5, 1000), (1e-3, 1000), (1e-3, 5), (0.0, 20)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_converged_means_a_gradient_within_tol(build, X, dtype, tol, max_iter):
    model = build(dtype=dtype, tol=tol, max_iter=max_iter).fit(X)
    assert (
        model.converged_ == (model.gradient_norm_ <= tol) == (model.stop_reason_ == "converged") == (max_iter == 1000)
    )


def test_a_smaller_tol_is_reached_in_float64(build, X):
    model = build(dtype="float64", tol=1e-10).fit(X)
    assert model.converged_
    assert model.gradient_norm_ <= 1e-10


USES = {
    "transform": lambda model, X: model.transform(X),
    "inverse_transform": lambda model, X: model.inverse_transform(X[:, :3]),
    "predict": lambda model, X: model.predict(X),
    "cost": lambda model, X: model.cost(X),
    "score": lambda model, X: model.score(X),
    "score_samples": lambda model, X: model.score_samples(X),
    "components_": lambda model, X: model.components_,
    "history_": lambda model, X: model.history_,
    "get_feature_names_out": lambda model, X: model.get_feature_names_out(),
    "save": lambda model, X: save(model, "never.safetensors"),
}


@pytest.mark.parametrize("use", USES)
def test_methods_raise_before_fit(build, X, use):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        USES[use](build(), X)


def test_before_fit_there_are_no_fitted_attributes(build):
    model = build()
    assert not [name for name in dir(model) if name.endswith("_") and name[0] != "_" and hasattr(model, name)]


# Dependence on parameters and data


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_seed_gives_the_same_bits(build, X, same_bits, dtype):
    one = build(dtype=dtype).fit(X)
    assert same_bits(one, build(dtype=dtype).fit(X))
    assert same_bits(one, build(dtype=dtype, random_state=np.random.RandomState(0)).fit(X))
    assert same_bits(one, copy.deepcopy(one).fit(X))


def test_other_seeds_give_other_weights(build, X, model):
    other, unseeded, again = (build(random_state=seed).fit(X) for seed in (1, None, None))
    for one, two in ((model, other), (model, unseeded), (unseeded, again)):
        assert not np.array_equal(one.coefs_[0], two.coefs_[0])


def test_a_random_state_object_advances(build, X):
    state = np.random.RandomState(0)
    one, two = (build(random_state=state).fit(X) for _ in range(2))
    assert not np.array_equal(one.coefs_[0], two.coefs_[0])


def test_the_start_is_the_same_in_both_precisions(build, X):
    J = [build(dtype=dtype).fit(X).loss_curve_[0] for dtype in ("float32", "float64")]
    assert J[0] == pytest.approx(J[1], rel=1e-6)


def test_a_global_float64_setting_does_not_change_a_float32_fit(build, X, model, same_bits):
    with jax.enable_x64(True):
        inside = build().fit(X)
        Z = inside.transform(X)
        assert jax.config.jax_enable_x64
    assert same_bits(inside, model)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(Z, model.transform(X))


def test_a_fit_does_not_change_X_and_the_parameters(build, X):
    data, model = X.copy(), build()
    before = model.get_params()
    model.fit(data)
    np.testing.assert_array_equal(data, X)
    assert model.get_params() == before


# Planted features


def images_of_bars(size=5, n_samples=300, share=0.2, seed=0):
    """Draw images with horizontal bars, each in a fifth of them, dark 0.1 and bright 0.9 with noise; and the bars."""
    rng = np.random.default_rng(seed)
    bars = np.repeat(np.eye(size), size, axis=1)  # (size, size * size)
    present = rng.uniform(size=(n_samples, size)) < share
    return np.clip(0.1 + 0.8 * present @ bars + 0.05 * rng.normal(size=(n_samples, size**2)), 0, 1), bars


def fit_bars(images, output_activation="identity", seed=0):
    model = SparseAutoencoder(5, rho=0.2, beta=0.3, alpha=1e-3, output_activation=output_activation, random_state=seed)
    return model.fit(images)


def matches(model, bars):
    """Correlate each bar (row) with each filter (column)."""
    return np.corrcoef(bars, model.components_)[: len(bars), len(bars) :]


@pytest.mark.parametrize("output_activation", ["identity", pytest.param("logistic", marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_lowest_of_some_minima_has_a_filter_for_each_bar(output_activation):
    images, bars = images_of_bars()
    best = min((fit_bars(images, output_activation, seed) for seed in range(8)), key=lambda model: model.loss_)
    assert best.converged_
    correlation = matches(best, bars)
    assert (correlation.max(axis=1) > 0.9).all()
    assert sorted(correlation.argmax(axis=1)) == [0, 1, 2, 3, 4]  # each bar a filter of its own
    np.testing.assert_allclose(best.mean_activation_, 0.2, atol=0.05)


@pytest.mark.slow
def test_every_minimum_of_a_linear_decoder_has_a_filter_for_each_bar_up_to_sign():
    """A unit may also stand for the absence of its bar: J is higher then, but it is a minimum."""
    images, bars = images_of_bars()
    for seed in range(8):
        assert (np.abs(matches(fit_bars(images, seed=seed), bars)).max(axis=1) > 0.9).all()


@pytest.mark.slow
def test_it_is_the_sparsity_that_makes_units_stand_for_presence():
    """Inverted (z to 1 - z), a unit stands for absence. Without the penalty J is the same, up to rounding."""
    images, _ = images_of_bars()
    model = fit_bars(images)
    turned = copy.deepcopy(model)
    turned.intercepts_[1] += turned.coefs_[1][0]
    turned.coefs_[0][:, 0] *= -1
    turned.intercepts_[0][0] *= -1
    turned.coefs_[1][0] *= -1
    np.testing.assert_allclose(turned.predict(images), model.predict(images), atol=1e-5)
    assert abs(turned.cost(images) - model.cost(images)) > 0.01
    for each in (model, turned):
        each.set_params(beta=0.0)
    assert turned.cost(images) == pytest.approx(model.cost(images), abs=1e-6)
