"""ONNX models give in onnxruntime what the estimators give, to 1e-5 in float32, alone and in pipelines."""

import json

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)

import sparsam
from sparsam import (
    AutoencoderOutlierDetector,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
    TangentPipeline,
    to_onnx,
)
from sparsam.engine.network import activations as engine_activations
from sparsam.io.columns import describe_columns, typed_columns
from sparsam.io.csv_format import PLAIN
from sparsam.io.onnx.graph import Graph
from sparsam.io.pipelines import table_pipeline
from sparsam.preprocessing import ConvolutionalFeatures, PatchNormalizer, Whitening

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.usefixtures("without_factors"),
]

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, size=(60, 6)).astype(np.float32)
Y = np.column_stack([X[:, 0] - X[:, 1], X.sum(axis=1)]) + 0.1 * RNG.normal(size=(60, 2))
FAST = {"max_iter": 8, "random_state": 0}


def run(model, inputs, dtype="float32"):
    """Run a model; return its outputs by name."""
    session = onnxruntime.InferenceSession(to_onnx(model, dtype=dtype).SerializeToString())
    feed = inputs if isinstance(inputs, dict) else {"X": np.asarray(inputs, dtype)}
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))


def assert_close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


# Estimators


def assert_autoencoder(model, rows, network=None):
    network, outputs = network or model, run(model, rows)
    assert list(outputs) == ["code", "reconstruction", "score"]
    assert_close(outputs["code"], network.transform(rows))
    assert_close(outputs["reconstruction"], network.predict(rows))
    assert_close(outputs["score"], network.score_samples(rows))


@pytest.mark.parametrize(
    ("hidden", "output"), [("logistic", "satlin"), ("tanh", "logistic"), ("relu", "identity"), ("satlin", "identity")]
)
def test_autoencoders_of_all_activations(hidden, output):
    model = SparseAutoencoder(3, beta=0.0, hidden_activation=hidden, output_activation=output, **FAST)
    assert_autoencoder(model.fit(X), X)


@pytest.mark.parametrize("options", [{"tied": True}, {"error": "cross-entropy"}, {"dtype": "float64"}])
def test_other_autoencoders(options):
    assert_autoencoder(SparseAutoencoder(3, rho=0.3, beta=0.1, **options, **FAST).fit(X), X)


def test_every_activation_of_the_engine_has_a_graph():
    for name in engine_activations.ACTIVATIONS:
        a = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
        graph = Graph(np.dtype(np.float32))
        graph.output("z", graph.activation(name, graph.input("a", 4).name), 4)
        session = onnxruntime.InferenceSession(graph.model("activation", {}).SerializeToString())
        expected = np.asarray(engine_activations.get_activation(name).function(a.T)).T
        np.testing.assert_allclose(session.run(None, {"a": a})[0], expected, atol=1e-6)


def test_stacks():
    layers = [SparseAutoencoder(4, beta=0.0, output_activation="identity"), SparseAutoencoder(2, beta=0.0)]
    assert_autoencoder(StackedAutoencoder(layers, **FAST).fit(X), X)


def test_linear_outputs_far_from_zero_lose_no_digits():
    # Numbers of float32 near 1e4 are 1e-3 apart; the mean has to be one of them.
    far = (X + 10_000).astype(np.float32)
    model = SparseAutoencoder(3, beta=0.0, output_activation="identity", **FAST).fit(far)
    outputs = run(model, far)
    np.testing.assert_allclose(outputs["code"], model.transform(far), atol=1e-5)
    np.testing.assert_allclose(outputs["score"], model.score_samples(far), rtol=1e-3, atol=1e-5)


