"""A fit that is resumed with more iterations, a smaller tol or more time has the same bits as one long fit."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder
from sparsam.estimators._training.held_out_residuals import HeldOutResiduals

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning")

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (60, 6))
Y = X[:, :2] ** 2 + 0.05 * RNG.normal(size=(60, 2))
LABELS = ((X[:, 0] > 0.5) ^ (RNG.random(60) < 0.1)).astype(int)


class Chunks:
    """Rows that are read again in every pass."""

    def __init__(self, *columns):
        self.columns = columns

    def __iter__(self):
        for rows in np.array_split(np.arange(60), 3):
            parts = tuple(column[rows] for column in self.columns)
            yield parts if len(parts) > 1 else parts[0]


def autoencoder(**options):
    return SparseAutoencoder(3, rho=0.2, beta=0.1, **options)


def regressor(**options):
    return MultivariateNormalRegressor((3,), **options)


def classifier(**options):
    return NoisyLabelClassifier((3,), **options)


FITS = {
    "autoencoder": (autoencoder, {}),
    "lbfgs": (autoencoder, {"solver": "lbfgs"}),
    "polished": (autoencoder, {"polish": True}),
    "regression without folds": (regressor, {"cv": None, "early_stopping": False}),
    "early stopping": (regressor, {"cv": None}),
    "folds": (regressor, {}),
    "folds to the end": (regressor, {"early_stopping": False}),
    "known noise": (classifier, {"epsilon": 0.1}),
    "known noise, early stopping": (classifier, {"epsilon": 0.1, "early_stopping": True}),
    "alphas": (classifier, {"epsilon": 0.1, "alpha": (1e-3, 1e-2)}),
    "alphas, early stopping": (classifier, {"epsilon": 0.1, "alpha": (1e-3, 1e-2), "early_stopping": True}),
    "estimated noise": (classifier, {}),
}
OF_A_MODEL = (
    "covariance_",
    "predictive_covariance_",
    "alpha_",
    "epsilon_",
    "validation_scores_",
    "validation_iterations_",
    "n_iter_",
)


def fit(kind, *, streamed=False, **options):
    build, own = FITS[kind]
    model = build(random_state=0, **own | options)
    columns = {autoencoder: (X,), regressor: (X, Y), classifier: (X, LABELS)}[build]
    return model.fit(Chunks(*columns)) if streamed else model.fit(*columns)


def assert_same(one, other):
    for name in ("coefs_", "intercepts_"):
        for array, expected in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(array, expected)
    for name in OF_A_MODEL:
        np.testing.assert_array_equal(getattr(one, name, None), getattr(other, name, None), err_msg=name)
    columns = [name for name in other.history_ if name not in ("seconds", "resumed")]
    assert one.history_[columns].equals(other.history_[columns])
    assert (one.stop_reason_, one.converged_) == (other.stop_reason_, other.converged_)


def check_extended(kind, folder, first, then, **options):
    fit(kind, **options | first, checkpoint=folder)
    resumed = fit(kind, **options | then, checkpoint=Checkpoint(folder, resume=True))
    assert_same(resumed, fit(kind, **options | then))


@pytest.mark.parametrize(
    "kind", ["autoencoder", *(pytest.param(kind, marks=pytest.mark.slow) for kind in FITS if kind != "autoencoder")]
)
def test_more_iterations_equal_those_of_a_long_fit(kind, tmp_path):
    check_extended(kind, tmp_path, {"max_iter": 7}, {"max_iter": 40})


@pytest.mark.slow
@pytest.mark.parametrize("kind", FITS)
def test_a_smaller_tol_continues_from_the_end_of_the_fit_with_a_larger_one(kind, tmp_path):
    check_extended(kind, tmp_path, {"tol": 1e-1}, {"tol": 1e-3}, max_iter=60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoencoder", "early stopping", "folds", "known noise", "estimated noise"])
def test_streams_are_extended_too(kind, tmp_path):
    check_extended(kind, tmp_path, {"max_iter": 3}, {"max_iter": 6}, streamed=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folds", "estimated noise"])
def test_fits_are_extended_several_times(kind, tmp_path):
    for max_iter in (1, 2, 4, 9, 20):
        model = fit(kind, max_iter=max_iter, checkpoint=Checkpoint(tmp_path, resume=True))
    assert_same(model, fit(kind, max_iter=20))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["autoencoder", "early stopping", "folds", "estimated noise", pytest.param("alphas", marks=pytest.mark.exhaustive)],
)
def test_a_fit_ended_by_its_time_budget_can_be_extended_to_one_without_a_limit(kind, tmp_path):
    """Each resumed fit has the full budget again, and no unfinished training counts as finished."""
    options = {"max_iter": 12, "tol": 1e-3}
    n_fits, over = 0, True
    while over:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = fit(kind, **options, time_budget=1e-9, checkpoint=Checkpoint(tmp_path, resume=True))
        n_fits, over = n_fits + 1, any("time_budget" in str(warning.message) for warning in caught)
    assert n_fits > 2
    assert_same(model, fit(kind, **options))


@pytest.mark.slow
def test_trainings_that_a_callback_ended_continue(tmp_path):
    fit("folds", max_iter=12, callback=lambda progress: progress.iteration > 3, checkpoint=tmp_path)
    resumed = fit("folds", max_iter=12, checkpoint=Checkpoint(tmp_path, resume=True))
    assert_same(resumed, fit("folds", max_iter=12))


@pytest.mark.parametrize(
    ("best_so_far", "stops", "passed"),
    [(None, True, False), (3, True, True), (5, True, True), (6, True, False), (9, True, False), (3, False, False)],
)
def test_a_fold_beyond_the_limit_set_by_extended_earlier_folds_starts_again(best_so_far, stops, passed):
    """Its last scores before 14 are at 11 and 13; it stops eight iterations after the best one of the other folds."""
    observed = np.ones((1, 2), bool)
    fold = HeldOutResiduals(None, None, None, "float64", 8, observed=observed, stops=stops, best_so_far=best_so_far)
    scored = [k for k in range(15) if fold.next_iteration(k - 1) == k]
    assert scored[-2:] == [11, 13]
    moments = {
        "held_out_counts": np.ones((len(scored), 1)),
        "held_out_products": np.ones((len(scored), 1, 2, 2)),
        "held_out_ln_determinants": np.zeros(len(scored)),
    }
    fold.restore({"scores": np.array([(k, 1.0) for k in scored])} | moments)
    assert fold.has_passed(14) is passed


def test_fewer_iterations_than_in_the_checkpoint_are_refused(tmp_path):
    fit("autoencoder", max_iter=7, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"is at iteration 7, but with max_iter = 5 .* would end at iteration 5"):
        fit("autoencoder", max_iter=5, checkpoint=Checkpoint(tmp_path, resume=True))


def test_a_resumed_fit_repeats_the_warning_about_its_end(tmp_path):
    fit("autoencoder", max_iter=7, checkpoint=tmp_path)
    with pytest.warns(ConvergenceWarning, match=r"max_iter iterations are done \(iteration 7,"):
        fit("autoencoder", max_iter=7, checkpoint=Checkpoint(tmp_path, resume=True))
