"""A fit that explains nearly nothing continues past plateaus, and its warning names a remedy; others do not change."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.preprocessing import minmax_scale

from sparsam import Checkpoint, MultivariateNormalRegressor, SparseAutoencoder, StackedAutoencoder
from sparsam.estimators.fit_many import fit_many
from sparsam.images import load_images, natural_images, normalize_patches, sample_patches
from sparsam.inspection.weak_fit import LEAST_EXPLAINED, examine_fit


def build_model(**parameters):
    """Build a small autoencoder that explains a good part of `X` of conftest."""
    return SparseAutoencoder(
        **{"n_components": 3, "rho": 0.2, "beta": 0.1, "alpha": 1e-3, "random_state": 0} | parameters
    )


def fit(model, X, **options):
    """Fit; return the model and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, **options)
    assert {warning.category for warning in caught} <= {ConvergenceWarning}
    return model, [str(warning.message) for warning in caught]


def natural_patches(n, seed=0, size=8):
    """Patches of the notes' IMAGES if available, otherwise of the built-in images."""
    folder = os.environ.get("SPARSAM_DATA")
    images = load_images(Path(folder) / "olshausen_images.npy") if folder else natural_images()
    return normalize_patches(sample_patches(images, n, size, seed, border=2))


# The share explained


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"dtype": "float64", "hidden_activation": "tanh", "output_activation": "identity"}]
)
def test_the_explained_variance_agrees_with_scikit_learn(X, sample_weight, weighted, options):
    weights = sample_weight if weighted else None
    model = build_model(**options).fit(X, sample_weight=weights)
    expected = r2_score(X, model.predict(X), sample_weight=weights, multioutput="variance_weighted")
    assert model.explained_variance_ratio_ == pytest.approx(expected, abs=1e-5)
    assert model.explained_variance_ratio_ > 0.4


def test_a_distant_origin_loses_no_digits():
    """The data are integers, so that they are exact in float32 after the shift."""
    X = np.random.default_rng(0).integers(0, 20, (200, 1)) @ np.ones((1, 4))
    model = SparseAutoencoder(2, beta=0.0, output_activation="identity", random_state=0, dtype="float64")
    shares = [fit(model, X + shift)[0].explained_variance_ratio_ for shift in (0, 2**20)]
    predicted = r2_score(X + 2**20, model.predict(X + 2**20), multioutput="variance_weighted")
    assert shares[1] == pytest.approx(predicted, abs=1e-4)
    first = np.r_[[[1e4] * 4], X / 20]  # the row about which squares are computed is far from all others
    fit(model, first)
    predicted = r2_score(first, model.predict(first), multioutput="variance_weighted")
    assert model.explained_variance_ratio_ == pytest.approx(predicted, abs=1e-6)


def test_streams_and_repeated_rows_explain_the_same(X):
    model, streamed = build_model(), build_model()
    weights = np.random.default_rng(1).integers(1, 4, len(X))
    model.fit(X, sample_weight=weights)
    repeated = build_model().fit(np.repeat(X, weights, axis=0))
    assert repeated.explained_variance_ratio_ == model.explained_variance_ratio_
    streamed.fit(Chunks(X, weights.astype(float)))
    assert streamed.explained_variance_ratio_ == pytest.approx(model.explained_variance_ratio_, rel=1e-3)


class Chunks:
    """Rows that are streamed in pieces."""

    def __init__(self, X, weights):
        self.X, self.weights = X, weights

    def __iter__(self):
        for start in range(0, len(self.X), 13):
            yield self.X[start : start + 13], self.weights[start : start + 13]


# Plateaus


@pytest.mark.slow
def test_training_leaves_a_plateau_of_natural_patches():
    """With tol = 1e-3 an earlier version stopped here after 9 iterations, with 0.1 % of the variance explained."""
    X = natural_patches(3000)
    model, texts = fit(SparseAutoencoder(25, tol=1e-3, random_state=0), X)
    assert not texts
    assert model.stop_reason_ == "converged"
    assert model.explained_variance_ratio_ > 0.25
    asked = SparseAutoencoder(25, tol=1e-5, random_state=0).fit(X)
    np.testing.assert_array_equal(model.coefs_[0], asked.coefs_[0])
    assert model.loss_curve_ == asked.loss_curve_
    together = []
    fit_many([SparseAutoencoder(25, tol=1e-3, random_state=0)], X, lambda number, one: together.append(one))
    np.testing.assert_array_equal(together[0].coefs_[0], model.coefs_[0])
    assert together[0].explained_variance_ratio_ == model.explained_variance_ratio_
    short, texts = fit(SparseAutoencoder(25, tol=1e-3, max_iter=12, random_state=0), X)
    assert (short.stop_reason_, short.n_iter_, short.converged_) == ("max_iter", 12, False)
    assert "tol / 100 = 1e-05" in texts[0]
    assert "Increase max_iter" in texts[0]


# Penalties that outweigh the error


