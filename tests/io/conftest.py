"""A model, its saved file, and assertions that a file is refused."""

import re

import numpy as np
import pytest

from sparsam import SparseAutoencoder, load, save


@pytest.fixture(scope="session")
def X():
    rng = np.random.default_rng(0)
    return rng.uniform(size=(60, 2)) @ rng.uniform(0.0, 0.5, size=(2, 6))


@pytest.fixture(scope="session")
def build():
    """Return a function that makes a small autoencoder; only the given parameters differ."""

    def build(**parameters):
        return SparseAutoencoder(**({"n_components": 3, "rho": 0.2, "beta": 0.1, "random_state": 0} | parameters))

    return build


@pytest.fixture(scope="session")
def model(build, X):
    """Return a fitted model that tests must not change; few iterations keep its file short."""
    return build(tol=0.02).fit(X)


@pytest.fixture(scope="session")
def good(model, tmp_path_factory):
    """Return the bytes of a valid file."""
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save(model, path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def assert_refused(tmp_path_factory):
    """Return an assertion that load refuses a file of this content with a ValueError naming the file and the cause."""
    path = tmp_path_factory.mktemp("refused") / "model.safetensors"

    def assert_refused(content, why=""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^cannot load {re.escape(str(path))}: .*{why}"):
            load(path)

    return assert_refused


@pytest.fixture(scope="session")
def assert_refused_or_harmless(tmp_path_factory, model):
    """Return the same assertion, except that load may also return exactly the original model."""
    path = tmp_path_factory.mktemp("damaged") / "model.safetensors"

    def assert_refused_or_harmless(content):
        path.write_bytes(content)
        try:
            loaded = load(path)
        except ValueError as error:
            assert str(error).startswith(f"cannot load {path}: ")  # noqa: PT017 (either is right)
            return
        assert vars(loaded).keys() == vars(model).keys()
        for name, value in vars(model).items():
            np.testing.assert_equal(vars(loaded)[name], value)

    return assert_refused_or_harmless
