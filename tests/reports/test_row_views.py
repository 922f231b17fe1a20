"""Rows are shown as images, as bars with names, or as curves, depending on what is known about them."""

import re
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.exceptions import ConvergenceWarning

import sparsam
from sparsam import SparseAutoencoder
from sparsam.display import filter_mosaic
from sparsam.display.colors import SIGNED, color_table
from sparsam.inspection.gabor import fit_gabors
from sparsam.reports.embedded_charts import MOST_BARS, MOST_POINTS, curve_chart, named_bars, thumbnail_bars
from sparsam.reports.filter_gabors import FilterGabors
from sparsam.reports.row_views import BarView, CurveView, PictureView, possible_shapes, view_of

pytestmark = pytest.mark.usefixtures("without_factors")

SVG = "{http://www.w3.org/2000/svg}"


def content(uri):
    return b64decode(uri.partition("base64,")[2])


def drawn(uri):
    """Parse the elements of a chart."""
    return ElementTree.fromstring(content(uri))


def texts(uri):
    return [text.text for text in drawn(uri).iter(f"{SVG}text")]


def signed(value):
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")


def pixels(uri):
    return np.asarray(Image.open(BytesIO(content(uri))).convert("RGB"))


def filters_of(page):
    return [a["src"] for a in page.all("img") if a["alt"].startswith("Filter of unit")]


@pytest.mark.parametrize(
    ("names", "image_shape", "view"),
    [
        (None, (8, 8), PictureView),
        (None, (4, 16), PictureView),
        (None, None, CurveView),  # 64 numbers may be sound
        ([f"pixel {k}" for k in range(64)], None, BarView),
        ([f"pixel {k}" for k in range(64)], [8, 8], PictureView),  # a given shape takes precedence
    ],
)
def test_rows_are_what_is_known_of_them(names, image_shape, view):
    assert type(view_of(np.random.default_rng(0).normal(size=(5, 64)), names, image_shape)) is view


@pytest.mark.parametrize(
    ("n_features", "shapes"), [(64, [(8, 8)]), (192, [(8, 8, 3)]), (3, []), (1, []), (63, []), (0, [])]
)
def test_squares_are_offered_not_taken(n_features, shapes):
    assert possible_shapes(n_features) == shapes


@pytest.mark.slow
def test_sound_is_curves_and_pixels_are_pictures(pages, sounds, contents):
    X, model = sounds
    curves, pictures = contents(pages["sounds"]), contents(sparsam.report(model, X, image_shape=(8, 8)))
    assert all(uri.startswith("data:image/svg+xml") for uri in filters_of(curves))
    assert "image_shape=(8, 8)" in curves.text
    assert "Gabor" not in curves.text
    assert_array_equal(
        pixels(filters_of(pictures)[0]), filter_mosaic(model.components_[:1].reshape(1, 8, 8), border_width=0)
    )
    assert "image_shape=" not in pictures.text


@pytest.mark.slow
def test_filters_and_rows_in_color_are_in_color(pages, colors, contents):
    X, model = colors
    page = contents(pages["colors"])
    first = model.components_[:1].reshape(1, 4, 4, 3)
    assert_array_equal(pixels(filters_of(page)[0]), filter_mosaic(first, border_width=0))
    patch = page.json["patches"][0]
    assert_array_equal(pixels(patch["original"]), np.rint(255 * X[patch["row"]]).reshape(4, 4, 3))
    assert "nearest Gabor function, in the filter's main color" in page.text