MIXTURES = np.random.default_rng(0).beta(2, 2, (400, 3)) @ np.random.default_rng(1).dirichlet(np.ones(3), 8).T
LOW = 0.5 + 0.015 * (MIXTURES - 0.5)
"""Data with range 0.015 and rank three."""


def test_low_contrast_is_named_with_the_remedies():
    model, (text,) = fit(SparseAutoencoder(4, rho=0.1, random_state=0), LOW)
    assert model.stop_reason_ == "converged"
    assert model.explained_variance_ratio_ < LEAST_EXPLAINED
    assert "explains under 1 % of the variance" in text
    assert "all 4 hidden units are dead, saturated or constant" in text
    assert "alpha and beta outweigh the squared error" in text
    deviation = np.sqrt(LOW.var(axis=0).mean())
    assert f"(standard deviation {deviation:.2g})" in text
    stretch = float(text.split("Stretch the contrast of the data by ")[1].split(",")[0])
    assert stretch == pytest.approx(0.8 / 6 / deviation, rel=0.05)
    alpha, beta = (float(text.split(f"{name} to ")[1].split()[0].rstrip(".")) for name in ("alpha", "beta"))
    factor = (64 / 8) * stretch**2  # of the total variance: the defaults are for 64 features
    assert (alpha, beta) == pytest.approx((1e-4 / factor, 3 / factor), rel=0.1)
    model, texts = fit(SparseAutoencoder(4, rho=0.1, alpha=alpha, beta=beta, random_state=0), LOW)
    assert not texts
    assert model.explained_variance_ratio_ > 0.4


def test_following_the_advice_on_contrast_removes_the_warning():
    deviation = np.sqrt(LOW.var(axis=0).mean())
    stretched = 0.5 + (LOW - LOW.mean()) * 0.8 / 6 / deviation
    model, texts = fit(SparseAutoencoder(4, rho=0.1, random_state=0), stretched.clip(0, 1))
    assert not texts
    assert model.explained_variance_ratio_ > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_the_warning_depends_on_the_scale_of_the_data(X, seed):
    """As the contrast of the same data decreases, there is first no warning, and below some contrast always one."""
    warned = []
    for contrast in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003):
        model, texts = fit(build_model(random_state=seed), 0.5 + contrast * (X - X.mean()))
        assert (model.explained_variance_ratio_ < LEAST_EXPLAINED) == any("under 1 %" in text for text in texts)
        warned.append(bool(texts))
    assert not warned[0]
    assert warned[-1]
    assert warned == sorted(warned)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hidden_activation": "tanh"},
        {"hidden_activation": "relu", "output_activation": "identity", "beta": 0.0, "random_state": 1},
        {"output_activation": "identity"},
        {"beta": 0.0},
        {"alpha": 0.0},
    ],
)
def test_a_good_fit_never_warns(X, parameters):
    for seed in range(4):
        model, texts = fit(build_model(**{"random_state": seed} | parameters), X)
        assert not texts
        assert model.explained_variance_ratio_ > 0.4


def test_without_beta_the_warning_names_only_alpha():
    _, (text,) = fit(SparseAutoencoder(4, beta=0.0, alpha=1e-2, random_state=0), LOW)
    assert "alpha outweighs the squared error" in text
    assert "beta" not in text


def test_identity_outputs_and_relu_units_have_the_same_warnings(X):
    options = {"hidden_activation": "relu", "output_activation": "identity", "beta": 0.0, "random_state": 0}
    _, (text,) = fit(SparseAutoencoder(3, alpha=1e-2, **options), 1e-3 * (X - X.mean(axis=0)))
    assert "to a standard deviation of 1" in text


FLAT = 0.5 + 0.3 * (LOW - 0.5)
"""With very small weights of the penalties a fit explains much, with units that hardly vary."""


def build_flat(**parameters):
    options = {"rho": 0.1, "alpha": 1e-9, "beta": 1e-5, "tol": 1e-7, "dtype": "float64", "random_state": 0}
    return SparseAutoencoder(4, **options | parameters)


def test_units_that_hardly_vary_are_counted_even_if_the_fit_explains_much():
    model, (text,) = fit(build_flat(), FLAT)
    assert model.explained_variance_ratio_ > 0.3
    n_poor = int(np.sum(model.transform(FLAT).std(axis=0) < 1e-3))
    assert n_poor > 2
    assert "hidden units are dead, saturated or constant: as features they are of little use" in text
    assert ("All 4" if n_poor == 4 else f"{n_poor} of 4") in text
    assert "Stretch the contrast of the data by" in text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["table", "patches"])
