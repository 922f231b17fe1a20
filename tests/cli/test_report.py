"""``sparsam report``: the page of a run, whose data are read again."""

import json
import re
import shutil
from base64 import b64decode
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

FAST = ("--max-iter", 20)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    np.save(folder / "stack.npy", rng.normal(size=(32, 32, 3)))
    return folder / "stack.npy"


@pytest.fixture(scope="module")
def learned(run, images, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "learned <b>"
    options = ("--n-patches", 200, "--patch-size", 4, "--n-components", 3, *FAST)
    result = run("learn", images, *options, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pd.DataFrame({"x": x, "color": rng.choice(["red", "green"], 120), "height": x + rng.normal(size=120)})
    frame["width"] = frame.height + rng.normal(size=120)
    frame["kind"] = np.where((x > 0) ^ (rng.random(120) < 0.1), "big", "small")
    frame.loc[3, ["height", "width"]] = np.nan
    frame.loc[5, "kind"] = None
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def regressed(run, table):
    out = table.parent / "regressed"
    targets = ("--target", "height", "--target", "width", "--ignore", "kind")
    result = run("regress", table, *targets, "--hidden-layer-sizes", 0, *FAST, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def classified(run, table):
    out = table.parent / "classified"
    ignored = ("--ignore", "height", "--ignore", "width")
    result = run(
        "classify", table, "--label", "kind", *ignored, "--epsilon", 0.1, "--hidden-layer-sizes", 0, *FAST, "--out", out
    )
    assert result.exit_code == 0, result.output
    return out


def made(run, *arguments):
    result = run("report", *arguments)
    assert result.exit_code == 0, result.output
    return result


def test_the_patches_are_those_of_the_training(run, learned, tmp_path):
    made(run, learned, "-o", tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Report on learned &lt;b&gt;" in html
    assert "rows of this page differ" not in html
    assert html.count("<article") == 3


def kinds_of_filters(path):
    return set(re.findall(r'src="data:image/([a-z+]+);base64,[^"]*" alt="Filter', path.read_text(encoding="utf-8")))


def test_patches_have_the_shape_that_they_were_cut_in(run, learned, tmp_path):
    made(run, learned, "-o", tmp_path / "auto.html")
    made(run, learned, "--image-shape", "none", "-o", tmp_path / "none.html")
    made(run, learned, "--image-shape", "2,8", "-o", tmp_path / "other.html")
    assert kinds_of_filters(tmp_path / "auto.html") == kinds_of_filters(tmp_path / "other.html") == {"png"}
    assert kinds_of_filters(tmp_path / "none.html") == {"svg+xml"}
    png = re.search(r'src="data:image/png;base64,([^"]*)" alt="Filter', (tmp_path / "auto.html").read_text("utf-8"))[1]
    assert Image.open(BytesIO(b64decode(png))).size == (4, 4)


def test_an_older_run_is_reported(run, learned, tmp_path):
    """Version 0.1.0 did not always record whether images were whitened."""
    old = tmp_path / "old"
    shutil.copytree(learned, old)
    metrics = json.loads((old / "metrics.json").read_text())
    del metrics["data"]["whiten"]
    (old / "metrics.json").write_text(json.dumps(metrics))
    made(run, old)
    assert "rows of this page differ" not in (old / "report.html").read_text(encoding="utf-8")


def test_other_images_are_said_to_be_so(run, learned, tmp_path):
    np.save(tmp_path / "other.npy", np.random.default_rng(1).normal(size=(32, 32, 3)))
    made(run, learned, "--images", tmp_path / "other.npy", "-o", tmp_path / "page.html")
    assert "rows of this page differ" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_regressions_and_classifications_are_split_again(run, regressed, classified):
    for out in (regressed, classified):
        made(run, out)
        html = (out / "report.html").read_text(encoding="utf-8")
        test = json.loads((out / "metrics.json").read_text())["test"]
        assert f"{test['mean_log_likelihood']:.4f}" in html
        assert "held-out" in html


def test_another_table_is_said_to_be_so(run, regressed, classified, table, tmp_path):
    frame = pd.read_csv(table)
    frame["x"] = frame["x"].to_numpy()[::-1]
    frame.to_csv(tmp_path / "other.csv", index=False)
    for out in (regressed, classified):
        made(run, out, "-o", tmp_path / f"{out.name}.html")
        assert "rows of this page differ" not in (tmp_path / f"{out.name}.html").read_text(encoding="utf-8")
        made(run, out, "--data", tmp_path / "other.csv", "-o", tmp_path / "other.html", "--overwrite")
        assert "rows of this page differ" in (tmp_path / "other.html").read_text(encoding="utf-8")


def test_a_page_is_replaced_only_when_asked(run, learned, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("mine")
    assert run("report", learned, "-o", page).exit_code == 1
    assert page.read_text() == "mine"
    made(run, learned, "-o", page, "--overwrite")
    assert page.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda out: (out / "metrics.json").unlink(), "holds no run"),
        (lambda out: (out / "metrics.json").write_text("{"), "cannot be read"),
        (lambda out: (out / "metrics.json").write_text("{}"), 'has no entry "data"'),
        (lambda out: (out / "metrics.json").write_text('{"data": {}}'), "has no entry"),
        (lambda out: shutil.rmtree(out), "no such file or folder"),
    ],
)
def test_what_is_no_run_is_refused(run, regressed, tmp_path, change, message):
    out = tmp_path / "run"
    shutil.copytree(regressed, out)
    (out / "report.html").unlink(missing_ok=True)
    change(out)
    result = run("report", out)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (out / "report.html").exists()


def test_data_that_are_gone_are_named_with_the_option(run, learned, regressed, table, images, tmp_path):
    for out, data, option in ((learned, images, "--images"), (regressed, table, "--data")):
        away = tmp_path / data.name
        data.rename(away)
        try:
            result = run("report", out, "-o", tmp_path / "page.html")
            assert result.exit_code == 1
            assert f"If they have moved, name them with {option}" in result.stderr
            made(run, out, option, away, "-o", tmp_path / f"{option}.html")
        finally:
            away.rename(data)


def test_another_table_is_refused(run, regressed, table, tmp_path):
    pd.read_csv(table).iloc[:50].to_csv(tmp_path / "less.csv", index=False)
    result = run("report", regressed, "--data", tmp_path / "less.csv", "-o", tmp_path / "page.html")
    assert result.exit_code == 1
    assert "has 49 rows with targets, but the run had 119" in result.stderr


@pytest.mark.parametrize("shape", ["8", "8,b", "8,8,8", "0,8", "squares"])
def test_a_shape_is_height_and_width(run, classified, tmp_path, shape):
    result = run("report", classified, "--image-shape", shape, "-o", tmp_path / "page.html")
    assert result.exit_code == 1
    assert f"--image-shape {shape}: expected HEIGHT,WIDTH such as 28,28" in result.stderr
