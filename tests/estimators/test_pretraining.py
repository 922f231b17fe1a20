"""Pretraining: the first layers start from an autoencoder's encoder, in all forms that it can be given."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from sparsam import (
    Checkpoint,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
    load,
    save,
)

DATA, LABELS = load_digits(return_X_y=True)
X, Y = DATA[:200, 8:40] / 16, LABELS[:200]
TARGETS = np.column_stack([X[:, 2:8].sum(axis=1), X[:, 9:12].sum(axis=1)])

AUTOENCODER = SparseAutoencoder(8, rho=0.2, beta=0.1, random_state=1, max_iter=30)
STACK = StackedAutoencoder([AUTOENCODER, SparseAutoencoder(5, beta=0.0, max_iter=30)], max_iter=30, random_state=2)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(pretraining, **options):
    options = {"epsilon": 0.1, "early_stopping": False, "random_state": 0} | options
    return NoisyLabelClassifier((), pretraining=pretraining, **options)


def regressor(pretraining, **options):
    fixed = {"cv": None, "early_stopping": False, "random_state": 0}
    return MultivariateNormalRegressor((), pretraining=pretraining, **fixed, **options)


CASES = [(classifier, Y), (regressor, TARGETS)]


@pytest.fixture(params=CASES, ids=["classifier", "regressor"])
def make_and_targets(request):
    return request.param


@pytest.mark.parametrize("pretraining", [AUTOENCODER, STACK], ids=["autoencoder", "stack"])
def test_the_training_starts_from_the_encoder(make_and_targets, pretraining):
    make, targets = make_and_targets
    model = make(pretraining, callback=lambda progress: True, dtype="float64").fit(X, targets)
    assert model.n_iter_ == 0
    n = len(model.pretraining_.coefs_) // 2
    for got, expected in zip(model.coefs_[:n], model.pretraining_.coefs_[:n], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    assert [coef.shape[1] for coef in model.coefs_[:n]] == [8, 5][:n]
    assert not hasattr(pretraining, "coefs_")


def test_the_autoencoder_is_fitted_as_by_itself(make_and_targets):
    make, targets = make_and_targets
    model = make(AUTOENCODER, max_iter=3).fit(X, targets)
    alone = clone(AUTOENCODER).fit(X)
    # The rows are in another order, which 30 iterations magnify from rounding.
    np.testing.assert_allclose(model.pretraining_.coefs_[0], alone.coefs_[0], atol=1e-3)
    assert model.pretraining_.random_state == alone.random_state


def test_a_frozen_autoencoder_is_used_as_it_is(make_and_targets, tmp_path):
    make, targets = make_and_targets
    more = clone(AUTOENCODER).fit(DATA[:, 8:40] / 16)
    model = make(FrozenEstimator(more), max_iter=3).fit(X, targets)
    np.testing.assert_array_equal(model.pretraining_.coefs_[0], more.coefs_[0])
    before = model.predict(X)
    more.set_params(hidden_activation="tanh")  # of the caller's object
    np.testing.assert_array_equal(model.predict(X), before)
    more.set_params(hidden_activation="logistic")
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert isinstance(loaded.pretraining, FrozenEstimator)
    np.testing.assert_array_equal(loaded.pretraining_.transform(X), more.transform(X))
    again = clone(loaded).fit(X, targets)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_saved_and_loaded_it_is_the_same(make_and_targets, tmp_path):
    make, targets = make_and_targets
    model = make(STACK, max_iter=3).fit(X, targets)
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.get_params()["pretraining__autoencoder1__rho"] == 0.2
    np.testing.assert_array_equal(loaded.pretraining_.transform(X), model.pretraining_.transform(X))


def test_hidden_layers_follow_the_encoders(make_and_targets):
    make, targets = make_and_targets
    model = make(AUTOENCODER, max_iter=3).set_params(hidden_layer_sizes=(7,)).fit(X, targets)
    assert [coef.shape for coef in model.coefs_[:2]] == [(32, 8), (8, 7)]
    network = model._fitted_network()
    assert network.hidden_activation == ("logistic", "tanh")
    code = 1 / (1 + np.exp(-(X @ model.coefs_[0] + model.intercepts_[0])))
    z = np.tanh(code @ model.coefs_[1] + model.intercepts_[1])
    a = z @ model.coefs_[2] + model.intercepts_[2]
    got = model.predict(X)
    expected = a if make is regressor else model.classes_[a.argmax(axis=1)]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_its_hyperparameters_can_be_searched():
    search = GridSearchCV(classifier(AUTOENCODER, max_iter=3), {"pretraining__n_components": [2, 8]}, cv=2)
    search.fit(X, Y)
    assert search.best_estimator_.pretraining_.n_components == search.best_params_["pretraining__n_components"]


def test_the_folds_of_an_estimate_start_from_it_too():
    few = NoisyLabelClassifier((), pretraining=AUTOENCODER, random_state=0, max_iter=10).fit(X, Y % 2)
    assert few.likelihood_profile_ is not None
    assert few.pretraining_.coefs_[0].shape == (32, 8)
    folds = MultivariateNormalRegressor((), pretraining=AUTOENCODER, random_state=0, max_iter=10).fit(X, TARGETS)
    assert folds.validation_scores_


def test_a_stream_is_pretrained_too(make_and_targets):
    make, targets = make_and_targets

    class Chunks:
        def __iter__(self):
            return iter(zip(np.array_split(X, 5), np.array_split(targets, 5), strict=True))

    held = make(AUTOENCODER, max_iter=3, dtype="float64").fit(X, targets)
    streamed = make(AUTOENCODER, max_iter=3, dtype="float64").fit(Chunks())
    np.testing.assert_allclose(streamed.pretraining_.loss_, held.pretraining_.loss_, rtol=1e-5)
    assert streamed.coefs_[0].shape == held.coefs_[0].shape


def test_a_warm_start_does_not_pretrain_again(make_and_targets):
    make, targets = make_and_targets
    model = make(AUTOENCODER, max_iter=3).fit(X, targets)
    pretrained, before = model.pretraining_, model.loss_
    model.set_params(warm_start=True).fit(X, targets)
    assert model.pretraining_ is pretrained
    assert model.loss_curve_[0] == pytest.approx(before, rel=1e-4)


def test_a_warning_of_the_pretraining_names_it(make_and_targets):
    make, targets = make_and_targets
    short = clone(AUTOENCODER).set_params(max_iter=2)
    with pytest.warns(ConvergenceWarning, match="pretraining: not converged"):
        make(short, max_iter=3).fit(X, targets)


@pytest.mark.parametrize(
    ("pretraining", "error", "message"),
    [
        (3, TypeError, "pretraining must be a SparseAutoencoder.*got int"),
        (FrozenEstimator(SparseAutoencoder()), NotFittedError, "not fitted"),
        (SparseAutoencoder(rho=3.0), ValueError, "rho must be"),
    ],
)
def test_anything_else_is_refused(make_and_targets, pretraining, error, message):
    make, targets = make_and_targets
    with pytest.raises(error, match=message):
        make(pretraining).fit(X, targets)


def test_data_outside_the_range_of_the_autoencoder_are_refused(make_and_targets):
    make, targets = make_and_targets
    with pytest.raises(ValueError, match=r"pretraining: X ranges from 0 to 16 \(first outside \[0, 1\] in row 0\)"):
        make(AUTOENCODER).fit(16 * X, targets)
    frozen = FrozenEstimator(clone(AUTOENCODER).fit(X))
    with pytest.raises(ValueError, match="X has 31 features, but the autoencoder in pretraining was fitted on 32"):
        make(frozen).fit(X[:, 1:], targets)


def test_a_resumed_fit_does_not_take_the_weights_of_another_encoder(make_and_targets, tmp_path):
    make, targets = make_and_targets
    one, other = clone(AUTOENCODER).fit(X), clone(AUTOENCODER).fit(0.5 * X)
    make(FrozenEstimator(one), max_iter=3, checkpoint=tmp_path).fit(X, targets)
    cold = make(FrozenEstimator(other), max_iter=6).fit(X, targets)
    resumed = make(FrozenEstimator(other), max_iter=6, checkpoint=Checkpoint(tmp_path, resume=True)).fit(X, targets)
    np.testing.assert_array_equal(resumed.coefs_[0], cold.coefs_[0])


def test_a_time_budget_that_ends_the_pretraining_is_not_blamed_on_folds(make_and_targets):
    make, targets = make_and_targets
    endless = SparseAutoencoder(20, beta=0.0, alpha=0.0, tol=0.0, max_iter=10**6, random_state=0)
    with pytest.warns(ConvergenceWarning) as caught:
        make(endless, time_budget=0.05).fit(X, targets)
    messages = [str(warning.message) for warning in caught]
    assert any("pretraining: not converged" in message for message in messages)
    assert not any("folds" in message for message in messages)


def test_a_warm_start_with_other_activations_is_refused(make_and_targets):
    make, targets = make_and_targets
    model = make(clone(AUTOENCODER), max_iter=3).fit(X, targets)
    model.set_params(warm_start=True, pretraining__hidden_activation="tanh")
    with pytest.raises(ValueError, match="their hidden layers have other activations"):
        model.fit(X, targets)


def test_features_in_another_order_than_the_frozen_encoders_are_refused(make_and_targets):
    make, targets = make_and_targets
    frame = pd.DataFrame(X, columns=[f"pixel {k}" for k in range(32)])
    frozen = FrozenEstimator(clone(AUTOENCODER).fit(frame))
    make(frozen, max_iter=3).fit(frame, targets)
    with pytest.raises(ValueError, match=r"other names, or another order.*pixel 31, pixel 30.*there pixel 0, pixel 1"):
        make(frozen, max_iter=3).fit(frame.iloc[:, ::-1], targets)


def test_given_weights_are_a_warm_start_without_a_fit_before():
    model = NoisyLabelClassifier((), epsilon=0.1, alpha=1.0, warm_start=True)
    model.classes_ = np.array([0, 1])
    model.coefs_, model.intercepts_ = [np.full((32, 1), 0.01)], [np.zeros(1)]
    assert model.fit(X, Y % 2).score(X, Y % 2) > 0.5
