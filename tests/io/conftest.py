"""A model, the file that save makes of it, and what it is to be refused."""

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
    """Make a small autoencoder, the same but for the parameters given."""

    def build(**parameters):
        return SparseAutoencoder(**({"n_components": 3, "rho": 0.2, "beta": 0.1, "random_state": 0} | parameters))

    return build


@pytest.fixture(scope="session")
def model(build, X):
    """A fitted model, of few iterations lest its file be long; not to be changed."""
    return build(tol=0.02).fit(X)


@pytest.fixture(scope="session")
def good(model, tmp_path_factory):
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save(model, path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def assert_refused(tmp_path_factory):
    """Assert that load refuses a file of this content by one ValueError, which names the file and says why."""
    path = tmp_path_factory.mktemp("refused") / "model.safetensors"

    def assert_refused(content, why=""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"^cannot load {re.escape(str(path))}: .*{why}"):
            load(path)

    return assert_refused


@pytest.fixture(scope="session")
def assert_refused_or_harmless(tmp_path_factory, model):
    """The same, but the file may as well be loaded if it gives the very model."""
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
