"""Run commands in the test's process; a small model to run them on."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from sparsam import SparseAutoencoder, save
from sparsam.cli.app import app


@pytest.fixture(scope="session")
def run():
    runner = CliRunner()

    def run(*args):
        return runner.invoke(app, [str(arg) for arg in args])

    return run


@pytest.fixture(scope="session")
def run_json(run):
    def run_json(*args):
        result = run(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run_json


@pytest.fixture(scope="session")
def rows():
    return np.random.default_rng(0).uniform(0.1, 0.9, size=(60, 16))


@pytest.fixture(scope="session")
def model(rows):
    return SparseAutoencoder(n_components=4, rho=0.1, max_iter=20, random_state=0).fit(rows)


@pytest.fixture
def model_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save(model, path)
    return path
