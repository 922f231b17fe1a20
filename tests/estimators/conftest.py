"""Data and models shared by the tests: with few shapes and settings, so that few programs are compiled."""

import numpy as np
import pytest

from sparsam import SparseAutoencoder

SETTINGS = {
    "float32": {},
    "float64": {"dtype": "float64"},
    "tanh": {"hidden_activation": "tanh", "output_activation": "identity", "dtype": "float64"},
    "relu": {"hidden_activation": "relu", "output_activation": "identity", "beta": 0.0, "random_state": 1},
}


def build_model(**parameters):
    """Build a small autoencoder; it converges within about 60 iterations at the defaults."""
    defaults = {"n_components": 3, "rho": 0.2, "beta": 0.1, "alpha": 1e-3, "random_state": 0}
    return SparseAutoencoder(**(defaults | parameters))


@pytest.fixture(scope="session")
def build():
    return build_model


@pytest.fixture(scope="session")
def X():
    """60 rows of 6 features in [0, 1], of rank two up to a little noise; the array is read-only."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(60, 2)) @ rng.uniform(0.0, 0.5, size=(2, 6)) + rng.uniform(0.0, 0.01, size=(60, 6))
    X.flags.writeable = False
    return X


@pytest.fixture(scope="session")
def sample_weight():
    return np.random.default_rng(1).uniform(0.0, 2.0, size=60)


@pytest.fixture(
    scope="session",
    params=["float32", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("float64", "tanh", "relu"))],
)
def fitted(request, X):
    """Fitted models of several kinds; tests must not change them (use `copy.deepcopy`)."""
    return build_model(**SETTINGS[request.param]).fit(X)


@pytest.fixture(scope="session")
def model(X):
    """One fitted model; tests must not change it."""
    return build_model().fit(X)


@pytest.fixture(scope="session")
def same_bits():
    """Compare all bits of two fitted models, except the seconds in the history."""

    def compare(one, other):
        for name, value in attributes(one).items():
            np.testing.assert_equal(attributes(other)[name], value, err_msg=name, strict=isinstance(value, np.ndarray))
        return attributes(one).keys() == attributes(other).keys()

    return compare


def attributes(model):
    found = {name: value for name, value in vars(model).items() if name.endswith("_")}
    return found | {"history_": model.history_.drop(columns="seconds").to_numpy()}