def test_units_that_weight_decay_suppresses_come_back_as_the_warning_says(kind, seed):
    """They hardly vary, too, but nothing in the outputs is theirs: a greater alpha would suppress the others."""
    if kind == "table":
        X = minmax_scale(np.random.default_rng(seed).poisson(3, size=(200, 8)))
        options = {"beta": 0.3, "random_state": seed}
    else:
        X = normalize_patches(sample_patches(natural_images(), 1000, 6, seed))
        options = {"alpha": 2e-4, "random_state": seed}
    model, (text,) = fit(SparseAutoencoder(**options), X)
    assert "They add nothing to the reconstructions" in text
    assert "raise" not in text
    alpha = float(text.split("Lower alpha to ")[1].split(";")[0])
    better, texts = fit(SparseAutoencoder(**options | {"alpha": alpha}), X)
    assert not texts
    assert better.explained_variance_ratio_ > model.explained_variance_ratio_ + 0.3


@pytest.mark.parametrize("factor", [100, 1e4])
def test_data_in_large_units_are_named(factor):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 10)) + 0.3 * rng.normal(size=(200, 10))
    X *= factor / X.std()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SparseAutoencoder(5, output_activation="identity", max_iter=200, random_state=0).fit(X)
    texts = [str(warning.message) for warning in caught]
    assert sum(f"The standard deviation of X is {factor:g}" in text for text in texts) == 1
    assert not any("raise alpha" in text for text in texts)
    early = {"alpha": 0.0, "beta": 0.0, "early_stopping": True, "n_iter_no_change": 2, "hidden_activation": "relu"}
    for options in (
        {"sparsity": "l1", "hidden_activation": "relu"},
        {"alpha": 0.0, "beta": 0.0, "tol": 1e30},
        {**early, "max_iter": 500, "random_state": 0},
        {"callback": lambda progress: True},
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="The standard deviation of X")
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = SparseAutoencoder(5, output_activation="identity", **{"max_iter": 20} | options).fit(X)
        assert model.stop_reason_ == "held_out" or "early_stopping" not in options


def test_a_single_column_in_a_large_unit_is_named_and_not_the_mean_deviation():
    X = np.random.default_rng(0).normal(size=(200, 12))
    X[:, 3] *= 1000
    with pytest.warns(UserWarning, match=r"1 of the 12 columns of X have .* 3 \(standard deviation 1e+") as caught:
        SparseAutoencoder(6, output_activation="identity", max_iter=30, random_state=0).fit(X)
    assert not any("meant for about 1" in str(warning.message) for warning in caught)


def test_a_stack_whose_code_has_no_variance_is_mended_by_rho_as_the_warning_says():
    X = load_digits().data[:500] / 16
    with pytest.warns(ConvergenceWarning, match=r"autoencoder 2 of 2: .*set the rho of both to 0\.1 or more"):
        StackedAutoencoder([SparseAutoencoder(20), SparseAutoencoder(8)], random_state=0).fit(X)
    without_beta = [SparseAutoencoder(8, beta=0.0, alpha=1e-5), SparseAutoencoder(4, beta=0.0, alpha=1.0)]
    with pytest.warns(ConvergenceWarning, match=r"alpha outweighs the squared error.* minimum\. Lower alpha to"):
        StackedAutoencoder(without_beta, random_state=0).fit(X)
    parts = [SparseAutoencoder(20, rho=0.1), SparseAutoencoder(8, rho=0.1)]
    stack, texts = fit(StackedAutoencoder(parts, random_state=0), X)
    assert not texts
    assert stack.explained_variance_ratio_ > 0.4


def test_constant_data_are_named():
    model, (text,) = fit(SparseAutoencoder(2, random_state=0), np.full((50, 6), 0.3))
    assert np.isnan(model.explained_variance_ratio_)
    assert text == "The rows of X are all the same: there is nothing to learn from them."


def test_examine_fit_agrees_with_the_warning_of_the_fit(X):
    for model, data in (
        (SparseAutoencoder(4, rho=0.1, random_state=0, dtype="float64"), LOW),
        (build_flat(), FLAT),
        (SparseAutoencoder(2, random_state=0), np.full((50, 6), 0.3)),
    ):
        fitted, (text,) = fit(model, data)
        assert examine_fit(fitted, data).text == text
        fitted.explained_variance_ratio_ = float("nan")  # as for a model of version 0.1.0
        assert examine_fit(fitted, data).kind in ("unexplained", "uninformative")
    assert examine_fit(build_model().fit(X), X) is None


def test_a_weak_fit_has_the_same_warning_after_polishing_and_resuming(tmp_path):
    options = {"n_components": 4, "rho": 0.1, "random_state": 0, "polish": True}
    model, texts = fit(SparseAutoencoder(**options, checkpoint=Checkpoint(tmp_path, every=0)), LOW)
    again, texts_again = fit(SparseAutoencoder(**options, checkpoint=Checkpoint(tmp_path, resume=True)), LOW)
    assert "under 1 %" in texts[0]
    assert texts_again == texts
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])
    assert again.explained_variance_ratio_ == model.explained_variance_ratio_


def test_a_regressor_may_explain_nothing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MultivariateNormalRegressor((), alpha=1.0).fit(X, y)
    assert model.score(X, y) < 0.05