LABELS = {
    "two": np.array(["no", "yes"])[(Y[:, 0] > 0).astype(int)],
    "three": np.digitize(Y[:, 0], [-0.2, 0.2]),
    "objects": np.array(["a", "b", "c"], dtype=object)[np.digitize(Y[:, 0], [-0.2, 0.2])],
    "booleans": Y[:, 0] > 0,
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("hidden", ["tanh", "relu", "logistic"])
def test_classifiers(labels, hidden):
    model = NoisyLabelClassifier((4,), epsilon=0.1, hidden_activation=hidden, **FAST).fit(X, labels)
    outputs = run(model, X)
    assert list(outputs) == ["label", "probabilities"]
    assert_close(outputs["probabilities"], model.predict_proba(X))
    assert (outputs["label"] == model.predict(X)).all()


@pytest.mark.parametrize("sizes", [(), (4,), (5, 3)])
@pytest.mark.parametrize("targets", [Y, Y[:, 0]], ids=["two", "one"])
def test_regressors(sizes, targets):
    model = MultivariateNormalRegressor(sizes, early_stopping=False, cv=None, **FAST).fit(X, targets)
    outputs = run(model, X)
    mean, deviation = model.predict(X, return_std=True)
    assert_close(outputs["mean"], mean.reshape(60, -1))
    assert_close(outputs["std"], deviation.reshape(60, -1))


@pytest.mark.parametrize("sizes", [(), (4,)])
@pytest.mark.parametrize("n_outputs", [1, 2, 4])
def test_regressors_whose_covariance_depends_on_the_input(sizes, n_outputs):
    """The last of four targets is the sum of the first two."""
    targets = np.column_stack([Y, np.sin(9 * Y[:, 0]), Y.sum(axis=1)])[:, :n_outputs]
    options = {"covariance": "input", "covariance_alpha": 1e-3, "early_stopping": False, "cv": None}
    model = MultivariateNormalRegressor(sizes, **options, **FAST | {"max_iter": 30}).fit(X, targets)
    deviation = model.predict(X, return_std=True)[1]
    assert np.all(deviation.std(axis=0) > 1e-3)  # it does depend on it
    assert_close(run(model, X)["std"], deviation)
    np.testing.assert_allclose(run(model, X, "float64")["std"], deviation, rtol=1e-9)


def test_pretrained_networks():
    autoencoder = SparseAutoencoder(4, rho=0.3, beta=0.1, **FAST)
    model = NoisyLabelClassifier((3,), epsilon=0.0, pretraining=autoencoder, **FAST).fit(X, LABELS["three"])
    assert_close(run(model, X)["probabilities"], model.predict_proba(X))


AUTOENCODERS = {
    "default": None,
    "alone": SparseAutoencoder(3, beta=0.0, output_activation="identity", **FAST),
    "whitened": make_pipeline(Whitening(), SparseAutoencoder(3, beta=0.0, output_activation="identity", **FAST)),
}


@pytest.mark.parametrize("autoencoder", AUTOENCODERS.values(), ids=AUTOENCODERS)
def test_detectors(autoencoder):
    model = AutoencoderOutlierDetector(autoencoder, contamination=0.2, random_state=0).fit(X)
    outputs = run(model, X)
    assert_close(outputs["score"], model.score_samples(X))
    assert_close(outputs["decision"], model.decision_function(X))
    assert_close(outputs["errors"], model.reconstruction_errors(X))
    clear = np.abs(model.decision_function(X)) > 1e-4
    assert (outputs["label"] == model.predict(X))[clear].all()
    assert set(outputs["label"]) == {-1, 1}
    assert run(model, np.full((1, 6), np.nan))["label"] == -1  # Python refuses it


# Transformers and pipelines


@pytest.mark.parametrize(
    "step",
    [
        Whitening(),
        Whitening("pca", n_components=3),
        PatchNormalizer(),
        StandardScaler(),
        StandardScaler(with_mean=False),
        StandardScaler(with_std=False),
        MinMaxScaler((0.1, 0.9)),
        MinMaxScaler((0.2, 0.7), clip=True),
    ],
    ids=repr,
)
def test_transformers(step):
    rows = (3 * X - 1).astype(np.float32)
    assert_close(run(step.fit(X), rows)["features"], step.transform(rows))
    if isinstance(step, Whitening) or getattr(step, "with_mean", False):
        far = (X + 10_000).astype(np.float32)
        exact = clone(step).fit(far.astype(np.float64))
        np.testing.assert_allclose(run(exact, far)["features"], exact.transform(far.astype(np.float64)), atol=1e-4)


@pytest.mark.parametrize("kind", ["mean", "max"])
@pytest.mark.parametrize("pool", [1, 2, 3])
def test_convolutional_features(kind, pool):
    images = RNG.uniform(0.1, 0.9, size=(5, 6 * 5 * 3)).astype(np.float32)
    whitened = make_pipeline(Whitening(), SparseAutoencoder(3, beta=0.0, output_activation="identity", **FAST))
    stack = StackedAutoencoder([SparseAutoencoder(4, beta=0.0), SparseAutoencoder(2, beta=0.0)], **FAST)
    for encoder in (whitened, stack):
        model = ConvolutionalFeatures(encoder, (6, 5, 3), patch_shape=(3, 2), pool=pool, kind=kind, n_patches=100)
        features = model.set_params(random_state=0).fit_transform(images)
        assert_close(run(model, images)["features"], features)


def test_pipelines_of_scikit_learns_steps():
    classifier = NoisyLabelClassifier((4,), epsilon=0.0, **FAST)
    for first in (PCA(3), SimpleImputer(), PolynomialFeatures(2), make_pipeline("passthrough", PCA(4, whiten=True))):
        pipe = make_pipeline(StandardScaler(), first, classifier).fit(X, LABELS["three"])
        assert_close(run(pipe, X)["probabilities"], pipe.predict_proba(X))
    autoencoder = make_pipeline(PCA(3), SparseAutoencoder(2, beta=0.0, output_activation="identity", **FAST)).fit(X)
    assert_autoencoder(autoencoder, X)


def test_our_transformers_within_those_of_scikit_learn():
    whitened = make_pipeline(Whitening("pca"), SparseAutoencoder(2, beta=0.0, output_activation="identity", **FAST))
    parts = ColumnTransformer([("code", whitened, [0, 1, 2]), ("scaled", StandardScaler(), [3, 5])])
    union = make_union(SparseAutoencoder(3, beta=0.0, **FAST), PatchNormalizer(), PCA(2))
    for first in (parts, union):
        pipe = make_pipeline(first, NoisyLabelClassifier((3,), epsilon=0.0, **FAST)).fit(X, LABELS["three"])
        assert_close(run(pipe, X)["probabilities"], pipe.predict_proba(X))
        np.testing.assert_allclose(
            run(pipe, X.astype(float), "float64")["probabilities"], pipe.predict_proba(X), atol=1e-5
        )


@pytest.mark.parametrize(
    "step", [PolynomialFeatures(2), OrdinalEncoder(), KBinsDiscretizer(3, encode="onehot-dense")], ids=repr
)
def test_results_of_other_types_get_that_of_the_graph(step):
    rows = np.round(4 * X.astype(np.float64))
    pipe = make_pipeline(step, NoisyLabelClassifier((3,), epsilon=0.0, **FAST)).fit(rows, LABELS["three"])
    assert_close(run(pipe, rows)["probabilities"], pipe.predict_proba(rows))


def test_a_graph_that_no_runtime_would_load_is_not_made():
    # In float64 skl2onnx puts a constant of float32 beside the numbers.
    pipe = make_pipeline(PolynomialFeatures(2), NoisyLabelClassifier((), epsilon=0.0, **FAST)).fit(X, LABELS["three"])
    with pytest.raises(TypeError, match="a step of scikit-learn has no graph in float64"):
        to_onnx(pipe, dtype="float64")


def test_frozen_steps_are_unwrapped():
    scaler = FrozenEstimator(StandardScaler().fit(X))
    pipe = make_pipeline(scaler, FrozenEstimator(SparseAutoencoder(2, beta=0.0, **FAST).fit(X)))
    assert_close(run(pipe.fit(X), X)["code"], pipe.transform(X))


def test_an_autoencoder_before_another_estimator_encodes():
    pipe = make_pipeline(SparseAutoencoder(4, beta=0.0, **FAST), LogisticRegression()).fit(X, LABELS["three"])
    outputs = run(pipe, X)
    assert_close(outputs["probabilities"], pipe.predict_proba(X))
    assert (outputs["label"] == pipe.predict(X)).all()


def test_searches_and_tangent_pipelines():
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), SparseAutoencoder(2, beta=0.0, **FAST)),
        {"sparseautoencoder__alpha": [1e-3, 1e-2]},
        cv=2,
    ).fit(X)
    assert_autoencoder(search, X, search.best_estimator_)
    model = NoisyLabelClassifier((3,), epsilon=0.0, **FAST)
    tangents = TangentPipeline(make_pipeline(StandardScaler(), PCA(3)), model).fit(X, LABELS["three"])
    assert_close(run(tangents, X)["probabilities"], tangents.predict_proba(X))