@pytest.mark.slow
def test_a_table_s_features_are_bars_with_their_names(pages, named, contents):
    X, pipeline = named
    page = contents(pages["named"])
    charts = [a["src"] for a in page.all("img") if a["src"].startswith("data:image/svg+xml")]
    for j in range(2):  # each unit has a small and a large chart
        weights = pipeline[-1].components_[j]
        (large,) = [uri for uri in charts if texts(uri)[1::2] == [signed(w) for w in weights]]
        names = texts(large)[::2]
        assert [names[0], names[1], names[3]] == ["height / m", "weight / kg", "noise"]
        assert names[2].startswith("<script>alert(1)")  # as text, in a chart without scripts
    strongest = int(np.abs(pipeline[-1].components_[0]).argmax())
    words = f"Filter of unit 0: {list(X)[strongest]} {pipeline[-1].components_[0, strongest]:+.2g}, "
    assert any(a["alt"].startswith(words) for a in page.all("img"))


@pytest.mark.slow
def test_names_come_from_the_estimator_or_from_what_stands_before_it(contents):
    X = pd.DataFrame(np.random.default_rng(0).uniform(0.1, 0.9, size=(60, 9)), columns=[f"f{k}" for k in range(9)])
    with pytest.warns(ConvergenceWarning):
        model = SparseAutoencoder(2, rho=0.2, max_iter=2, random_state=0).fit(X)
    uri = next(a["src"] for a in contents(sparsam.report(model, X)).all("img") if "svg" in a["src"] and texts(a["src"]))
    assert texts(uri)[::2] == list(X)
    model.fit(X.to_numpy())
    assert "svg" in contents(sparsam.report(model, X.to_numpy())).all("img")[0]["src"]
    assert (
        contents(sparsam.report(model, X.to_numpy(), image_shape=(3, 3))).all("img")[0]["src"][:14] == "data:image/png"
    )


