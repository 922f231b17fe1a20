"""``learn --rows --names``, and the names in the report of the run."""

import json
import re

import numpy as np
import pytest

from sparsam.cli.row_names import format_names, read_names

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

OPTIONS = ("--n-components", 4, "--max-iter", 5)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Write rows, one of them incomplete, and their names."""
    folder = tmp_path_factory.mktemp("words")
    X = np.random.default_rng(0).normal(size=(60, 5))
    X[7, 2] = np.nan
    np.save(folder / "vectors.npy", X)
    names = [f"word {row}" for row in range(60)]
    names[3], names[4], names[5] = "", "  Wörter \u2028 <b>", "word 2"
    (folder / "words.txt").write_bytes(("\ufeff" + "\r\n".join(names)).encode())
    return folder, names


@pytest.fixture(scope="module")
def learned(run, rows):
    folder, _ = rows
    options = ("--names", folder / "words.txt", *OPTIONS, "--out", folder / "run")
    result = run("learn", folder / "vectors.npy", "--rows", *options)
    assert result.exit_code == 0, result.output
    return folder / "run"


def names_of(path):
    html = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="named">(.*?)</script>', html, re.DOTALL)
    return None if found is None else json.loads(found[1])["names"]


def test_the_report_of_a_run_has_its_names(run, rows, learned, tmp_path):
    _, names = rows
    assert read_names(learned / "row_names.txt") == names
    result = run("report", learned, "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert names_of(tmp_path / "page.html") == names[:7] + names[8:]  # without that of the incomplete row
    assert "rows of this page differ" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_other_names_can_be_given(run, rows, learned, tmp_path):
    (tmp_path / "other.txt").write_text("".join(f"other {row}\n" for row in range(60)))
    result = run("report", learned, "--names", tmp_path / "other.txt", "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert names_of(tmp_path / "page.html")[-1] == "other 59"


def test_a_run_of_changed_rows_has_no_names(run, learned, tmp_path):
    np.save(tmp_path / "fewer.npy", np.random.default_rng(0).normal(size=(40, 5)))
    result = run("report", learned, "--data", tmp_path / "fewer.npy", "-o", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert names_of(tmp_path / "page.html") is None
    assert "the run has 60 names, but fewer.npy has 40 rows" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_names_that_do_not_fit_are_refused(run, rows, learned, tmp_path):
    folder, _ = rows
    (tmp_path / "few.txt").write_text("one\ntwo\n")
    (tmp_path / "latin.txt").write_bytes("one\nWörter\n".encode("latin-1"))
    for file, message in (
        ("few.txt", "--names has 2 lines, but .*vectors.npy has 60 rows: .* one line for each row"),
        ("latin.txt", r"latin.txt is not UTF-8 text \(line 2\): save it"),
        ("none.txt", "no such file: .*none.txt"),
    ):
        for command in (("learn", folder / "vectors.npy", "--rows", "--out", tmp_path / "run"), ("report", learned)):
            result = run(*command, "--names", tmp_path / file)
            assert result.exit_code == 1
            assert re.search(message, " ".join(result.stderr.split()))
            assert not (tmp_path / "run" / "model.safetensors").exists()
    result = run("learn", "--names", folder / "words.txt", "--out", tmp_path / "run")
    assert "--names applies to rows: add --rows" in result.stderr


def test_a_file_keeps_every_name(tmp_path):
    names = ["", " a", "b\t", "\u2028", "\x0b", "語", "c"]
    (tmp_path / "names.txt").write_bytes(format_names(names))
    assert read_names(tmp_path / "names.txt") == names
    (tmp_path / "names.txt").write_bytes(b"")
    assert read_names(tmp_path / "names.txt") == []
