"""Pages whose rows have names: the numbers are those of the model, and there is room for many."""

import base64
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sparsam
from sparsam import SparseAutoencoder, StackedAutoencoder
from sparsam.inspection.coherence import coherence_of_rows
from sparsam.reports.code import Code
from sparsam.reports.decoder import Decoder
from sparsam.reports.row_names import choose_named_rows
from sparsam.reports.typed_arrays import pack, percentages, quantize
from sparsam.reports.unit_pages import losses_without

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Not converged"),  # irrelevant here
    pytest.mark.usefixtures("without_factors"),
]

TYPES = {"Uint8": "<u1", "Uint16": "<u2", "Uint32": "<u4", "Int8": "<i1", "Float32": "<f4"}


def unpacked(packed, n):
    values = np.frombuffer(base64.b64decode(packed["data"]), TYPES[packed["type"]])
    return values.reshape(n, -1) if len(values) != n else values


@pytest.fixture(scope="module")
def data(words_page, contents):
    return contents(words_page).json["named"]


@pytest.fixture(scope="module")
def units(data):
    return {key: unpacked(value, 24) for key, value in data["units"].items() if key != "troubles"}


@pytest.fixture(scope="module")
def rows(data):
    return {key: unpacked(value, 400) for key, value in data["rows"].items()}


def test_units_have_their_strongest_rows_density_contribution_and_coherence(words, units, data):
    X, names, model = words
    Z = model.transform(X)
    assert data["names"] == names
    for unit in range(24):
        strongest = np.argsort(-Z[:, unit], kind="stable")[:10]
        assert units["strongest"][unit].tolist() == [row if Z[row, unit] > 0 else 400 for row in strongest]
        drawn = units["random"][unit][units["random"][unit] < 400]
        assert (Z[drawn, unit] > 0).all()
        assert len(set(drawn)) == len(drawn) == min(6, (Z[:, unit] > 0).sum())
        assert units["histogram"][unit].sum() == (Z[:, unit] > 0).sum()
    np.testing.assert_allclose(units["density"], (Z > 0).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(
        units["contribution"], (Z * np.linalg.norm(model.coefs_[1], axis=1)).mean(axis=0), rtol=1e-6
    )
    order = np.argsort(-Z, axis=0, kind="stable")[:10]
    strongest = np.where(np.take_along_axis(Z, order, axis=0) > 0, order, -1).T
    coherence, at_random = coherence_of_rows(np.asarray(X, np.float64), strongest)
    np.testing.assert_allclose(units["coherence"], coherence, rtol=1e-5)
    assert abs(at_random) < 0.1


def test_the_nearest_units_have_the_most_similar_weights(words, units):
    W = words[2].coefs_[1] / np.linalg.norm(words[2].coefs_[1], axis=1, keepdims=True)
    cosines = W @ W.T - 2 * np.eye(24)
    assert units["nearest"].tolist() == np.argsort(-cosines, axis=1)[:, :5].tolist()
    np.testing.assert_allclose(units["nearestCosines"] / 100, -np.sort(-cosines, axis=1)[:, :5], atol=0.00501)


def test_a_row_is_rebuilt_from_its_strongest_units(words, rows, data):
    X, _, model = words
    Z, W, b = model.transform(X), model.coefs_[1], model.intercepts_[1]
    mean = X.mean(axis=0)
    strengths = Z * np.linalg.norm(W, axis=1)
    assert data["nStrongest"] == 24
    for row in range(0, 400, 7):
        order = np.argsort(-strengths[row], kind="stable")
        active = strengths[row, order] > 0
        assert rows["units"][row].tolist() == np.where(active, order, 24).tolist()
        assert rows["nActive"][row] == active.sum()
        for k in range(1, active.sum() + 1):
            y = b + Z[row, order[:k]] @ W[order[:k]]
            share = 1 - np.sum((y - X[row]) ** 2) / np.sum((X[row] - mean) ** 2)
            cosine = (y - mean) @ (X[row] - mean) / np.linalg.norm(y - mean) / np.linalg.norm(X[row] - mean)
            assert rows["shares"][row, k - 1] == pytest.approx(100 * max(share, -1), abs=0.501)
            assert rows["cosines"][row, k - 1] == pytest.approx(100 * cosine, abs=0.501)
        assert rows["shareOfAll"][row] == pytest.approx(100 * share, abs=0.501)


def test_each_kind_of_row_has_a_coherent_unit(words, units):
    _, names, _ = words
    found = set()
    for unit in np.flatnonzero(np.nan_to_num(units["coherence"]) > 0.8):
        found |= {names[row].rsplit(" ", 1)[0] for row in units["strongest"][unit] if row < 400}
    assert len(found) == 8


def test_an_l1_penalty_is_a_penalty(words, words_page, contents):
    text = contents(words_page).text
    n_active = (words[2].transform(words[0]) > 0).sum(axis=1).mean()
    assert f"A sparse autoencoder with an L1 penalty: 24 hidden units, of which {n_active:.1f} are active" in text
    assert "without a sparsity penalty" not in contents(sparsam.report(words[2], words[0])).text


def test_names_are_text_wherever_they_are(words, words_page, contents):
    assert "<script>alert(1)</script>" in " ".join(words[1])
    assert "<script>alert(1)</script>" not in words_page
    assert len(contents(words_page).all("script")) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_activation": "logistic", "rho": 0.2, "beta": 0.1},
        {"hidden_activation": "tanh", "beta": 0, "output_activation": "identity"},
        {"hidden_activation": "satlin", "beta": 0},
        {"hidden_activation": "relu", "beta": 0, "output_activation": "identity", "tied": True},
    ],
)
def test_every_kind_of_unit_has_a_page_with_names(patches, contents, options):
    model = SparseAutoencoder(5, max_iter=5, random_state=0, **options).fit(patches)
    page = contents(sparsam.report(model, patches, names=range(300)))
    data = page.json["named"]
    Z = model.transform(patches).astype(float)
    rests = options["hidden_activation"] in ("relu", "satlin")
    assert data["restsAtZero"] == rests
    assert ("Density" in page.text) == rests
    shares = unpacked(data["rows"]["shares"], 300)
    y, mean = model.inverse_transform(Z), patches.mean(axis=0)
    expected = 1 - np.sum((y - patches) ** 2, axis=1) / np.sum((patches - mean) ** 2, axis=1)
    n_active = (Z > 0).sum(axis=1) if rests else np.full(300, 5)
    last = shares[np.arange(300), np.maximum(n_active, 1) - 1]
    np.testing.assert_allclose(last[n_active > 0], 100 * np.clip(expected, -1, 1)[n_active > 0], atol=0.51)