def test_bars_go_with_the_sign_in_the_colors_of_all_pictures():
    values = np.array([2.0, -1.0, 0.0])
    uri = named_bars(values, ["a", "b", "c"], 2.0)
    bars = list(drawn(uri).iter(f"{SVG}rect"))
    assert [bar.get("class") for bar in bars] == ["positive", "negative", "positive"]
    lengths = [float(bar.get("width")) for bar in bars]
    assert lengths[1] == pytest.approx(lengths[0] / 2, abs=0.1)
    assert lengths[2] == 0
    assert float(bars[1].get("x")) + lengths[1] == pytest.approx(float(bars[0].get("x")), abs=0.2)  # from 0
    assert texts(uri) == ["a", "+2", "b", signed(-1), "c", "+0"]
    style = content(uri).decode()
    fills = dict(re.findall(r"\.(negative|positive)\{fill:(#\w{6})\}", style.partition("@media")[0]))
    table = color_table(SIGNED)
    for kind, half in (("negative", table[: len(table) // 2]), ("positive", table[len(table) // 2 :])):
        assert fills[kind] in ["#" + "".join(f"{part:02x}" for part in color) for color in half.tolist()]
    small = list(drawn(thumbnail_bars(values, 2.0)).iter(f"{SVG}rect"))
    assert [float(bar.get("height")) for bar in small] == pytest.approx([28, 14, 0])
    assert float(small[0].get("y")) < float(small[1].get("y")) == 30  # upward, downward


def test_of_many_features_the_strongest_have_bars_in_their_order():
    weights = np.random.default_rng(0).normal(size=100)
    names = texts(named_bars(weights, [str(k) for k in range(100)], 3.0))[::2]
    assert len(names) == MOST_BARS
    shown = [int(name) for name in names]
    assert shown == sorted(shown)
    assert np.abs(weights[shown]).min() >= np.delete(np.abs(weights), shown).max()
    kinds = [bar.get("class") for bar in drawn(thumbnail_bars(weights, 3.0)).iter(f"{SVG}rect")]
    assert kinds == ["negative" if weight < 0 else "positive" for weight in weights[shown]]


@pytest.mark.parametrize("name", ["<b>&amp;", "a" * 100, "\x00\x1b\ud800", "größe / µm", ""])
def test_any_name_is_text(name):
    assert len(texts(named_bars(np.ones(1), [name], 1.0))) == 2


def test_rows_of_a_table_are_in_standard_deviations():
    X = np.random.default_rng(0).normal([0.0, 1000.0, 5.0], [1.0, 100.0, 0.0], size=(50, 3))
    view = view_of(X, ["small", "large", "constant"], None)
    uri = view.row(X.mean(axis=0) + X.std(axis=0) * [1, -1, 1])
    assert texts(uri)[1::2] == ["+1", signed(-1), "+0"]


def test_a_constant_column_whose_deviation_is_rounding_is_not_magnified():
    X = np.full((169, 2), 0.1)
    X[:, 1] = np.arange(169)
    assert X[:, 0].std() > 0
    view = view_of(X, ["constant", "other"], None)
    assert texts(view.row(X[0] + 1e-6))[1::2][0] == "+0"


def points(path):
    """Return the strokes of a path, each an array of (x, y)."""
    strokes = [stroke for stroke in path.get("d").split("M") if stroke]
    return [np.array([[float(n) for n in point.split()] for point in stroke.split("L")]) for stroke in strokes]


def curves_of(uri):
    return [path for path in drawn(uri).iter(f"{SVG}path") if path.get("class").startswith("curve")]


def test_a_curve_goes_through_its_values_and_leaves_gaps():
    values = np.array([0.0, 1.0, np.nan, -1.0, 0.5])
    (path,) = curves_of(curve_chart(values[np.newaxis], (-1.0, 1.0)))
    left, right = points(path)
    assert (len(left), len(right)) == (2, 2)
    top, bottom = left[1, 1], right[0, 1]
    assert bottom > top
    assert_allclose(left[0, 1], (top + bottom) / 2, atol=0.1)
    assert_allclose(np.diff([left[0, 0], left[1, 0]]), np.diff(right[:, 0]), atol=0.2)


def test_a_long_curve_loses_no_peak():
    values = np.zeros(20_000)
    values[12_345], values[777] = 1.0, -1.0
    (path,) = curves_of(curve_chart(values[np.newaxis], (-1.0, 1.0)))
    (stroke,) = points(path)
    assert len(stroke) <= MOST_POINTS
    top, bottom = stroke[:, 1].min(), stroke[:, 1].max()
    share = (stroke[stroke[:, 1].argmin(), 0] - stroke[0, 0]) / (stroke[-1, 0] - stroke[0, 0])
    assert share == pytest.approx(12_345 / 20_000, abs=0.01)
    assert bottom - top == pytest.approx(176)  # the whole height


def test_the_gabor_function_of_a_filter_in_color_is_judged_on_all_three_channels():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:8, :8] - 3.5
    edge = np.exp(-(x**2 + y**2) / 8) * np.sin(2 * np.pi * 0.15 * x)
    color = np.array([0.8, -0.6, 0.0])
    F = np.stack([edge[..., np.newaxis] * color, edge[..., np.newaxis] * color + 0.1 * rng.normal(size=(8, 8, 3))])
    fits = FilterGabors.of(F.reshape(2, -1), (8, 8, 3))
    assert fits.r2[0] == pytest.approx(1, abs=1e-3)
    assert_allclose(fits.image[0].reshape(8, 8, 3), F[0] - F[0].mean(axis=(0, 1)), atol=0.02)
    assert fits.orientation[0] == pytest.approx(90, abs=1)
    centred = F - F.mean(axis=(1, 2), keepdims=True)
    left = np.sum((centred - fits.image.reshape(F.shape)) ** 2, axis=(1, 2, 3))
    assert_allclose(fits.r2, 1 - left / np.sum(centred**2, axis=(1, 2, 3)), atol=1e-6)
    gray = FilterGabors.of(edge.reshape(1, -1), (8, 8))
    assert gray.r2[0] == fit_gabors(edge[np.newaxis]).r2[0]
    assert FilterGabors.of(np.ones((1, 12)), (2, 2, 3)) is None
    constant = FilterGabors.of(np.ones((1, 48)), (4, 4, 3))
    assert constant.r2[0] == 0
