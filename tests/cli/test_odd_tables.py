"""Real-world tables: a command reports what it decides about them, and refuses what it cannot decide."""

import json
import re
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

from sparsam.cli.console import warnings_shown

pytestmark = pytest.mark.usefixtures("without_factors")

FAST = ("--max-iter", 30, "--hidden-layer-sizes", 0, "--no-early-stopping", "--cv", 0)


@pytest.fixture
def frame():
    """Return a table with codes that are text and numbers, a binary answer, and a target that depends on both."""
    rng = np.random.default_rng(0)
    n = 120
    code, answer, x = rng.choice(["A", "01", "2"], n), rng.choice(["no", "yes"], n), rng.normal(size=n)
    y = x + 2.0 * (code == "A") - 2.0 * (code == "2") + (answer == "yes") + 0.1 * rng.normal(size=n)
    return pd.DataFrame({"x": x, "code": code, "answer": answer, "y": y})


@pytest.fixture
def regress(run, tmp_path):
    def regress(frame, *options, target="y"):
        frame.to_csv(tmp_path / "table.csv", index=False)
        out = tmp_path / "out"
        return run("regress", tmp_path / "table.csv", "--target", target, *FAST, *options, "--out", out, "--overwrite")

    return regress


@pytest.fixture
def predict(run, tmp_path):
    def predict(frame, *options):
        frame.to_csv(tmp_path / "new.csv", index=False)
        to = tmp_path / "predicted.csv"
        result = run(
            "predict", tmp_path / "out" / "model.skops", tmp_path / "new.csv", *options, "-o", to, "--overwrite"
        )
        return result, pd.read_csv(to) if result.exit_code == 0 else None

    return predict


def test_a_row_is_predicted_the_same_whatever_rows_stand_beside_it(frame, regress, predict):
    assert regress(frame).exit_code == 0
    together = predict(frame)[1]
    without_a = frame.code != "A"  # the codes of these rows are numbers, 01 among them
    result, apart = predict(frame[without_a])
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(apart.y, together.y[without_a])


def test_an_unknown_category_counts_as_none_and_is_said(frame, regress, predict):
    assert regress(frame).exit_code == 0
    rows = pd.DataFrame({"x": 0.0, "code": "2", "answer": ["no", "yes", "perhaps", None]})
    result, predicted = predict(rows)
    assert "answer: 'perhaps' (rows: 1) did not occur in training, counts as no category" in result.stderr
    no, yes, perhaps, missing = predicted.y
    assert yes - no == pytest.approx(1, abs=0.1)
    # A category without an indicator adds nothing. Weight decay makes the weights of two indicators +a and -a.
    assert perhaps == pytest.approx((no + yes) / 2, abs=0.02)
    assert missing == perhaps


def test_names_of_deviations_are_unique(frame, regress, predict, run, tmp_path):
    frame = frame.assign(y_std=-frame.y + np.random.default_rng(1).normal(size=len(frame)))
    assert regress(frame, "--target", "y_std").exit_code == 0
    _, predicted = predict(frame)
    assert list(predicted) == ["y", "y_std_2", "y_std", "y_std_std"]
    assert predicted.y_std.corr(frame.y_std) > 0.7


