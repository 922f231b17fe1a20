"""A ColumnTransformer of a data frame gives in onnxruntime what it gives in Python, for gaps and new categories too."""

import datetime

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)

from sparsam import NoisyLabelClassifier, to_onnx
from sparsam.io.onnx.categories import CategoryColumn, add_categories
from sparsam.io.onnx.graph import Graph

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning"),
]

N = 60
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "age": RNG.integers(20, 80, N),
        "pay": np.where(np.arange(N) % 7 == 0, np.nan, RNG.lognormal(8, 1, N)),
        "color": RNG.choice(["red", "green", "blue"], N),
        "kids": RNG.integers(0, 4, N),
        "member": RNG.random(N) < 0.5,
        "size": pd.Series(RNG.choice(["s", "m", "l"], N)).where(np.arange(N) % 9 > 0),
        "answer": pd.Series(["yes"] * N).where(np.arange(N) % 5 > 0),
        "unused": RNG.normal(size=N),
    }
)
NEW = TABLE.head(12).copy()
NEW.loc[0, ["color", "size"]] = "violet", "xl"
NEW.loc[1, ["kids", "size"]] = 99, np.nan
IGNORING = OneHotEncoder(handle_unknown="ignore")
MOST_FREQUENT = SimpleImputer(strategy="most_frequent")
CASES = {
    "scaled numbers and indicators": make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "pay"]), (IGNORING, ["color"])
    ),
    "imputed text, a gap as a category": make_column_transformer(
        (make_pipeline(MOST_FREQUENT, IGNORING), ["size", "color"]), (IGNORING, ["size"])
    ),
    "numbers as categories": make_column_transformer((IGNORING, ["kids", "color", "member"]), ("passthrough", ["age"])),
    "means of the target": make_column_transformer((TargetEncoder(cv=2), ["color", "kids", "size"])),
    "rare categories together": make_column_transformer(
        (OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=2), ["color", "size"])
    ),
    "order": make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["size", "color"])
    ),
    "a gap stays a gap": make_column_transformer((OrdinalEncoder(), ["member", "answer"])),
    "unknown ones as gaps": make_column_transformer(
        (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), ["color", "size"])
    ),
    "weighted parts": ColumnTransformer(
        [("color", IGNORING, ["color"]), ("age", StandardScaler(), ["age"])],
        transformer_weights={"color": 2.0, "age": 0.5},
    ),
    "a part of the name that our own tables have": ColumnTransformer(
        [("categories", IGNORING, ["kids"]), ("numbers", StandardScaler(), ["kids"])]
    ),
    "a constant for a missing number": make_column_transformer(
        (SimpleImputer(strategy="constant", fill_value=7), ["pay"])
    ),
    "up to a name": ColumnTransformer([("all", SimpleImputer(), slice(None, "pay"))]),
    "chosen by number, slice, mask and type": ColumnTransformer(
        [
            ("slice", MinMaxScaler(), slice("kids", "member")),
            ("mask", StandardScaler(), np.array([True, *7 * [False]])),
            ("numbers", OneHotEncoder(drop="first", handle_unknown="ignore"), [2, 5]),
            ("none", StandardScaler(), []),
            ("type", StandardScaler(), make_column_selector(pattern="unused")),
        ]
    ),
    "what remains": make_column_transformer((IGNORING, ["color", "size", "answer"]), remainder=SimpleImputer()),
    "a mark for a gap": make_column_transformer(
        (
            make_pipeline(
                SimpleImputer(missing_values="red", strategy="constant", fill_value="blue"),
                OneHotEncoder(handle_unknown="ignore"),
            ),
            ["color"],
        )
    ),
}


def run(model, table, dtype):
    session = onnxruntime.InferenceSession(to_onnx(model, dtype=dtype).SerializeToString())
    feed = {
        given.name: table[[given.name]].fillna("").to_numpy(object)
        if "string" in given.type
        else table[[given.name]].to_numpy(dtype)
        for given in session.get_inputs()
    }
    return session.run(None, feed)


def dense(encoded):
    return np.asarray(encoded.toarray() if hasattr(encoded, "toarray") else encoded, float)


