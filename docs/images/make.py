"""Make the pictures of this folder from runs of today.

``python docs/images/make.py`` makes all, ``python docs/images/make.py filters report`` these two.
Each is what a command writes, so that a reader who types it sees the same; but the frontier is that
of word vectors, GloVe's in ``glove.npz`` of the folder that SPARSAM_DATA names. The report is
photographed in Chromium, which Playwright drives: ``pip install ".[report]" playwright``, and
``apt-get install chromium`` or the like.
"""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from typer.testing import CliRunner

from sparsam.cli.app import app

HERE = Path(__file__).parent
GRID = ("--alpha", "0,1e-5,1e-4,1e-3,1e-2", "--beta", "0,0.3,3,30")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def run(*arguments: object) -> None:
    """Run a command of sparsam, and print what it prints."""
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    print(result.output)
    if result.exit_code:
        sys.exit(result.exit_code)


def make_filters(folder: Path) -> None:
    """Copy the filters of ``sparsam learn``."""
    run("learn", "--out", folder / "learned")
    shutil.copy(folder / "learned" / "filters.png", HERE / "filters.png")


def make_study(folder: Path) -> None:
    """Copy the filters of a ``sparsam sweep`` over alpha and beta, a few minutes."""
    run("sweep", *GRID, "--out", folder / "study")
    shutil.copy(folder / "study" / "filters.png", HERE / "study.png")


def make_report(folder: Path) -> None:
    """Photograph the filters in the report of ``sparsam learn``, and the page of one unit."""
    from playwright.sync_api import sync_playwright

    run("learn", "--out", folder / "reported")
    run("report", folder / "reported")
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, CHROMIUM)))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 1040, "height": 3000}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto((folder / "reported" / "report.html").as_uri())
        page.locator("#sort").select_option("orientation")
        page.locator("#filter-list button").nth(15).click()
        page.locator("#units article:visible .chart svg").wait_for()
        box = page.locator("section:has(#filters)").bounding_box()
        below_the_rule = {"y": box["y"] + 2, "height": box["height"] + 14}  # and with a margin
        page.screenshot(path=HERE / "report.png", clip={"x": 0, "width": 1040, **below_the_rule})
        browser.close()


def make_frontier(folder: Path) -> None:
    """Draw the frontiers of two dictionaries of 3000 words, less than a minute."""
    import numpy as np

    from sparsam import SparseAutoencoder, parameter_study
    from sparsam.studies import draw_frontier

    X = np.load(Path(os.environ["SPARSAM_DATA"], "glove.npz"))["vectors"][:3000].astype(np.float64)
    grid = {"beta": [0.01, 0.03, 0.06, 0.12, 0.24]}
    options = {
        "hidden_activation": "relu",
        "output_activation": "identity",
        "max_iter": 150,
        "tol": 1e-3,
    }
    tables = {
        f"{n} units": parameter_study(
            SparseAutoencoder(n, sparsity="l1", **options), grid, X, held_out=0.3, seeds=2
        )
        for n in (100, 20)
    }
    draw_frontier(tables, save=HERE / "frontier.png")


MAKERS = {
    "filters": make_filters,
    "study": make_study,
    "report": make_report,
    "frontier": make_frontier,
}


if __name__ == "__main__":
    with TemporaryDirectory() as temporary:
        for name in sys.argv[1:] or MAKERS:
            MAKERS[name](Path(temporary))
