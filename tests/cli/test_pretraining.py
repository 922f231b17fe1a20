"""``--pretraining`` of ``classify`` and ``regress``: encoders that learn from rows without a target, too."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sparsam import SparseAutoencoder, StackedAutoencoder
from sparsam.io.pipelines import load_pipeline

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("without_factors"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

FAST = ("--max-iter", 30, "--hidden-layer-sizes", 0, "--no-early-stopping", "--dtype", "float64")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return a table most of whose rows have neither a label nor targets."""
    rng = np.random.default_rng(0)
    n = 120
    hidden = rng.normal(size=(n, 2))
    frame = pd.DataFrame(hidden @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(n, 5)), columns=list("abcde"))
    frame["color"] = rng.choice(["red", "green"], n)
    frame["kind"] = np.where(hidden[:, 0] > 0, "big", "small")
    frame[["height", "width"]] = hidden @ rng.normal(size=(2, 2)) + 0.1 * rng.normal(size=(n, 2))
    frame.loc[rng.random(n) < 0.5, ["kind", "height", "width"]] = None
    frame.loc[frame.index[frame["height"].notna()][0], "width"] = None  # one target is enough
    frame.loc[5, "a"] = None
    path = tmp_path_factory.mktemp("few") / "few.csv"
    frame.to_csv(path, index=False)
    return path, frame


COMMANDS = {
    "classify": ("--label", "kind", "--ignore", "height", "--ignore", "width", "--epsilon", 0.0),
    "regress": ("--target", "height", "--target", "width", "--ignore", "kind", "--cv", 0),
}


@pytest.mark.parametrize("units", ["4", "4,3"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_autoencoders_learn_from_all_rows_except_the_held_out_ones(run, table, tmp_path, command, units):
    path, frame = table
    result = run(command, path, *COMMANDS[command], *FAST, "--pretraining", units, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    data, n_unlabeled = metrics["data"], int(frame["kind"].isna().sum())
    assert data["n_training"] + data["n_test"] == len(frame) - n_unlabeled
    assert f"Pretraining on {data['n_training']} training rows and {n_unlabeled} others" in result.stderr
    assert re.search(rf"Only for the pretraining: {n_unlabeled} rows without", result.stderr)
    assert metrics["pretraining"]["n_units"] == [int(size) for size in units.split(",")]

    loaded = load_pipeline(tmp_path / "run" / "model.skops")
    model = loaded.pipeline[-1]
    pretrained = model.pretraining_
    assert isinstance(pretrained, SparseAutoencoder if units == "4" else StackedAutoencoder)
    assert model.pretraining.estimator is pretrained
    assert [coef.shape[1] for coef in model.coefs_[:-1]] == metrics["pretraining"]["n_units"]

    # An autoencoder that was fitted on the same rows in Python is the same.
    inputs = loaded.take_inputs(frame)
    columns = loaded.pipeline[:-1]
    test = held_out(frame, data["n_test"], command)
    rows = columns.transform(inputs[frame["kind"].notna() & ~frame.index.isin(test)])
    rows = np.concatenate([rows, columns.transform(inputs[frame["kind"].isna()])])
    again = clone(pretrained).fit(rows)
    for mine, theirs in zip(again.coefs_, pretrained.coefs_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)
    result = run("report", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert f"Only for the pretraining: {n_unlabeled} rows without" in result.stderr


def held_out(frame, n_test, command):
    """Return the rows that a command holds out for scoring."""
    from sparsam.cli.table_options import split_at

    labeled = frame[frame["kind"].notna()]
    labels = labeled["kind"].to_numpy() if command == "classify" else None
    return labeled.index[split_at(len(labeled), n_test, 0, labels)[1]]


def test_without_it_rows_without_a_label_are_left_out(run, table, tmp_path):
    path, frame = table
    result = run("classify", path, *COMMANDS["classify"], *FAST, "--out", tmp_path / "run")
    assert f"Left out: {int(frame['kind'].isna().sum())} rows without a label" in result.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["pretraining"] is None


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ("many", "--pretraining many: expected comma-separated integers"),
        ("5,0", "--pretraining 5,0: each number of units must be at least 1"),
    ],
)
def test_bad_numbers_of_units_are_refused(run, table, tmp_path, units, message):
    result = run("classify", table[0], *COMMANDS["classify"], *FAST, "--pretraining", units, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "run").exists()