@pytest.mark.parametrize(("dtype", "tol"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("case", CASES)
def test_graphs_give_what_python_gives(case, dtype, tol):
    columns = CASES[case].fit(TABLE, TABLE["member"])
    for table in (TABLE, NEW):
        np.testing.assert_allclose(run(columns, table, dtype)[0], dense(columns.transform(table)), rtol=tol, atol=tol)


def test_only_columns_that_are_used_are_inputs():
    graph = to_onnx(CASES["scaled numbers and indicators"].fit(TABLE)).graph
    assert [given.name for given in graph.input] == ["age", "pay", "color"]
    assert [output.name for output in graph.output] == ["features"]


def test_a_pipeline_to_an_estimator():
    columns = CASES["scaled numbers and indicators"]
    pipe = make_pipeline(columns, MinMaxScaler(), NoisyLabelClassifier((3,), epsilon=0.0, max_iter=8, random_state=0))
    pipe.fit(TABLE, TABLE["size"].fillna("none"))
    label, probabilities = run(pipe, NEW, "float32")
    np.testing.assert_allclose(probabilities, pipe.predict_proba(NEW), atol=1e-5)
    assert (label == pipe.predict(NEW)).all()


def test_a_category_that_python_refuses_gives_nan():
    columns = make_column_transformer((OneHotEncoder(), ["color"]), ("passthrough", ["age"])).fit(TABLE)
    with pytest.raises(ValueError, match="unknown categories"):
        columns.transform(NEW)
    encoded = run(columns, NEW, "float64")[0]
    assert np.isnan(encoded[0, :3]).all()
    np.testing.assert_array_equal(encoded[1:], dense(columns.transform(NEW[1:])))


@pytest.mark.parametrize("drop", [None, "first"])
def test_a_category_that_a_constant_column_refuses_gives_nan(drop):
    table = pd.DataFrame({"a": ["x", "y", "x"], "c": ["one"] * 3})
    columns = make_column_transformer((OneHotEncoder(drop=drop), ["a", "c"])).fit(table)
    encoded = run(columns, table.assign(c=["one", "two", "one"]), "float64")[0]
    np.testing.assert_array_equal(encoded[[0, 2]], dense(columns.transform(table[::2])))
    assert np.isnan(encoded[1]).all()


@pytest.mark.parametrize("gap", [np.nan, None])
def test_a_column_without_any_value(gap):
    table = pd.DataFrame({"empty": pd.Series([gap] * 4, dtype=object), "x": np.arange(4.0)})
    columns = make_column_transformer((IGNORING, ["empty"]), ("passthrough", ["x"])).fit(table)
    encoded = run(columns, table.assign(empty=np.nan), "float64")[0]
    np.testing.assert_array_equal(encoded, dense(columns.transform(table)))


class Swapped:
    """Encodes two columns in the reverse order."""

    def transform(self, table):
        return table[["b", "a"]].to_numpy(float)


class Product:
    def transform(self, table):
        return (table["a"] * table["b"]).to_numpy(float)[:, None]


def test_outputs_keep_their_order_and_may_not_mix_columns():
    columns = [CategoryColumn.of("a", [0, 1]), CategoryColumn.of("b", [0, 1, 2])]
    graph = Graph(np.dtype(np.float64))
    x = [graph.input(column.name, 1) for column in columns]
    joined = add_categories(graph, x, Swapped(), columns)
    graph.output("features", joined.name, joined.width)
    session = onnxruntime.InferenceSession(graph.model("swapped", {}).SerializeToString())
    a, b = np.array([[1.0], [0.0]]), np.array([[0.0], [2.0]])
    np.testing.assert_array_equal(session.run(None, {"a": a, "b": b})[0], np.hstack([b, a]))
    columns = [CategoryColumn.of(name, [0, 1, 2]) for name in "ab"]
    with pytest.raises(TypeError, match="Product has no graph in ONNX: an output depends on several columns"):
        add_categories(graph, x, Product(), columns)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([100_000_001, 100_000_002], "differ by less than the precision of float32"),
        ([datetime.date(2020, 1, 1)], "are of the type date: make text of them"),
        (["u", None, np.nan], "are missing in two ways"),
        (["", "u", None], "are missing in two ways"),
    ],
)
def test_categories_that_a_graph_cannot_tell_apart_are_refused(values, reason):
    with pytest.raises(TypeError, match=f"the column 'k' has no graph in ONNX: its categories {reason}"):
        CategoryColumn.of("k", values)


def test_two_imputers_mean_the_same_gap():
    encoder = make_pipeline(MOST_FREQUENT, SimpleImputer(strategy="constant", fill_value="m"), IGNORING)
    columns = make_column_transformer((encoder, ["size"])).fit(TABLE)
    np.testing.assert_array_equal(run(columns, NEW, "float64")[0], dense(columns.transform(NEW)))


def test_products_of_indicators_are_refused():
    products = PolynomialFeatures(interaction_only=True, include_bias=False)
    encoder = make_pipeline(OneHotEncoder(drop="first", sparse_output=False), products)
    columns = make_column_transformer((encoder, ["color", "kids"])).fit(TABLE)
    with pytest.raises(TypeError, match="Pipeline has no graph in ONNX: an output depends on several columns"):
        to_onnx(columns)


def test_many_categories_make_no_square_table():
    names = pd.DataFrame({"name": [f"n{k}" for k in range(500)]})
    columns = make_column_transformer((IGNORING, ["name"])).fit(names)
    assert len(to_onnx(columns).SerializeToString()) < 30_000
    np.testing.assert_array_equal(run(columns, names, "float32")[0], np.eye(500)[columns.transform(names).indices])


@pytest.mark.parametrize("part", [(CountVectorizer(), "color"), (FunctionTransformer(np.sin), ["age"])], ids=repr)
def test_a_part_without_a_graph_is_refused(part):
    columns = make_column_transformer(part).fit(TABLE)
    with pytest.raises(TypeError, match="has no graph in"):
        to_onnx(columns)
