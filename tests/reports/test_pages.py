"""Every page is self-contained, accessible and escaped; unsuitable models and data are refused."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sparsam
from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, TangentPipeline

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Not converged"),  # irrelevant here
    pytest.mark.usefixtures("without_factors"),
]

PAGES = (
    "autoencoder",
    "colors",
    "named",
    "words",
    "pictures with names",
    "sounds",
    "regressor",
    "classifier",
    "detector",
)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(params=PAGES)
def page(request, pages, contents):
    return contents(pages[request.param])


def test_pages_are_small(pages):
    assert all(len(html.encode()) < 3_000_000 for html in pages.values())


def test_nothing_is_fetched(page):
    for _, attributes in page.elements:
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#"))
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    assert "default-src 'none'" in policy


def test_every_picture_has_words(page):
    for picture in page.all("img"):
        assert picture["alt"].strip()


def test_every_chart_is_there_and_described(page):
    placed = {a["data-chart"] for a in page.all("div") if "data-chart" in a}
    assert placed == set(page.json["charts"])
    assert all(chart["description"] for chart in page.json["charts"].values())


def test_headings_and_references_are_in_order(page):
    assert len(page.all("h1")) == 1
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-controls", "aria-describedby", "for"):
            if name in attributes:
                assert attributes[name] in ids


def test_names_of_columns_and_rows_are_no_markup(contents, measured):
    X, Y = measured
    table = pd.DataFrame(X, columns=[HOSTILE, "b"], index=[f"{HOSTILE}{k}" for k in range(500)])
    targets = pd.DataFrame(Y, columns=[HOSTILE, "</title>"])
    model = MultivariateNormalRegressor((), max_iter=5, random_state=0).fit(table, targets)
    labels = np.where(X[:, 0] > 0, HOSTILE, "b")
    labels[:5] = np.where(labels[:5] == "b", HOSTILE, "b")
    wrong = NoisyLabelClassifier((), epsilon=0.1, max_iter=20, random_state=0).fit(table, labels)
    for html in (
        sparsam.report(model, table, targets, title=HOSTILE, remarks=[HOSTILE]),
        sparsam.report(wrong, table, labels),
    ):
        assert HOSTILE not in html
        page = contents(html)
        assert HOSTILE in page.text  # as text
        assert len(page.all("script")) == 3


def test_a_pipeline_s_transformers_come_first(measured):
    X, Y = measured
    model = make_pipeline(StandardScaler(), MultivariateNormalRegressor((), max_iter=20, random_state=0)).fit(
        100 * X + 7, Y
    )
    alone = MultivariateNormalRegressor((), max_iter=20, random_state=0).fit(
        StandardScaler().fit_transform(100 * X + 7), Y
    )
    whole = sparsam.report(model, 100 * X + 7, Y)
    last = sparsam.report(alone, StandardScaler().fit_transform(100 * X + 7), Y)
    likelihood = f"{alone.mean_log_likelihood(StandardScaler().fit_transform(X), Y):.4f}"
    assert likelihood in whole
    assert likelihood in last


def test_what_stands_before_the_network_transforms_wherever_it_is(measured):
    X, Y = measured
    X = 100 * X + 7
    network = MultivariateNormalRegressor((), max_iter=20, random_state=0)
    models = (
        make_pipeline(StandardScaler(with_std=False), make_pipeline(StandardScaler(), network)),
        TangentPipeline(StandardScaler(), network, tangents=lambda X: np.ones((len(X), 1, 2))),
        GridSearchCV(make_pipeline(StandardScaler(), network), {}, cv=2),
    )
    for model in models:
        html = sparsam.report(model.fit(X, Y), X, Y)
        assert f"<td>{r2_score(Y[:, 0], model.predict(X)[:, 0]):.4f}</td>" in html


def test_a_file_is_replaced_only_when_asked(autoencoder, patches, tmp_path):
    path = tmp_path / "page.html"
    html = sparsam.report(autoencoder, patches, path=path)
    assert path.read_text(encoding="utf-8") == html
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sparsam.report(autoencoder, patches, path=path)
    path.write_text("old")
    sparsam.report(autoencoder, patches, path=path, overwrite=True)
    assert path.read_text(encoding="utf-8") == html


def test_a_title_may_have_octets_that_are_no_text(autoencoder, patches, tmp_path):
    path = tmp_path / "page.html"
    sparsam.report(autoencoder, patches, title="run \udcff", path=path)  # as a folder's name is decoded
    assert "<h1>run ?</h1>" in path.read_text(encoding="utf-8")


def test_what_cannot_be_reported_is_refused(autoencoder, regressor, patches, measured):
    with pytest.raises(NotFittedError):
        sparsam.report(SparseAutoencoder(), patches)
    with pytest.raises(TypeError, match="report takes a fitted estimator"):
        sparsam.report("model", patches)
    with pytest.raises(TypeError, match="PCA"):
        sparsam.report(PCA(2).fit(patches), patches)
    with pytest.raises(ValueError, match="needs the targets"):
        sparsam.report(regressor, measured[0])
    with pytest.raises(ValueError, match="names must hold 2 names, one per target, got 1"):
        sparsam.report(regressor, *measured, names=["one"])
    with pytest.raises(ValueError, match=r"image_shape \(3, 3\) does not fit rows of 16 features"):
        sparsam.report(autoencoder, patches, image_shape=(3, 3))
    for shape in ("auto", (16,), (2, 2, 4), 16):
        with pytest.raises(ValueError, match=r"image_shape must be \(height, width\), or \(height, width, 3\)"):
            sparsam.report(autoencoder, patches, image_shape=shape)
    with pytest.raises(ValueError, match="features"):
        sparsam.report(autoencoder, patches[:, :9])


def test_names_are_of_rows_or_targets(autoencoder, classifier, patches, labelled, named, contents):
    for names in (["one"], "x" * 300, 300):
        with pytest.raises(ValueError, match=r"names must .* one name for each row of X"):
            sparsam.report(autoencoder, patches, names=names)
    with pytest.raises(ValueError, match="takes no names"):
        sparsam.report(classifier, *labelled, names=["x"] * 200)
    detector = sparsam.AutoencoderOutlierDetector(random_state=0).fit(named[0])
    text = contents(sparsam.report(detector, named[0], names=[f"{HOSTILE} {row}" for row in range(200)])).text
    assert HOSTILE in text
    with pytest.raises(ValueError, match="got 1 names for 200 rows"):
        sparsam.report(detector, named[0], names=["one"])


@pytest.mark.parametrize("library", ["altair", "vl_convert"])
def test_a_missing_library_is_named_with_its_extra(autoencoder, patches, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"pip install 'sparsam\[report\]'"):
        sparsam.report(autoencoder, patches)
