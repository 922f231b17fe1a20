"""``sparsam sweep`` on tiny studies."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sparsam import load

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

TINY = ("--n-patches", 200, "--n-held-out", 50, "--patch-size", 4, "--n-components", "3,4", "--rho", "0.05,0.2")
TINY += ("--max-iter", "3,6")


@pytest.fixture(scope="module")
def swept(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep") / "study"
    return run("sweep", *TINY, "--seeds", 2, "--parquet", "--out", out), out


def test_it_writes_a_table_a_page_and_models(swept):
    result, out = swept
    assert result.exit_code == 0, result.output
    names = {path.name for path in out.iterdir()}
    assert names == {"study.json", "study.csv", "study.parquet", "filters.png", "filters.pdf", "models"}
    table = pd.read_csv(out / "study.csv")
    assert len(table) == len(pd.read_parquet(out / "study.parquet")) == 16
    assert np.isfinite(table[["J", "held_out_error", "explained_variance_ratio", "seconds"]]).all(axis=None)
    assert (np.isfinite(table.quality) == table.weakness.isna()).all()
    unexplained = (table.explained_variance_ratio < 0.01).sum()
    assert unexplained == (table.weakness == "unexplained").sum() > 0
    assert f"{unexplained} of 16 settings: the network explains under 1 % of the variance" in result.stderr
    assert load(out / table.model[5]).components_.shape == (table.n_components[5], 16)
    with Image.open(out / "filters.png") as image:
        assert image.width > 300
    assert "group 1 of 2" in result.stderr


def test_a_setting_is_what_learn_makes(swept, run, tmp_path):
    _, out = swept
    table = pd.read_csv(out / "study.csv")
    flags = ("--n-patches", 200, "--patch-size", 4, "--n-components", 3, "--rho", 0.2, "--max-iter", 6)
    assert run("learn", *flags, "--out", tmp_path / "run").exit_code == 0
    row = table.query("n_components == 3 and rho == 0.2 and max_iter == 6 and seed == 0")
    np.testing.assert_array_equal(
        load(out / row.model.item()).components_, load(tmp_path / "run" / "model.safetensors").components_
    )


def test_another_study_is_refused_and_the_same_is_resumed(swept, run):
    _, out = swept
    again = run("sweep", *TINY, "--seeds", 2, "--out", out)
    assert again.exit_code == 1
    assert "--resume" in again.stderr
    other = run("sweep", *TINY, "--seeds", 1, "--out", out, "--resume")
    assert other.exit_code == 1
    assert "seeds ([0, 1] there, [0] here)" in other.stderr
    (out / "models" / "0003.json").unlink()
    same = run("sweep", *TINY, "--seeds", 2, "--out", out, "--resume", "--page-columns", "rho")
    assert same.exit_code == 0, same.output
    assert "15 of 16 settings are done already" in same.stderr


def test_two_studies_are_compared(swept, run, run_json, tmp_path):
    _, out = swept
    assert run("sweep", *TINY, "--solver", "lbfgs", "--out", tmp_path / "other").exit_code == 0
    refused = run("sweep", "--compare", out, tmp_path / "other")
    assert refused.exit_code == 1
    assert "solver" in refused.stderr
    records = run_json("sweep", "--compare", out, tmp_path / "other", "--may-differ", "solver")
    assert len(records) == 8
    assert {"rho", "n_components", "max_iter", "seed", "J_difference"} <= records[0].keys()
    shown = run("sweep", "--compare", out, out)
    assert "16 settings are in both" in shown.stderr
    assert shown.stdout.splitlines()[0].split()[0] == "n_components"


@pytest.fixture(scope="module")
def table_file(tmp_path_factory):
    """Table of six columns of rank two, and a label."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(size=(120, 2)) @ rng.uniform(size=(2, 6)), columns=list("abcdef"))
    table.assign(label=rng.integers(0, 9, size=120)).to_csv(path, index=False)
    return path


def test_rows_of_a_table_are_swept_and_draw_a_frontier(run, table_file, tmp_path):
    flags = ("--rows", "--ignore", "label", "--n-components", 3, "--rho", 0.1, "--max-iter", 30)
    result = run("sweep", table_file, *flags, "--beta", "0.1,1", "--held-out", 0.25, "--out", tmp_path / "study")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "study").iterdir()}
    assert names == {"study.json", "study.csv", "frontier.png", "models"}
    table = pd.read_csv(tmp_path / "study" / "study.csv")
    assert table.beta.tolist() == [0.1, 1.0]
    assert np.isfinite(table[["held_out_error", "held_out_explained_variance", "held_out_active"]]).all(axis=None)
    assert load(tmp_path / "study" / table.model[0]).feature_names_in_.tolist() == list("abcdef")
    all_rows = ("--held-out", 0, "--beta", 1, "--out", tmp_path / "all")
    assert run("sweep", table_file, *flags, *all_rows).exit_code == 0
    assert run("learn", table_file, *flags, "--beta", 1, "--out", tmp_path / "run").exit_code == 0
    [row] = pd.read_csv(tmp_path / "all" / "study.csv").itertuples()
    np.testing.assert_array_equal(
        load(tmp_path / "all" / row.model).components_, load(tmp_path / "run" / "model.safetensors").components_
    )


