"""An interrupted study can be resumed; a folder holds one study."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from sparsam import NoisyLabelClassifier, SparseAutoencoder, parameter_study
from sparsam.studies import draw_study, read_study

rng = np.random.default_rng(0)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]
X = rng.uniform(0.1, 0.9, size=(60, 16))
MODEL = SparseAutoencoder(3, rho=0.1, max_iter=5)
GRID = {"n_components": [2, 3], "beta": [0.0, 1.0]}


def without_seconds(table):
    return table.drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return parameter_study(MODEL, GRID, X, out=tmp_path_factory.mktemp("whole"))


class Stop(Exception):
    pass


@pytest.mark.parametrize("n_groups", [1, 3])
def test_what_was_done_is_not_done_again(whole, tmp_path, monkeypatch, n_groups):
    lines = []

    def stop(line):
        lines.append(line)
        if sum(line.startswith("group") for line in lines) == n_groups:
            raise Stop

    with pytest.raises(Stop):
        parameter_study(MODEL, GRID, X, out=tmp_path, progress=stop)
    assert len(read_study(tmp_path)) == n_groups == len(pd.read_csv(tmp_path / "study.csv"))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()}
    lines.clear()
    table = parameter_study(MODEL, GRID, X, out=tmp_path, resume=True, progress=lines.append)
    assert lines[0] == f"{n_groups} of 4 settings are done already"
    assert sum(line.startswith("group") for line in lines) == 4 - n_groups
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()}
    assert before.items() <= after.items()
    pd.testing.assert_frame_equal(without_seconds(table), without_seconds(whole))


def test_a_model_without_its_row_is_fitted_again(whole, tmp_path):
    parameter_study(MODEL, GRID, X, out=tmp_path)
    (tmp_path / "models" / "0002.json").unlink()
    table = parameter_study(MODEL, GRID, X, out=tmp_path, resume=True)
    pd.testing.assert_frame_equal(without_seconds(table), without_seconds(whole))


def test_a_damaged_row_is_named(tmp_path):
    parameter_study(MODEL, {}, X, out=tmp_path)
    (tmp_path / "models" / "0000.json").write_text("{")
    with pytest.raises(ValueError, match=r"0000.json is damaged"):
        parameter_study(MODEL, {}, X, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"estimator": SparseAutoencoder(3, rho=0.2, max_iter=5)}, r"rho \(0.1 there, 0.2 here\)"),
        ({"grid": {"n_components": [2, 3], "beta": [0.0]}}, r"beta \(\[0.0, 1.0\] there, \[0.0\] here\)"),
        ({"grid": {"beta": [0.0, 1.0], "n_components": [2, 3]}}, "the order of the grid"),
        ({"X": X[::-1]}, "differences: the data"),
        ({"X_held_out": X}, "the held-out data"),
        ({"seeds": 2}, r"seeds \(\[0\] there, \[0, 1\] here\)"),
    ],
)
def test_another_study_is_refused_and_the_difference_named(tmp_path, changes, message):
    arguments = {"estimator": MODEL, "grid": GRID, "X": X, "out": tmp_path}

    def stop(line):
        raise Stop

    with pytest.raises(Stop):
        parameter_study(**arguments, progress=stop)
    with pytest.raises(ValueError, match=message):
        parameter_study(**arguments | changes, resume=True)
    with pytest.raises(FileExistsError, match="resume"):
        parameter_study(**arguments)


def test_a_study_whose_data_were_refused_leaves_its_folder_free(tmp_path):
    with pytest.raises(ValueError, match="logistic outputs"):
        parameter_study(MODEL, {}, 10 * X, out=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(parameter_study(MODEL, {}, X, out=tmp_path)) == 1


def test_a_folder_without_a_study_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder or file"):
        read_study(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="holds no study"):
        read_study(tmp_path)
    (tmp_path / "study.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format"):
        read_study(tmp_path)


def test_a_study_is_drawn_from_its_folder(tmp_path):
    import matplotlib.pyplot as plt

    parameter_study(MODEL, GRID, X, out=tmp_path)
    (tmp_path / "models" / "0001.json").unlink()
    figure = draw_study(tmp_path, rows="n_components", save=tmp_path / "page.png")
    assert len(figure.axes) == 4
    assert [len(axes.images) for axes in figure.axes] == [1, 0, 1, 1]
    plt.close(figure)


def test_values_of_several_types_are_drawn(tmp_path):
    import matplotlib.pyplot as plt

    model = NoisyLabelClassifier((), epsilon=0.1, max_iter=5)
    parameter_study(model, {"epsilon": [0.1, (0.1, 0.2)]}, X, np.where(X[:, 0] > 0.5, "a", "b"), out=tmp_path)
    figure = draw_study(tmp_path)
    assert [len(axes.images) for axes in figure.axes] == [1, 1]
    plt.close(figure)


def test_where_no_objective_was_finite_there_is_nothing_to_draw(tmp_path):
    spoilt = X.copy()
    spoilt[0, 0] = 1e30  # its square is beyond float32
    model = SparseAutoencoder(3, hidden_activation="relu", output_activation="identity", beta=0.0)
    assert parameter_study(model, {}, spoilt, out=tmp_path).stop_reason.tolist() == ["not_finite"]
    with pytest.raises(ValueError, match="no filters"):
        draw_study(tmp_path)


PROGRAM = """
import sys, numpy as np
from sparsam import SparseAutoencoder, parameter_study
X = np.random.default_rng(0).uniform(0.1, 0.9, size=(20_000, 64))
model = SparseAutoencoder(25, rho=0.1, tol=0.0)
parameter_study(model, {"max_iter": [3, 10**9]}, X, out=sys.argv[1], seeds=3, resume=True, progress=print)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive)])
def test_signals_end_a_study_soon_and_it_can_be_resumed(tmp_path, number):
    """The training of the last setting would never end; finished settings are kept."""
    command = [sys.executable, "-c", PROGRAM.replace("tol=0.0", "tol=0.0, dtype='float64'"), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    while process.poll() is None and not (tmp_path / "study.json").exists():
        time.sleep(0.1)
    time.sleep(3)
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGINT), error
    assert "settings are done" in out
