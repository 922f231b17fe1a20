"""The page in a browser: clicks, keys, the slider; no requests, no errors; on a phone, in dark mode."""

import shutil
from base64 import b64decode

import numpy as np
import pytest

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"width": 390, "height": 844}
EXHAUSTIVE = pytest.mark.exhaustive


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return folder


@pytest.fixture
def open_page(browser, files):
    """Return a function that opens a page; fail at the end on any request, console message or error."""
    contexts, trouble = [], []

    def open_page(name, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or trouble.append(request.url))
        page.goto((files / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


def draw_all(page):
    """Scroll to every chart that is not hidden, and wait for it."""
    for place in page.locator(".chart:visible").all():
        place.scroll_into_view_if_needed()
        place.locator("svg").wait_for()


@pytest.mark.parametrize(
    "name", ["autoencoder", "colors", "named", "words", "pictures with names", "sounds", "regressor", "classifier"]
)
@pytest.mark.parametrize(
    "options",
    [{"viewport": PHONE}, pytest.param({}, marks=EXHAUSTIVE), pytest.param({"color_scheme": "dark"}, marks=EXHAUSTIVE)],
    ids=["phone", "", "dark"],
)
def test_charts_are_drawn_and_fit(open_page, name, options):
    page = open_page(name, reduced_motion="reduce", **options)
    draw_all(page)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]
    charts = page.locator(".chart:visible").all()
    assert all(chart.get_attribute("aria-label") for chart in charts)
    light = page.evaluate("getComputedStyle(document.body).color") != "rgb(27, 31, 36)"
    assert light == (options.get("color_scheme") == "dark")
    assert len(page.screenshot(full_page=True)) > 20_000


def test_charts_follow_when_the_light_goes_out(open_page):
    page = open_page("regressor")
    draw_all(page)
    color = "document.querySelector('.chart svg .role-axis-title text').getAttribute('fill')"
    before = page.evaluate(color)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{color} !== {before!r}")


def test_a_hidden_chart_has_its_width_when_it_comes_back_in_the_dark(open_page):
    page = open_page("autoencoder")
    page.locator("#unit-0 .chart svg").wait_for()
    page.get_by_role("button", name="Filter of unit 4").click()
    page.locator("#unit-4 .chart svg").wait_for()
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Filter of unit 0").click()
    page.locator("#unit-0 .chart svg").wait_for()
    widths = "[0, 4].map((unit) => document.querySelector(`#unit-${unit} .chart svg`).getAttribute('width'))"
    first, fourth = map(float, page.evaluate(widths))
    assert first == fourth > 100


def shown(page):
    return page.locator("#units > article:visible h3").inner_text()


def test_a_click_opens_the_unit(open_page):
    page = open_page("autoencoder")
    page.get_by_role("button", name="Filter of unit 4").click()
    assert shown(page) == "Unit 4"
    page.locator("#unit-4 .chart svg").wait_for()
    assert "unit 4" in page.locator("#unit-4 .chart").get_attribute("aria-label")


def test_the_keyboard_reaches_units_one_by_one(open_page):
    page = open_page("autoencoder")
    page.locator("#sort").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-controls')"
    assert page.evaluate(focused) == "unit-0"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for key, unit in (("ArrowRight", 1), ("End", 5), ("ArrowRight", 5), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        assert page.evaluate(focused) == f"unit-{unit}"
    assert shown(page) == "Unit 0"
    page.keyboard.press("Enter")
    assert shown(page) == "Unit 1"
    page.keyboard.press("Tab")  # one stop for all filters
    assert page.evaluate("document.activeElement.closest('#filter-list')") is None


@pytest.mark.parametrize("key", ["loss", "activity", "r2", "number"])
def test_sorting_reorders_the_filters(open_page, key):
    page = open_page("autoencoder")
    page.locator("#sort").select_option("frequency")
    page.locator("#sort").select_option(key)
    values = page.eval_on_selector_all("#filter-list > li", f"items => items.map(item => Number(item.dataset.{key}))")
    assert len(values) == 6
    assert values == sorted(values)
    assert key == "number" or values != values[::-1]


def test_the_slider_adds_units(open_page, contents, pages):
    patches = contents(pages["autoencoder"]).json["patches"]
    page = open_page("autoencoder")
    slider, status = page.locator("#strongest"), page.locator("#reconstruction-status")
    assert status.inner_text().startswith("all units")
    slider.focus()
    page.keyboard.press("Home")
    assert status.inner_text().startswith("no unit")
    assert page.locator("#reconstructed").get_attribute("src") == patches[0]["frames"][0]
    page.keyboard.press("ArrowRight")
    assert f"k = 1: unit {patches[0]['units'][0]};" in status.inner_text()
    page.locator("[data-patch='3']").click()
    assert page.locator("#original").get_attribute("src") == patches[3]["original"]
    assert page.locator("#reconstructed").get_attribute("src") == patches[3]["frames"][1]


def named(page, selector):
    return page.locator(selector).all_inner_texts()


@pytest.mark.parametrize("name", ["words", "words_dark", "words_phone"])
def test_a_search_finds_the_units_of_a_kind(open_page, name):
    options = {"words_dark": {"color_scheme": "dark"}, "words_phone": {"viewport": PHONE}}.get(name, {})
    page = open_page("words", **options)
    page.get_by_role("combobox", name="Name").fill("MONTH 3")
    options = page.get_by_role("listbox", name="Rows with this name").get_by_role("option")
    assert options.first.inner_text() == "month 3"
    assert page.locator("#row-count").inner_text().startswith("11 names")  # month 3, and 30 to 39
    options.first.click()
    assert page.locator("#row-name").inner_text() == "month 3"
    first = page.locator("#row-units tr").first
    first.get_by_role("button").click()
    assert {text.split()[0] for text in named(page, "#unit-panel ol button")} == {"month"}
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_the_keyboard_searches_and_rebuilds(open_page):
    page = open_page("words")
    field = page.locator("#row-input")
    field.focus()
    page.keyboard.type("river")
    assert field.get_attribute("aria-expanded") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.locator(f"#{field.get_attribute('aria-activedescendant')}").inner_text() == "river 1"
    page.keyboard.press("Enter")
    assert page.locator("#row-matches").is_hidden()
    assert page.locator("#row-name").inner_text() == "river 1"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "row-k"
    page.keyboard.press("Home")
    status = page.locator("#row-status")
    explained, cosine = page.locator("#row-units tr").first.locator("td").all_inner_texts()[-2:]
    assert status.inner_text() == f"k = 1: explained share {explained}, cosine {cosine}"
    assert page.locator("#row-units tr.left-out").count() == page.locator("#row-units tr").count() - 1
    page.keyboard.press("End")
    assert page.locator("#row-units tr.left-out").count() == 0
    assert page.locator("#row-units tr").last.locator("td").all_inner_texts()[-1] in status.inner_text()
    field.fill("no such row")
    assert page.locator("#row-count").inner_text() == "no such name"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator("#row-name").inner_text() == "river 1"


def test_names_are_shown_as_they_are(open_page):
    page = open_page("words")
    field = page.locator("#row-input")
    field.fill("<script>alert(1)</script> 7")
    page.keyboard.press("Enter")
    assert page.locator("#row-name").inner_text() == "<script>alert(1)</script> 7"
    assert page.locator("script").count() == 4
    field.fill("\u8a9e 5")
    page.keyboard.press("Enter")
    assert page.locator("#row-name").text_content() == "W\u00f6rter \u2028 \u8a9e 5"
    field.fill("animal 0")
    assert page.locator("#row-matches li").all_inner_texts() == ["animal 0 (row 0)", "animal 0 (row 8)"]


@pytest.mark.parametrize("key", ["coherence", "density", "contribution", "loss", "number"])
def test_named_units_are_sorted(open_page, key, words_page, contents):
    page = open_page("words")
    page.locator("#unit-sort").select_option("number")
    page.locator("#unit-sort").select_option(key)
    order = page.eval_on_selector_all("#unit-list > li", "items => items.map(item => Number(item.dataset.unit))")
    packed = contents(words_page).json["named"]["units"]
    values = np.arange(24.0)
    if key != "number":
        values = -np.frombuffer(b64decode(packed[key]["data"]), "<f4")
    assert sorted(order) == list(range(24))
    ordered = np.nan_to_num(values[order], nan=1e9)  # dead units come last
    assert (np.diff(ordered) >= 0).all()
    page.get_by_label("lowest first").check()
    order = page.eval_on_selector_all("#unit-list > li", "items => items.map(item => Number(item.dataset.unit))")
    ordered = np.nan_to_num(values[order], nan=-1e9)
    assert (np.diff(ordered) <= 0).all()


def test_the_keyboard_reaches_named_units(open_page):
    page = open_page("words")
    page.locator("#unit-reverse").focus()
    page.keyboard.press("Tab")
    number = "document.activeElement.closest('li')?.dataset.unit"
    order = page.eval_on_selector_all("#unit-list > li", "items => items.map(item => item.dataset.unit)")
    assert page.evaluate(number) == order[0]
    for key, place in (("ArrowDown", 1), ("End", 23), ("Home", 0), ("PageDown", 10), ("ArrowUp", 9)):
        page.keyboard.press(key)
        assert page.evaluate(number) == order[place]
    page.keyboard.press("Enter")
    assert page.locator("#unit-panel h3").inner_text().startswith(f"Unit {order[9]}")
    assert page.locator("#unit-list [aria-pressed=true]").count() == 1
    page.keyboard.press("Tab")  # one stop for all units
    assert page.evaluate("document.activeElement.closest('#unit-list')") is None


def test_a_search_opens_the_filters_of_images(open_page):
    page = open_page("pictures with names")
    page.locator("#row-input").fill("patch 299")
    page.keyboard.press("Enter")
    unit = page.locator("#row-units tr").nth(1).get_by_role("button")
    number = unit.inner_text().split(":")[0]
    unit.click()
    assert shown(page) == f"Unit {number}"
    page.locator("#sort").select_option("coherence")
    assert "Strongest rows: patch" in page.locator("#units > article:visible").inner_text()
    page.locator("#strongest").focus()  # reconstructions of patches are there, too
    page.keyboard.press("Home")
    assert page.locator("#reconstruction-status").inner_text().startswith("no unit")
