"""Nothing on the built pages is wider than its column: on a screen of 1280 pixels, on a phone of 390.

The rule. Headings, formulas, pictures, signatures and inline code end within the column at both widths: a formula that
scrolls is read in halves, and nothing tells that it goes on. A block of code or a table fits on a screen. On a phone it
may scroll within a box of its own, since breaking lines of code or columns of numbers harms them more; the box ends
within the column and shows its scroll bar, so nothing is cut off. The page itself never scrolls sideways.
"""

import os
import shutil
from pathlib import Path

import pytest

SCREEN, PHONE = 1280, 390
PAGES = os.environ.get("SPARSAM_PAGES")  # docs/_build/html, or wherever sphinx-build wrote
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NOT_WRITTEN_HERE = {"search.html"}  # it is empty until one searches

READY = """async () => {
    if (document.querySelector(".math")) await MathJax.startup.promise;
    await document.fonts.ready;
}"""
# Pixels by which things reach over the right edge of their column (beyond a rounding of one), by what may scroll.
MEASURE = """() => {
    const column = document.querySelector("article") ?? document.querySelector("main");
    const style = getComputedStyle(column);
    const edge = column.getBoundingClientRect().right - parseFloat(style.paddingRight);
    const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const scroller = (element) => {
        for (let box = element; box !== column; box = box.parentElement) if (scrolls(box)) return box;
        return null;
    };
    const found = [];
    const note = (kind, element, excess) => {
        if (excess > 1) found.push([kind, Math.round(excess), element.textContent.trim().slice(0, 60)]);
    };
    const right = (element) => Math.max(...[...element.getClientRects()].map((line) => line.right));
    for (const math of column.querySelectorAll("mjx-container > mjx-math"))
        if (!math.closest("table")) note("formula", math, right(math) - edge);
    for (const math of column.querySelectorAll("mjx-merror")) note("formula with an error", math, Infinity);
    for (const code of column.querySelectorAll("dt.sig, :not(pre) > code"))
        if (!code.closest("table")) note("signature or inline code", code, right(code) - edge);
    for (const heading of column.querySelectorAll("h1, h2, h3"))
        note("heading", heading, heading.scrollWidth - heading.clientWidth);
    for (const picture of column.querySelectorAll("img")) note("picture", picture, right(picture) - edge);
    for (const block of column.querySelectorAll("pre, table")) {
        const box = scroller(block);
        const kind = block.tagName === "PRE" ? "code" : "table";
        if (box === null) note(kind, block, Math.max(right(block) - edge, block.scrollWidth - block.clientWidth));
        else {
            note(`box around ${kind}`, block, right(box) - edge);
            note(`scrolling ${kind}`, block, box.scrollWidth - box.clientWidth);
        }
    }
    return {found, formulas: column.querySelectorAll("mjx-container").length,
            unset: column.querySelectorAll(".math:not(:has(mjx-container))").length,
            sideways: document.documentElement.scrollWidth - innerWidth};
}"""


@pytest.fixture(scope="module")
def measured():
    """Measurements of every page: {(name of the page, width): what MEASURE returns}."""
    if PAGES is None:
        pytest.skip("SPARSAM_PAGES does not name the folder of the built pages")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    folder = Path(PAGES).resolve()
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))
    measured = {}
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        for name in names:
            if name in NOT_WRITTEN_HERE or name.startswith("_"):
                continue
            page.set_viewport_size({"width": SCREEN, "height": 900})
            page.goto((folder / name).as_uri())
            page.evaluate(READY)
            for width in (SCREEN, PHONE):
                page.set_viewport_size({"width": width, "height": 900})
                measured[name, width] = page.evaluate(MEASURE)
        browser.close()
    return measured


def test_formulas_are_set(measured):
    assert sum(page["formulas"] for page in measured.values()) > 200
    assert [name for name, page in measured.items() if page["unset"]] == []


@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_no_page_scrolls_sideways(measured, width):
    sideways = {name: page["sideways"] for (name, at), page in measured.items() if at == width}
    assert len(sideways) > 50
    assert {name: pixels for name, pixels in sideways.items() if pixels > 0} == {}


@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_nothing_is_wider_than_its_column(measured, width):
    may = ("scrolling code", "scrolling table") if width == PHONE else ()
    too_wide = [
        (name, *what)
        for (name, at), page in measured.items()
        if at == width
        for what in page["found"]
        if what[0] not in may
    ]
    assert too_wide == []
