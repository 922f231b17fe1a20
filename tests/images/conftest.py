"""Fixtures from scripts in this folder, which write files."""

import runpy
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def save_hdf5():
    pytest.importorskip("h5py")
    return runpy.run_path(str(Path(__file__).with_name("matlab_files.py")))["save_hdf5"]


@pytest.fixture(scope="session")
def run():
    """Run a command in this process."""
    from typer.testing import CliRunner

    from sparsam.cli.app import app

    runner = CliRunner()

    def run(*args):
        return runner.invoke(app, [str(arg) for arg in args])

    return run