def test_an_unused_category_is_no_class(run, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    labels = pd.Categorical(np.where(x > 0, "b", "a"), categories=["a", "b", "c"])
    pd.DataFrame({"x": x, "label": labels}).to_parquet(tmp_path / "t.parquet")
    out = tmp_path / "out"
    options = ("--label", "label", "--epsilon", 0.1, "--max-iter", 5)
    result = run("classify", tmp_path / "t.parquet", *options, "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads((out / "metrics.json").read_text())["classes"] == ["a", "b"]


def test_an_input_that_determines_the_target_is_a_warning(frame, regress):
    result = regress(frame.assign(total=2 * frame.y + 1))
    assert (
        "Warning: the input 'total' alone determines 'y': leave it out unless it is known before 'y' (--ignore total)"
        in result.stderr
    )
    assert "Warning: the input" not in regress(frame).stderr


def test_a_number_that_looks_like_a_slip_is_a_warning_also_among_targets_and_held_out_rows(frame, regress):
    numbers = [name for name in frame.columns if pd.api.types.is_float_dtype(frame[name])]
    for name in ("y", numbers[0]):
        for row in (3, 7):
            slipped = frame.copy()
            slipped.loc[row, name] = 1e6
            said = f"Warning: '{name}' has 1 value more than 20 robust deviations from its median, such as 1e+06 in"
            assert f"{said} row {row}: check it" in regress(slipped).stderr.replace("\n", " ")
    assert "robust deviations" not in regress(frame).stderr
    assert "robust deviations" not in regress(frame.assign(price=np.exp(frame.y * 2 / frame.y.std()))).stderr


def test_columns_are_in_the_metrics(frame, regress, tmp_path):
    assert regress(frame.assign(id=np.arange(7, 7 + len(frame)))).exit_code == 0
    columns = json.loads((tmp_path / "out" / "metrics.json").read_text())["data"]["columns"]
    assert list(columns) == ["x", "code", "answer", "id"]
    assert columns["code"] == "code: categorical; 01, 2, A"
    assert "--ignore id" in columns["id"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": "tall"}, "the column 'x' holds 'tall', which is not a number, first in row 0"),
        ({"x": np.inf}, "the column 'x' holds infinity, first in row 0"),
        ({"x": "1,5"}, "the column 'x' holds '1,5', which is not a number"),
    ],
)
def test_what_cannot_be_predicted_names_its_column(frame, regress, predict, change, message):
    assert regress(frame).exit_code == 0
    result, _ = predict(frame.astype({"x": object}).assign(**change))
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_mark_of_a_missing_value_is_one(frame, regress, predict):
    """Such marks are common in public tables."""
    marked = frame.assign(x=frame.x.astype(object).where(frame.index % 10 > 0, "?"))
    result = regress(marked)
    assert re.search(r"^  x: numeric; \d+ missing, imputed by the median", result.stderr, re.MULTILINE)
    gap, mark = (predict(frame.astype({"x": object}).assign(x=value))[1] for value in (None, "?"))
    np.testing.assert_array_equal(gap.y, mark.y)


def test_the_format_of_a_text_table(frame, regress, run, tmp_path):
    assert regress(frame).exit_code == 0
    usual = json.loads((tmp_path / "out" / "metrics.json").read_text())
    frame.to_csv(tmp_path / "europe.csv", sep=";", decimal=",", encoding="cp1252", index=False)
    table = ("regress", tmp_path / "europe.csv", "--target", "y", *FAST, "--out", tmp_path / "europe")
    result = run(*table)
    assert "try --sep ';'" in result.stderr
    result = run(*table, "--sep", ";")
    assert "the column 'y' seems to hold numbers in another format" in result.stderr
    assert "use --decimal ','\n" in result.stderr
    result = run(*table, "--sep", ";", "--decimal", ",", "--encoding", "cp1252")
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "europe" / "metrics.json").read_text())
    assert metrics["test"] == usual["test"]
    result = run("report", tmp_path / "europe")
    assert result.exit_code == 0, result.output
    assert "is another table" not in (tmp_path / "europe" / "report.html").read_text()


def test_warnings_of_the_library_are_printed_once(capsys):
    with warnings_shown():
        for _ in range(2):
            warnings.warn("extreme values", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "Warning: extreme values\n"


def test_a_training_cut_short_is_advised_in_options_of_the_command(frame, regress):
    result = regress(frame.assign(y=1e30 * frame.y), "--max-iter", 1)
    assert result.stderr.count("Not converged: increase --max-iter\n") == 1
    assert "Warning: " not in result.stderr
    assert "warm_start" not in result.stderr


MISSING = {
    "regress": ("no.csv", "--target", "y"),
    "classify": ("no.csv", "--label", "y"),
    "predict": ("no.skops", "no.csv", "-o", "out.csv"),
    "encode": ("no.safetensors", "no.npy", "-o", "out.npy"),
    "show": ("no.safetensors",),
    "report": ("no.folder",),
    "learn": ("no.png",),
    "sweep": ("no.png",),
}


@pytest.mark.parametrize("command", MISSING)
def test_missing_inputs_are_reported_before_anything_heavy_is_imported(command, tmp_path):
    program = (
        "import sys\n"
        f"sys.argv = ['sparsam', {command!r}, *{MISSING[command]!r}]\n"
        "from sparsam.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 1\n"
        "heavy = {'jax', 'sklearn', 'pandas', 'scipy', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False, timeout=300
    )
    assert re.search(r"no such file( or folder)?: no\.", done.stderr)
    assert done.stdout == "[]\n"
