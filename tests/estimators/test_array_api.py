"""Arrays of other libraries, with scikit-learn's array API on: they are converted to NumPy, and so are results."""

import numpy as np
import pytest
import sklearn
from sklearn.preprocessing import StandardScaler

from sparsam import (
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    TangentPipeline,
    encoder_tangents,
)

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (60, 6))
Y = X[:, :2] + 0.1 * RNG.normal(size=(60, 2))
LABELS = (X[:, 0] > 0.5).astype(int)
WEIGHTS = RNG.uniform(1.0, 2.0, 60)
TANGENTS = RNG.normal(size=(60, 1, 6))
USUAL = {"max_iter": 5, "random_state": 0}


@pytest.fixture
def dispatch(monkeypatch):
    """Switch on scikit-learn's array API, which needs SciPy's array API in the environment."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    monkeypatch.setattr("scipy._lib._array_api.SCIPY_ARRAY_API", "1", raising=False)
    return sklearn.config_context(array_api_dispatch=True)


def use_autoencoder(take):
    model = SparseAutoencoder(3, **USUAL).fit(take(X), sample_weight=take(WEIGHTS))
    codes = model.transform(take(X))
    yield from (*model.coefs_, codes, model.inverse_transform(take(codes)), model.predict(take(X)))
    yield from (model.score_samples(take(X)), model.score(take(X)), model.cost(take(X), sample_weight=take(WEIGHTS)))
    yield encoder_tangents(take(X), model, 1)


def use_regressor(take):
    model = MultivariateNormalRegressor((3,), **USUAL).fit(take(X), take(Y), sample_weight=take(WEIGHTS))
    yield from (*model.coefs_, *model.predict(take(X), return_std=True))
    yield from (model.score(take(X), take(Y)), model.mean_log_likelihood(take(X), take(Y)))


def use_classifier(take):
    model = NoisyLabelClassifier((3,), tangent_weight=1.0, **USUAL)
    model.fit(take(X), take(LABELS), sample_weight=take(WEIGHTS), tangents=take(TANGENTS))
    yield from (*model.coefs_, model.predict(take(X)), model.predict_proba(take(X)))
    yield from (model.label_error_proba(take(X), take(LABELS)), model.score(take(X), take(LABELS)))


def use_tangent_pipeline(take):
    network = NoisyLabelClassifier((3,), tangent_weight=1.0, **USUAL)
    model = TangentPipeline(StandardScaler(), network).fit(X, take(LABELS), tangents=take(TANGENTS))
    yield model.predict_proba(X)


@pytest.mark.parametrize("use", [use_autoencoder, use_regressor, use_classifier, use_tangent_pipeline])
def test_tensors_give_the_bits_of_numpy_arrays(use, dispatch):
    expected = list(use(np.asarray))
    with dispatch:
        results = list(use(torch.asarray))
    for result, wanted in zip(results, expected, strict=True):
        assert isinstance(result, np.ndarray | float)
        np.testing.assert_array_equal(result, wanted)


def test_tensors_without_data_are_refused(dispatch):
    with dispatch, pytest.raises((TypeError, RuntimeError, NotImplementedError), match="meta"):
        SparseAutoencoder(3, **USUAL).fit(torch.ones((60, 6), device="meta"))
