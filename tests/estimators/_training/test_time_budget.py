"""Time budget of a fit, divided among its trainings; measured by fake clocks, never by the real one."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder
from sparsam.engine.training import growing_sample, train
from sparsam.estimators._training.time_budget import TimeBudget

X = np.random.default_rng(0).uniform(0.1, 0.9, (60, 6))


def test_the_last_training_gets_half_of_the_time_and_unused_time():
    budget = TimeBudget(60.0)
    for n_to_come in (6, 5, 4):
        assert budget.share(n_to_come) == pytest.approx(6.0)
        budget.use(6.0 if n_to_come > 4 else 4.0)
    assert budget.share(3) == pytest.approx(7.0)
    budget.use(14.0)
    assert budget.share(1) == pytest.approx(30.0)
    budget.use(100.0)
    assert budget.share(3) == budget.share(1) == 0
    assert TimeBudget(None).share(3) is None


class Clock:
    """Clock that only evaluations advance: the first one, which compiles, by more than all others together."""

    def __init__(self, monkeypatch, first=1000.0, each=1.0):
        self.now, self.n_bursts = 0.0, 0
        monkeypatch.setattr(train.time, "perf_counter", lambda: self.now)
        steps = growing_sample.make_evaluator

        def timed(objective, data):
            evaluator = steps(objective, data)
            take = evaluator.steps

            def moved(state, n_steps, pause):
                if n_steps:  # otherwise it only compiles
                    self.now += each if self.n_bursts else first
                    self.n_bursts += 1
                return take(state, 1, pause)

            evaluator.steps = moved
            return evaluator

        monkeypatch.setattr(growing_sample, "make_evaluator", timed)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def autoencoder(**options):
    return SparseAutoencoder(3, rho=0.2, beta=0.1, random_state=0, tol=0.0, **options)


@pytest.mark.parametrize("solver", ["kronecker-lbfgs", "lbfgs"])
def test_time_counts_from_the_end_of_the_first_evaluation(clock, solver):
    with pytest.warns(ConvergenceWarning, match="the time budget is used up"):
        model = autoencoder(solver=solver, time_budget=20.0).fit(X)
    assert model.stop_reason_ == "time_budget"
    assert model.n_evaluations_ <= clock.n_bursts == 21  # the first evaluation, and one per second
    assert model.n_iter_ > 10


def test_a_resumed_fit_has_the_full_time_budget(clock, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = autoencoder(time_budget=5.0, checkpoint=tmp_path).fit(X)
        clock.n_bursts = 0
        second = autoencoder(time_budget=5.0, checkpoint=Checkpoint(tmp_path, resume=True)).fit(X)
    assert clock.n_bursts == 6
    assert second.n_evaluations_ > first.n_evaluations_
    assert second.history_["seconds"].iloc[-1] > 2000  # the iterations of both


def test_polishing_has_the_remaining_time(clock):
    options = {"rho": 0.2, "beta": 0.1, "random_state": 0, "tol": 1e-2, "polish": True}
    plain = SparseAutoencoder(3, **options | {"polish": False}).fit(X)
    clock.n_bursts = 0
    with pytest.warns(ConvergenceWarning, match="time budget"):
        model = SparseAutoencoder(3, **options, time_budget=plain.n_evaluations_ + 4.0).fit(X)
    assert model.stop_reason_ == "time_budget"
    assert model.n_iter_ > plain.n_iter_


Y = X[:, :2] ** 2
FITS = {
    "autoencoder": lambda **o: SparseAutoencoder(3, rho=0.2, beta=0.1, random_state=0, **o).fit(X),
    "regression": lambda **o: MultivariateNormalRegressor((), random_state=0, **o).fit(X, Y),
    "labels": lambda **o: NoisyLabelClassifier((), epsilon=0.1, random_state=0, **o).fit(X, X[:, 0] > 0.5),
}


@pytest.mark.parametrize("kind", FITS)
def test_a_fit_of_few_iterations_has_a_warning_and_a_loss(kind):
    with pytest.warns(ConvergenceWarning, match="still close to the initial ones. Increase time_budget, or continue"):
        model = FITS[kind](time_budget=1e-9)
    assert (model.stop_reason_, model.converged_) == ("time_budget", False)
    assert model.n_iter_ < 10
    assert np.isfinite(model.loss_)
    assert model.loss_curve_[-1] == model.loss_


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "effects"),
    [
        (
            lambda **o: MultivariateNormalRegressor((2,), **o).fit(X, Y),
            "predictive_covariance_ and alpha_ are estimated with networks that were not trained long enough, and the "
            "folds cannot choose the number of iterations",
        ),
        (
            lambda **o: MultivariateNormalRegressor((2,), alpha=0.01, early_stopping=False, **o).fit(X, Y),
            "predictive_covariance_ is estimated with networks that were not trained long enough",
        ),
        (
            lambda **o: MultivariateNormalRegressor((), calibration_fraction="cross-fitted", **o).fit(X, Y),
            "calibration_distances_ is estimated with networks that were not trained long enough",
        ),
        (
            lambda **o: NoisyLabelClassifier((2,), **o).fit(X, X[:, 0] > 0.5),
            "epsilon_ is estimated with networks that were not trained long enough, and the folds cannot choose the "
            "number of iterations",
        ),
        (
            lambda **o: NoisyLabelClassifier((), epsilon=0.1, alpha=(1e-4, 1e-3), **o).fit(X, X[:, 0] > 0.5),
            "alpha_ is estimated with networks that were not trained long enough",
        ),
        (
            lambda **o: NoisyLabelClassifier((2,), epsilon=0.1, **o).fit(X, X[:, 0] > 0.5),
            "the folds cannot choose the number of iterations",
        ),
    ],
    ids=["regression", "covariance alone", "calibration", "labels", "alpha alone", "iterations alone"],
)
def test_trainings_in_folds_that_the_budget_ended_have_a_warning_that_names_what_they_estimate(make, effects):
    with pytest.warns(ConvergenceWarning) as caught:
        make(time_budget=1e-9, random_state=0)
    texts = [str(warning.message) for warning in caught]
    [said] = [text for text in texts if text.startswith("time_budget = 1e-09 s ended")]
    assert " of the trainings in folds early, one of them after " in said
    assert f" iterations: {effects}. Increase time_budget" in said
    assert any("After so few iterations" in text for text in texts)