def test_rows_to_hold_out_are_checked_before_anything_is_fitted(run, table_file, tmp_path):
    for share, message in (("0.001", "at least 2, and not all"), ("0.9999", "not all"), ("1", "in [0, 1)")):
        result = run("sweep", table_file, "--rows", "--held-out", share, "--out", tmp_path / "study")
        assert result.exit_code == 1
        assert message in result.stderr.replace("\n", " ")
        assert "settings on" not in result.stderr
        assert not (tmp_path / "study").exists()


def test_a_sweep_of_rows_is_resumed(run, table_file, tmp_path):
    flags = ("--rows", "--max-iter", 5, "--beta", "0.1,1", "--out", tmp_path / "study")
    assert run("sweep", table_file, *flags).exit_code == 0
    (tmp_path / "study" / "models" / "0001.json").unlink()
    other = run("sweep", table_file, *flags, "--held-out", 0.5, "--resume")
    assert "differences: the held-out data" in other.stderr
    again = run("sweep", table_file, *flags, "--resume")
    assert again.exit_code == 0, again.output
    assert "1 of 2 settings are done already" in again.stderr


def test_rows_that_are_images_have_a_page_of_filters(run, table_file, tmp_path):
    flags = ("--rows", "--ignore", "label", "--image-shape", "2,3", "--n-components", 3, "--max-iter", 5)
    result = run("sweep", table_file, *flags, "--beta", "0.1,1", "--out", tmp_path / "study")
    assert result.exit_code == 0, result.output
    assert {"filters.png", "filters.pdf"} < {path.name for path in (tmp_path / "study").iterdir()}
    color = ("--rows", "--ignore", "label", "--image-shape", "1,2,3", "--max-iter", 5, "--out", tmp_path / "color")
    assert run("sweep", table_file, *color, "--beta", "0.1,1").exit_code == 0


def test_json_is_the_table(run_json, tmp_path):
    records = run_json("sweep", "--n-patches", 100, "--patch-size", 3, "--max-iter", 2, "--out", tmp_path / "study")
    assert len(records) == 1
    assert records[0]["quality"] is None  # 3 x 3 pixels are too few
    assert records[0]["stop_reason"] == "max_iter"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rho", "0.1,much"), "--rho 0.1,much: expected comma-separated numbers, such as"),
        (("--n-components", "2.5"), "expected comma-separated integers, such as"),
        (("--rho", "0.1,1.5"), "rho = 1.5"),
        (("--page-rows", "gamma"), "--page-rows gamma: choose from --n-components"),
        (("--rows", "--beta", "0,3"), "--rows needs one table or array, got 0"),
        (("--rows", "--n-patches", "9"), "--n-patches applies to images, not to --rows"),
        (("--rows", "--random-state", "1"), "--random-state applies to images, not to --rows"),
        (("--rows", "--page-rows", "beta"), "--page-rows applies to pages of filters: add --image-shape"),
        (("--held-out", "0.1"), "--held-out applies to rows: add --rows"),
        (("--compare", "a", "b", "--ignore", "beta"), "--ignore cannot be combined with --compare; --may-differ names"),
        (("--compare", "nowhere", "nothing"), "no"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(run, tmp_path, arguments, message):
    result = run("sweep", *arguments, "--out", tmp_path / "study")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert message in result.stderr
    assert not (tmp_path / "study").exists()


def test_an_output_that_is_a_file_is_refused_before_any_work(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run("sweep", "--n-patches", 100, "--out", tmp_path / "file" / "study")
    assert result.exit_code == 1
    assert "is a file: name a folder" in result.stderr
    assert "settings on" not in result.stderr


def test_ctrl_c_keeps_what_is_done_and_exits_130(tmp_path):
    out = tmp_path / "study"
    flags = ["--n-patches", "300", "--n-held-out", "0", "--rho", "0.05,0.1,0.2,0.3", "--tol", "0", "--dtype", "float64"]
    command = [sys.executable, "-m", "sparsam", "sweep", *flags, "--max-iter", "5,10000000", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not (out / "study.json").exists():
        time.sleep(0.1)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]
    assert process.returncode == 130, rest
    assert "Interrupted." in rest
    assert "Traceback" not in rest
    done = list((out / "models").glob("*.json"))
    assert all("J" in json.loads(path.read_text()) for path in done)
