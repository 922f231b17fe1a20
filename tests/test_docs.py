"""Completeness of the pages; doctests and Sphinx run their code."""

import importlib
import importlib.util
import os
import re
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
MODULES = tuple(
    f"sparsam{part}"
    for part in ("", ".images", ".display", ".studies", ".gradcheck", ".inspection", ".verification", ".engine")
)


@pytest.fixture(scope="module")
def listed():
    """Return the names in the API reference."""
    page = (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8")
    return {f"sparsam.{name}" for name in re.findall(r"^   ([\w.]+)$", page, flags=re.MULTILINE)}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module, listed):
    package = importlib.import_module(module)
    public = {name: getattr(package, name) for name in package.__all__}
    there = [found(name) for name in listed]  # an object with two names is listed once
    missing = [name for name, what in public.items() if callable(what) and what not in there]  # except submodules
    assert public
    assert missing == []


def found(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_name_in_the_reference_exists_and_has_a_docstring(listed):
    for name in listed:
        assert not callable(found(name)) or found(name).__doc__, name


def test_every_page_is_reached_from_the_first():
    docs = ROOT / "docs"
    pages = {
        path for folder in ("theory", "guide", "design") for path in (docs / folder).iterdir() if path.stem != "index"
    }
    listed = {path.parent / name for path in docs.glob("*/index.md") for name in path.read_text().split()}
    assert {path.with_suffix("") for path in pages} <= listed


def test_the_citation_names_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_every_file_that_the_map_of_the_code_names_is_there():
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+(?:\.py|/))`", page))
    source, tests = ROOT / "src" / "sparsam", ROOT / "tests"
    there = [path.relative_to(source).as_posix() for path in source.rglob("*")]
    missing = [
        name
        for name in named
        if not any(f"/{path}".endswith(f"/{name.rstrip('/')}") for path in there)
        and not any((folder / name).exists() for folder in (tests, ROOT))
    ]
    assert len(named) > 50
    assert missing == []


def test_the_map_of_the_code_draws_the_floors_that_are_checked():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    floors = next(rule["layers"] for rule in settings["contracts"] if rule.get("containers") == ["sparsam"])
    drawn = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("```")[1].splitlines()
    assert [line.strip() for line in drawn if line.strip()][: len(floors)] == floors


def test_the_map_of_the_code_is_short():
    assert len((ROOT / "ARCHITECTURE.md").read_bytes()) < 10_240


def test_formulas_of_docstrings_are_escaped_and_markup_is_not():
    pytest.importorskip("docutils")  # of the extra "docs"
    specification = importlib.util.spec_from_file_location("plain", ROOT / "docs" / "_ext" / "plain_docstrings.py")
    plain = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(plain)
    lines = [
        "1/2 |y_n|^2 and loss_, as in ``np.load(file,",
        "mode_)`` of *The Notes*.",
        "h. The slope::",
        "",
        "    a_ * |b|",
        "",
        ">>> a_ | b_",
        "c_",
    ]
    plain.escape_prose(None, "class", "name", None, None, lines)
    assert lines[0] == r"1/2 \|y_n\|^2 and loss\_, as in ``np.load(file,"
    assert lines[1] == "mode_)`` of *The Notes*."
    assert lines[2] == r"h\. The slope::"
    assert lines[4:] == ["    a_ * |b|", "", ">>> a_ | b_", "c_"]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def test_every_file_that_the_readme_links_to_is_there():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", page) + re.findall(r'src="([^"]+)"', page)
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("table", ["diabetes", "digits"])
def test_the_example_tables_are_those_that_their_script_makes(table):
    made = runpy.run_path(str(ROOT / "docs" / "data" / "make.py"))[table]()
    pd.testing.assert_frame_equal(pd.read_csv(ROOT / "docs" / "data" / f"{table}.csv"), made)


def test_the_word_vectors_are_those_of_their_script():
    data_folder = os.environ.get("SPARSAM_DATA")
    shipped = np.load(ROOT / "docs" / "data" / "word_vectors.npz")
    assert shipped["vectors"].shape == (3000, 50)
    assert shipped["vectors"].dtype == np.float16
    if data_folder is None or not (Path(data_folder) / "glove.npz").exists():
        pytest.skip("no GloVe vectors: set SPARSAM_DATA")
    whole = np.load(Path(data_folder) / "glove.npz")
    lines = (f"{word} {' '.join(map(str, row))}" for word, row in zip(whole["words"], whole["vectors"], strict=True))
    made = runpy.run_path(str(ROOT / "docs" / "data" / "make.py"))["word_vectors"](lines)
    for name in ("words", "vectors"):
        np.testing.assert_array_equal(made[name], shipped[name])