def test_a_stack_has_a_page_with_names(patches, contents):
    parts = [SparseAutoencoder(n, rho=0.2, beta=0.1, max_iter=5, random_state=0) for n in (6, 4)]
    model = StackedAutoencoder(parts, max_iter=5, random_state=0).fit(patches)
    data = contents(sparsam.report(model, patches, names=range(300))).json["named"]
    Z = model.transform(patches).astype(float)
    decoder, units = Decoder.of(Code.of(model)), np.argsort(-Z, axis=1)
    steps = decoder.stepwise_outputs(Z.mean(axis=0), Z, units)
    np.testing.assert_allclose(steps[:, -1], model.inverse_transform(Z), rtol=1e-5)
    codes = np.tile(Z.mean(axis=0), (300, 1))
    rows = np.arange(300)
    codes[rows, units[:, 0]] = Z[rows, units[:, 0]]
    np.testing.assert_allclose(steps[:, 0], model.inverse_transform(codes), rtol=1e-5)
    assert data["nStrongest"] == 4


def test_losses_of_a_linear_decoder_are_those_of_all_rows(words):
    X, _, model = words
    Z = model.transform(X).astype(float)
    losses, n_rows = losses_without(model, X, Z)
    assert n_rows == 400
    for unit in (0, 5, 23):
        without = Z.copy()
        without[:, unit] = Z[:, unit].mean()
        errors = [0.5 * np.sum((model.inverse_transform(code) - X) ** 2) / 400 for code in (without, Z)]
        assert losses[unit] == pytest.approx(errors[0] - errors[1], rel=1e-6, abs=1e-9)