@pytest.mark.parametrize("detects", [False, True])
def test_raw_tables_have_an_input_for_each_column(detects):
    table = pd.DataFrame(
        {
            "x": np.where(np.arange(60) % 7 == 0, np.nan, X[:, 0]),
            "color": np.where(np.arange(60) % 5 == 0, None, np.array(["red", "green"], object)[np.arange(60) % 2]),
            "y": X[:, 1],
        }
    )
    typed, _ = typed_columns(table, PLAIN)
    columns = describe_columns(typed)
    classifier = NoisyLabelClassifier((3,), epsilon=0.0, **FAST)
    autoencoder = SparseAutoencoder(3, beta=0.0, output_activation="identity", **FAST)
    last = AutoencoderOutlierDetector(autoencoder) if detects else classifier
    pipe = table_pipeline(columns, last).fit(typed, LABELS["two"])
    new = typed.head(8).copy()
    new["color"] = new["color"].astype(object)
    new.loc[3, "color"] = "violet"
    feed = {"x": new[["x"]].to_numpy(np.float32), "y": new[["y"]].to_numpy(np.float32)}
    feed["color"] = new[["color"]].fillna("").to_numpy(object)
    outputs = run(pipe, feed)
    if detects:
        assert_close(outputs["score"], pipe.score_samples(new))
    else:
        assert_close(outputs["probabilities"], pipe.predict_proba(new))


