"""Sphinx's settings. Nothing is downloaded by ``sphinx-build -W -b html docs docs/_build/html``."""

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.append(str(Path(__file__).parent / "_ext"))

project = "sparsam"
author = "The sparsam developers"
copyright = author
release = version = version_of("sparsam")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "sphinxcontrib.typer",
    "myst_parser",
    "numpydoc",
    "plain_docstrings",
]
exclude_patterns = ["_build", "examples", "data"]
default_role = "py:obj"
highlight_language = "text"  # plain formulas stand in the literal blocks of docstrings
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "sparsam"
html_static_path = ["_static"]
html_css_files = ["sparsam.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "changelog": [], "guide/command_line": []}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_prev_next": True,
}

myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections tell shapes and units, which types do not
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "min_reported_time": 0,
    "doc_module": ("sparsam",),
    "backreferences_dir": "api/generated",
    "matplotlib_animations": False,
    "image_scrapers": ("matplotlib",),
    "capture_repr": (),
    "default_thumb_file": str(Path(__file__).parent / "images" / "filters.png"),
}


def skip_member(app, what, name, obj, skip, options):
    """Leave out what scikit-learn adds to every estimator; its own documentation has it."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-skip-member", skip_member)
