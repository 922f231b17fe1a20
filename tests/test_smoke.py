"""Run every command and every estimator once, on tiny data; CI also does it with the lowest allowed dependencies.

It needs only the dependencies and pytest; tests that need a missing extra are skipped.
"""

import importlib.util
import pkgutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import sparsam
from sparsam._utils import jit
from sparsam.cli.app import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.exhaustive,  # the other tests show the same with current versions
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

needs_report = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("altair", "vl_convert"))), reason="needs the extra sparsam[report]"
)
needs_parquet = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs the extra sparsam[parquet]"
)

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs the extra sparsam[onnx]")

N = 40
PATCHES = ("--n-patches", 20, "--patch-size", 4, "--border", 0, "--no-whiten")
SMALL = ("--hidden-layer-sizes", 2, "--max-iter", 5, "--no-early-stopping")


def run(*arguments):
    """Run a command; return its standard output."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    color = np.where(rng.random(N) < 0.5, "red", "green")
    heat = x @ [1.0, -1.0] + (color == "red") + 0.1 * rng.normal(size=N)
    frame = {"width": x[:, 0], "height": x[:, 1], "color": color, "heating": heat, "cooling": heat + x[:, 0]}
    return pd.DataFrame(frame | {"kind": np.where(x[:, 0] > 0, "big", "small")})


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """Make a folder with a table, an image, and the runs of the commands that train."""
    folder = tmp_path_factory.mktemp("smoke")
    table.to_csv(folder / "table.csv", index=False)
    picture = np.random.default_rng(0).integers(0, 256, size=(32, 32), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "picture.png")
    run("learn", folder / "picture.png", *PATCHES, "--n-components", 3, "--max-iter", 5, "--out", folder / "learned")
    targets = ("--target", "heating", "--target", "cooling")
    run("regress", folder / "table.csv", *targets, "--ignore", "kind", *SMALL, "--out", folder / "regressed")
    label = ("--label", "kind", "--ignore", "heating", "--ignore", "cooling")
    run("classify", folder / "table.csv", *label, *SMALL, "--out", folder / "classified")
    return folder


def test_every_module_and_every_name_can_be_imported():
    for module in pkgutil.walk_packages(sparsam.__path__, "sparsam."):
        if module.name != "sparsam.__main__":
            importlib.import_module(module.name)
    assert all(hasattr(sparsam, name) for name in sparsam.__all__)


def test_check(monkeypatch):
    monkeypatch.setitem(jit.CPU_OPTIONS, "xla_backend_optimization_level", 0)  # many programs, each run briefly
    jit._options.cache_clear()
    assert "sparsity" in run("check", "--n-components", 2, "--n-patches", 10, "--patch-size", 3)
    monkeypatch.undo()
    jit._options.cache_clear()


def test_show_and_encode(folder):
    model = folder / "learned" / "model.safetensors"
    run("show", model, "--save", folder / "filters.png")
    with Image.open(folder / "filters.png") as picture:
        assert picture.size > (1, 1)
    np.save(folder / "rows.npy", np.full((5, 16), 0.5))
    run("encode", model, folder / "rows.npy", "--out", folder / "codes.npy")
    assert np.load(folder / "codes.npy").shape == (5, 3)


@pytest.mark.parametrize("learned", ["regressed", "classified"])
def test_predict(folder, learned):
    out = folder / f"{learned}.csv"
    run("predict", folder / learned / "model.skops", folder / "table.csv", "--out", out)
    assert len(pd.read_csv(out)) == N


def test_anomalies(folder):
    run("anomalies", folder / "table.csv", "-o", folder / "ranked.csv", "--out", folder / "anomalies")
    assert pd.read_csv(folder / "ranked.csv")["error"].is_monotonic_decreasing


@needs_onnx
def test_export(folder):
    run("export", folder / "classified", "-o", folder / "model.onnx")
    assert (folder / "model.onnx").stat().st_size > 0


@needs_parquet
def test_tables_in_parquet(folder, table):
    table.to_parquet(folder / "table.parquet")
    model, out = folder / "regressed" / "model.skops", folder / "predicted.parquet"
    run("predict", model, folder / "table.parquet", "--out", out)
    assert len(pd.read_parquet(out)) == N


def test_sweep(folder):
    grid = ("--n-components", 2, "--rho", "0.05,0.2", "--max-iter", 3, "--seeds", 1)
    run("sweep", folder / "picture.png", *PATCHES, *grid, "--n-held-out", 5, "--out", folder / "study")
    assert len(pd.read_csv(folder / "study" / "study.csv")) == 2


@needs_report
@pytest.mark.parametrize("learned", ["learned", "regressed", "classified"])
def test_report(folder, learned):
    run("report", folder / learned)
    assert "</html>" in (folder / learned / "report.html").read_text(encoding="utf-8")


X = np.random.default_rng(0).uniform(0.1, 0.9, size=(N, 3))
LABELS = (X[:, 0] > 0.5).astype(int)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (sparsam.SparseAutoencoder(2, max_iter=5, random_state=0), None),
        (sparsam.MultivariateNormalRegressor((2,), max_iter=5, random_state=0), X[:, :2] + X[:, 1:]),
        (sparsam.NoisyLabelClassifier((2,), epsilon="estimate", max_iter=5, random_state=0), LABELS),
        (sparsam.AutoencoderOutlierDetector(random_state=0), LABELS),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators(estimator, y, tmp_path):
    estimator.fit(X, y)
    sparsam.save(estimator, tmp_path / "model.safetensors")
    loaded = sparsam.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    if hasattr(loaded, "score"):
        assert np.isfinite(loaded.score(X, y))


def test_tangent_pipeline():
    network = sparsam.NoisyLabelClassifier((), epsilon=0.0, tangent_weight=1.0, max_iter=5, random_state=0)
    tangents = np.tile(np.eye(3)[None, 2:], (N, 1, 1))
    model = sparsam.TangentPipeline(StandardScaler(), network).fit(X, LABELS, tangents=tangents)
    assert model.predict(X).shape == (N,)


def test_whitening():
    X = np.random.default_rng(0).normal(size=(N, 3))
    for kind in ("zca", "pca"):
        white = sparsam.preprocessing.Whitening(kind, epsilon=0).set_output(transform="pandas").fit_transform(X)
        np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(3), atol=1e-10)
    weights = np.arange(N) % 2
    weighted = sparsam.preprocessing.Whitening().fit(X, sample_weight=weights)
    np.testing.assert_allclose(weighted.mean_, X[weights > 0].mean(axis=0))
