"""``sparsam regress``, ``classify`` and ``predict`` on raw tables."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sparsam.cli.classify import guessing, is_overfitted
from sparsam.io.pipelines import load_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

FAST = ("--max-iter", 30, "--hidden-layer-sizes", 4, "--no-early-stopping")


@pytest.fixture(scope="module")
def table():
    """Return a raw table: numbers, missing values, a category, a constant, names, two targets and a label."""
    rng = np.random.default_rng(0)
    n = 200
    x = rng.normal(size=n)
    color = rng.choice(["red", "green"], size=n)
    noise = rng.multivariate_normal([0, 0], [[0.1, 0.08], [0.08, 0.1]], size=n)
    frame = pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.1, np.nan, x),
            "color": np.where(rng.random(n) < 0.1, None, color),
            "same": 3.0,
            "name": [f"sample {k}" for k in range(n)],
            "height": x + (color == "red") + noise[:, 0],
            "width": np.where(rng.random(n) < 0.2, np.nan, -x + noise[:, 1]),
            "kind": np.where((x > 0) ^ (rng.random(n) < 0.1), "big", "small"),
        }
    )
    frame.loc[3, ["height", "width"]] = np.nan
    return frame


@pytest.fixture(scope="module")
def files(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    table.to_csv(folder / "table.csv", index=False)
    table.to_parquet(folder / "table.parquet")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    np.savez(folder / "arrays.npz", X=X, Y=X[:, :2] + 0.1 * rng.normal(size=(100, 2)), label=X[:, 0] > 0)
    return folder


@pytest.fixture(scope="module")
def regressed(run, files):
    out = files / "regressed"
    result = run(
        "regress",
        files / "table.csv",
        "--target",
        "height",
        "--target",
        "width",
        "--ignore",
        "kind",
        *FAST,
        "--out",
        out,
    )
    return result, out


def test_regress_makes_numbers_of_a_raw_table_and_says_how(regressed):
    result, out = regressed
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir()} == {"residuals.png", "cost.png", "model.skops", "metrics.json"}
    assert "Left out: 1 rows without any target" in result.stderr
    assert re.search(r"^  x: numeric; \d+ missing, imputed by the median, -?0\.\d+$", result.stderr, re.MULTILINE)
    assert re.search(r"^  color: categorical; green, red; \d+ missing, kept as a category", result.stderr, re.MULTILINE)
    assert "  same: dropped; constant, 3\n" in result.stderr
    assert (
        "  name: dropped; 159 different texts in 159 rows, such as 'sample 0': names, or free text\n" in result.stderr
    )
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["R2"]["height"] > 0.7
    assert metrics["test"]["mean_log_likelihood"] > -1
    for picture in out.glob("*.png"):
        with Image.open(picture) as image:
            assert image.convert("L").getextrema()[0] < image.convert("L").getextrema()[1]


def test_predictions_of_the_saved_model_are_those_of_the_training(regressed, run, files, table):
    _, out = regressed
    result = run("predict", out / "model.skops", files / "table.parquet", "-o", files / "predicted.csv")
    assert result.exit_code == 0, result.output
    predicted = pd.read_csv(files / "predicted.csv")
    assert list(predicted) == ["height", "height_std", "width", "width_std"]
    assert len(predicted) == len(table)
    assert predicted.height.corr(table.height) > 0.9


def test_missing_targets_are_filled_given_the_others(regressed, run, files, table):
    _, out = regressed
    filled = files / "filled.csv"
    result = run("predict", out / "model.skops", files / "table.csv", "--conditional", "-o", filled)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(filled)
    known = table.width.notna()
    np.testing.assert_allclose(frame.width[known], table.width[known])
    assert np.all(frame.width_std[known] == 0)
    assert np.all(frame.width_std[~known] > 0)


@pytest.mark.slow
def test_a_covariance_of_the_input_and_calibrated_bounds(run, files, table):
    """Four of five rows are in the bounds of regions of 80 %, at least: each region is inside its bounds."""
    out, predicted = files / "of-input", files / "bounds.csv"
    result = run(
        "regress", files / "table.csv", "--target", "height", "--ignore", "width", "--ignore", "kind", "--covariance",
        "input", "--calibration-fraction", 0.3, *FAST, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads((out / "metrics.json").read_text())["covariance_alpha"] > 0
    result = run("predict", out, files / "table.csv", "--coverage", 0.8, "-o", predicted)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(predicted)
    assert list(frame) == ["height", "height_std", "height_lower", "height_upper"]
    inside = (frame.height_lower <= table.height) & (table.height <= frame.height_upper)
    assert 0.7 < inside[table.height.notna()].mean() < 0.95
    np.testing.assert_allclose(frame.height_upper - frame.height, frame.height - frame.height_lower)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "warns"), [(["--epsilon", 0], True), (["--epsilon", 0, "--early-stopping"], False)]
)
def test_labels_that_are_learned_by_heart_are_said_to_be(run, tmp_path, options, warns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5))
    rare = rng.random(600) < 1 / (1 + np.exp(2.8 - X @ [1, 1, 0.5, 0, 0]))
    pd.DataFrame(X, columns=list("abcde")).assign(y=np.where(rare, "yes", "no")).to_csv(tmp_path / "t.csv", index=False)
    result = run("classify", tmp_path / "t.csv", "--label", "y", *options, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert ("is overfitted to the training labels" in result.stderr.replace("\n", " ")) == warns


def test_guessed_labels_have_the_shares_of_the_training_or_are_weighted_alike():
    training, test = np.array(["a"] * 9 + ["b"]), np.array(["a", "b"])
    model = SimpleNamespace(class_weight=None, classes_=["a", "b"])
    assert guessing(model, training, test) == pytest.approx(np.log([0.9, 0.1]).mean())
    assert is_overfitted(model, training, test, -0.01, -1.5)
    assert not is_overfitted(model, training, test, -0.01, -0.5)  # better than guesses
    assert not is_overfitted(model, training, test, -0.32, -1.5)  # nothing has been learned
    model.class_weight = "balanced"
    assert guessing(model, training, test) == pytest.approx(np.log(0.5))


@pytest.mark.slow
def test_regions_may_be_calibrated_by_the_folds(run, files):
    arguments = "regress", files / "table.csv", "--target", "height", "--ignore", "width", "--ignore", "kind", *FAST
    out = files / "by-folds"
    result = run(*arguments, "--calibration-fraction", "cross-fitted", "--out", out)
    assert result.exit_code == 0, result.output
    assert load_pipeline(out / "model.skops").pipeline[-1].calibration_fraction == "cross-fitted"
    result = run(*arguments, "--calibration-fraction", "folds", "--out", files / "none")
    assert result.exit_code != 0
    assert "a number, or cross-fitted" in result.stderr.replace("\n", " ")


def test_bounds_are_those_of_a_regression_alone(regressed, run, files):
    _, out = regressed
    result = run("predict", out, files / "table.csv", "--coverage", 0.8, "--conditional", "-o", files / "none.csv")
    assert result.exit_code != 0
    assert "exclude each other" in result.stderr


def test_classify_finds_the_labels_that_are_wrong(run, files, table):
    out = files / "classified"
    result = run(
        "classify", files / "table.csv", "--label", "kind", "--ignore", "height", "--ignore", "width", "--epsilon", 0.1,
        *FAST, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    suspects = pd.read_csv(out / "label-errors.csv")
    assert len(suspects) > 5
    assert np.mean((table.x[suspects.row] > 0).map({True: "big", False: "small"}).to_numpy() == suspects.probably) > 0.8
    predicted = files / "kinds.csv"
    result = run("predict", out / "model.skops", files / "table.csv", "--proba", "-o", predicted)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(predicted)
    assert list(frame) == ["kind", "P(big)", "P(small)"]
    np.testing.assert_allclose(frame["P(big)"] + frame["P(small)"], 1)


def test_classes_can_be_balanced(run_json, files):
    table = ("classify", files / "table.csv", "--label", "kind", "--epsilon", 0, "--class-weight", "balanced")
    metrics = run_json(*table, *FAST, "--out", files / "balanced")
    assert metrics["parameters"]["class_weight"] == "balanced"
    assert metrics["epsilon"] == 0


@pytest.mark.parametrize(("values", "classes"), [([0, 1], [0, 1]), ([True, False], [False, True])])
def test_a_gap_does_not_change_what_labels_are(run, tmp_path, values, classes):
    x = np.linspace(-1, 1, 40)
    labels = pd.Series([values[0]] * 20 + [values[1]] * 20, dtype=object)
    labels[3] = None
    pd.DataFrame({"x": x, "label": labels}).to_csv(tmp_path / "gap.csv", index=False)
    result = run(
        "classify", tmp_path / "gap.csv", "--label", "label", "--epsilon", 0.1, *FAST, "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["classes"] == classes


@pytest.mark.parametrize("epsilon", ["estimate", "estimate_matrix"])
def test_classify_estimates_epsilon(run, files, epsilon):
    out = files / epsilon
    table = ("classify", files / "arrays.npz", "--label", "label", "--ignore", "Y")
    result = run(*table, "--epsilon", epsilon, *FAST, "--out", out)
    assert result.exit_code == 0, result.output
    assert re.search(r"epsilon = 0\.\d{3} \(95 % interval 0\.\d{3} to 0\.\d{3}\)", result.stderr)
    assert (out / "likelihood-profile.png").exists()
    metrics = json.loads((out / "metrics.json").read_text())
    assert 0 <= metrics["epsilon_interval"][0] <= metrics["epsilon"] <= metrics["epsilon_interval"][1]


def test_arrays_are_columns(run_json, files):
    metrics = run_json(
        "regress", files / "arrays.npz", "--target", "Y", "--ignore", "label", *FAST, "--out", files / "arrays"
    )
    assert metrics["data"]["targets"] == ["Y_0", "Y_1"]
    assert metrics["test"]["R2"]["Y_0"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "depth"), "no column 'depth' in the table; its columns are x, color, same"),
        (("--target", "heigth"), "no column 'heigth' in the table; did you mean height"),
        (("--target", "color"), "the target 'color' holds text in 175 of 200 rows, such as 'green' in row 0"),
        (("--target", "same"), "the target 'same' is constant, 3: there is nothing to predict"),
        (("--target", "height", "--hidden-layer-sizes", "a"), "expected comma-separated integers, such as"),
        (("--target", "height", "--test-fraction", 1.5), r"--test-fraction must be in [0, 1)"),
    ],
)
def test_what_cannot_be_regressed_is_said(run, files, arguments, message):
    result = run("regress", files / "table.csv", *arguments, "--out", files / "nothing")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (files / "nothing").exists()


def test_a_missing_target_names_its_column(run, files, table, tmp_path):
    table.assign(height=np.nan).to_csv(tmp_path / "empty.csv")
    result = run("regress", tmp_path / "empty.csv", "--target", "height", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "the target 'height' has no values" in result.stderr


def test_foreign_and_damaged_models_are_refused(regressed, run, files, tmp_path):
    import pickle

    import skops.io

    _, out = regressed
    good = (out / "model.skops").read_bytes()
    (tmp_path / "cut.skops").write_bytes(good[: len(good) // 2])
    (tmp_path / "pickle.skops").write_bytes(pickle.dumps({"format": "sparsam table model 1"}))
    skops.io.dump({"format": "sparsam table model 1", "pipeline": print}, tmp_path / "print.skops")
    skops.io.dump([1, 2], tmp_path / "list.skops")
    for name in ("cut", "pickle", "print", "list"):
        result = run("predict", tmp_path / f"{name}.skops", files / "table.csv", "-o", tmp_path / "out.csv")
        assert result.exit_code == 1, name
        assert f"cannot load {tmp_path / name}.skops" in result.stderr.replace("\n", "")
        assert not (tmp_path / "out.csv").exists()


def test_a_table_without_the_inputs_is_refused(regressed, run, files, table, tmp_path):
    _, out = regressed
    table.drop(columns="x").to_csv(tmp_path / "less.csv", index=False)
    result = run("predict", out / "model.skops", tmp_path / "less.csv", "-o", tmp_path / "out.csv")
    assert result.exit_code == 1
    assert "the table lacks the column 'x'" in result.stderr