def test_tables_and_pipelines_keep_their_features(words, contents):
    X, names, _ = words
    table = pd.DataFrame(X, columns=[f"axis {k}" for k in range(10)], index=names)
    network = SparseAutoencoder(
        6, sparsity="l1", hidden_activation="relu", output_activation="identity", max_iter=10, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), network).fit(table)
    data = contents(sparsam.report(pipeline, table, names=table.index)).json["named"]
    assert data["names"] == names
    assert all("axis" in text for text in data["features"])


def test_images_keep_their_pictures(autoencoder, patches, contents):
    names = [f"patch {row}" for row in range(300)]
    page = contents(sparsam.report(autoencoder, patches, names=names, image_shape=(4, 4)))
    assert len(page.all("article")) == 6
    assert page.json["named"]["names"] == names
    assert "Strongest rows: patch" in page.text
    values = [a["value"] for a in page.all("option")]
    assert {"r2", "coherence", "density", "contribution"} <= set(values)


def test_of_too_many_names_as_many_as_fit_are_drawn(words, contents, monkeypatch):
    X, names, model = words
    monkeypatch.setattr("sparsam.reports.row_names.PAGE_CHARACTERS", 30_000)
    monkeypatch.setattr("sparsam.reports.row_names.LEAST_FOR_ROWS", 20_000)
    page = contents(sparsam.report(model, X, names=names))
    data = page.json["named"]
    kept = unpacked(data["numbers"], len(data["names"]))
    assert 100 < len(kept) < 400
    assert data["names"] == [names[row] for row in kept]
    assert data["nStrongest"] == 8
    assert f"Names are those of {len(kept)} random rows of 400." in page.text
    Z = model.transform(X)[kept]
    density = unpacked(data["units"]["density"], 24)
    np.testing.assert_allclose(density, (Z > 0).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 100, 20_000, 60_000, 300_000])
@pytest.mark.parametrize("n_units", [3, 2000, 20_000])
@pytest.mark.parametrize("name", ["w", "語" * 100])
def test_names_fit_into_their_room(n_rows, n_units, name):
    chosen = choose_named_rows([name] * n_rows, n_units)
    escaped = len(ascii(chosen.names[0]))
    size = len(chosen.rows) * (escaped + 20 + 5 * 4 / 3 * chosen.n_strongest)
    assert size <= max(3_500_000 - 200 * n_units, 500_000) * 1.01
    assert min(8, n_units) <= chosen.n_strongest <= min(24, n_units)
    assert len(chosen.names[0]) <= 80
    assert len(chosen.rows) == n_rows or size > 0.95 * max(3_500_000 - 200 * n_units, 500_000)


def test_a_page_of_2000_units_and_20000_names_is_small_and_soon_made():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 50))
    model = SparseAutoencoder(
        2000, sparsity="l1", hidden_activation="relu", output_activation="identity", max_iter=1, random_state=0
    ).fit(X[:500])
    model.intercepts_[0] -= 1  # a sparse code
    names = [f"word {row}" for row in range(20_000)]
    start = time.perf_counter()
    html = sparsam.report(model, X, names=names)
    assert time.perf_counter() - start < 60
    assert len(html.encode()) < 5_000_000
    assert "word 19999" in html


def test_numbers_are_packed_as_small_as_they_can_be():
    for values, kind in (
        (np.arange(256), "Uint8"),
        (np.arange(257), "Uint16"),
        (np.array([70_000]), "Uint32"),
        (np.array([-1], np.int8), "Int8"),
        (np.array([0.5, np.nan]), "Float32"),
        (np.empty((0,), int), "Uint8"),
    ):
        packed = pack(values)
        assert packed["type"] == kind
        np.testing.assert_array_equal(np.frombuffer(base64.b64decode(packed["data"]), TYPES[kind]), values)
    assert percentages(np.array([0.504, -7.0, 7.0, np.nan])).tolist() == [50, -100, 100, -128]
    assert quantize(np.array([[0.0, 1.0, 2.0]]), np.array([[2.0]])).tolist() == [[0, 128, 255]]
    assert quantize(np.zeros((1, 2)), np.zeros((1, 1))).tolist() == [[0, 0]]