def test_float64_is_as_precise_as_python():
    model = NoisyLabelClassifier((4,), epsilon=0.0, dtype="float64", **FAST).fit(X, LABELS["three"])
    rows = X.astype(np.float64)
    np.testing.assert_allclose(run(model, rows, "float64")["probabilities"], model.predict_proba(rows), rtol=1e-12)


# The file


def test_any_number_of_rows_and_names_in_the_graph(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = NoisyLabelClassifier((), epsilon=0.0, **FAST).fit(frame, LABELS["two"])
    path = tmp_path / "model.onnx"
    returned = to_onnx(model, path=path)
    loaded = onnx.load(path)
    assert loaded == returned
    assert loaded.opset_import[0].version >= 17
    properties = {entry.key: entry.value for entry in loaded.metadata_props}
    assert json.loads(properties["feature_names"]) == list("abcdef")
    assert json.loads(properties["classes"]) == ["no", "yes"]
    assert properties["class"] == "NoisyLabelClassifier"
    session = onnxruntime.InferenceSession(path)
    for n in (1, 7, 60):
        assert len(session.run(None, {"X": X[:n]})[0]) == n
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_onnx(model, path=path)
    to_onnx(model, path=path, overwrite=True)


WITH_GAPS = np.where(np.arange(60 * 6).reshape(60, 6) % 7 == 0, np.nan, X)


class WithoutGraph(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.sin(X)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (SparseAutoencoder(), NotFittedError, "SparseAutoencoder"),
        (make_pipeline(StandardScaler(), SparseAutoencoder()), NotFittedError, "standardscaler"),
        (3, TypeError, "to_onnx takes a fitted estimator or pipeline, got 3"),
        (
            make_pipeline(FunctionTransformer(np.sin), FrozenEstimator(StandardScaler().fit(X))).fit(X),
            TypeError,
            r"the step 'functiontransformer' \(FunctionTransformer\) has no graph in ONNX",
        ),
        (make_pipeline(WithoutGraph(), PCA(2)).fit(X), TypeError, "the step 'withoutgraph'"),
        (make_pipeline("passthrough").fit(X), TypeError, "all steps of this one are 'passthrough'"),
        (
            make_pipeline(
                StandardScaler().set_output(transform="pandas"),
                ColumnTransformer([("few", StandardScaler(), ["a", "b"])]),
            ).fit(pd.DataFrame(X, columns=list("abcdef"))),
            TypeError,
            "choose columns by number, or make it the first step",
        ),
        (make_pipeline(SimpleImputer(add_indicator=True), PCA(2)).fit(WITH_GAPS), TypeError, "has no graph in ONNX"),
    ],
)
def test_what_has_no_graph_gets_one_clear_error(model, error, message):
    with pytest.raises(error, match=message):
        to_onnx(model)


def test_a_bad_type_is_refused():
    with pytest.raises(ValueError, match="dtype must be one of 'float32', 'float64'; got 'float16'"):
        to_onnx(StandardScaler().fit(X), dtype="float16")
    assert to_onnx(StandardScaler().fit(X), dtype=np.float64).graph.input[0].type.tensor_type.elem_type == 11


def test_every_estimator_of_the_library_has_a_graph():
    names = [name for name in sparsam.__all__ if isinstance(getattr(sparsam, name), type)]
    estimators = {name for name in names if hasattr(getattr(sparsam, name), "fit")}
    assert estimators == {
        "AutoencoderOutlierDetector",
        "MultivariateNormalRegressor",
        "NoisyLabelClassifier",
        "SparseAutoencoder",
        "StackedAutoencoder",
        "TangentPipeline",
    }  # each has a test above
