"""What the pages must not forget; that their code runs is shown by their doctests and by Sphinx."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = tuple(
    f"sparsam{part}" for part in ("", ".images", ".display", ".gradcheck", ".penalties", ".error_functions")
)


@pytest.fixture(scope="module")
def listed():
    """Names in the API reference."""
    page = (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8")
    return {f"sparsam.{name}" for name in re.findall(r"^   ([\w.]+)$", page, flags=re.MULTILINE)}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module, listed):
    package = importlib.import_module(module)
    names = {f"{module}.{name}" for name in package.__all__ if callable(getattr(package, name))}  # not submodules
    assert names
    assert names <= listed


def test_every_name_in_the_reference_exists_and_has_a_docstring(listed):
    for name in listed:
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        assert not callable(found) or found.__doc__, name


def test_every_page_is_reached_from_the_first():
    docs = ROOT / "docs"
    pages = {path for folder in ("theory", "guide") for path in (docs / folder).iterdir() if path.stem != "index"}
    listed = {path.parent / name for path in docs.glob("*/index.md") for name in path.read_text().split()}
    assert {path.with_suffix("") for path in pages} <= listed
