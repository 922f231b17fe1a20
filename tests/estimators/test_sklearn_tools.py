"""The estimator with scikit-learn's tools: clone, Pipeline, GridSearchCV, data frames, pickle."""

import inspect
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder

pytestmark = pytest.mark.slow

NAMES = ["red", "green", "blue", "alpha", "x", "y"]


@pytest.fixture(scope="module")
def frame(X):
    return pd.DataFrame(X, columns=NAMES, index=[f"row {n}" for n in range(60)])


def test_parameters_are_those_of_the_constructor(build):
    names = set(inspect.signature(SparseAutoencoder).parameters)
    assert set(build().get_params()) == names
    model = build().set_params(rho=0.05, n_components=7)
    assert (model.rho, model.n_components) == (0.05, 7)
    with pytest.raises(ValueError, match="Invalid parameter 'lambda_'"):
        model.set_params(lambda_=1)


def test_only_n_components_is_positional():
    with pytest.raises(TypeError):
        SparseAutoencoder(3, 0.2)


def test_clone_has_the_parameters_and_no_fit(model):
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "coefs_")


def test_fit_transform_is_fit_and_transform(build, X, model):
    np.testing.assert_array_equal(build().fit_transform(X), model.transform(X))


def test_pipeline_scales_encodes_and_inverts(build, X):
    pipeline = make_pipeline(MinMaxScaler(), build()).fit(200 * X - 70)
    alone = build().fit(MinMaxScaler().fit_transform(200 * X - 70))
    Z = pipeline.transform(200 * X - 70)
    np.testing.assert_array_equal(Z, alone.transform(MinMaxScaler().fit_transform(200 * X - 70)))
    assert pipeline.inverse_transform(Z).shape == X.shape
    assert np.corrcoef(pipeline.inverse_transform(Z).ravel(), X.ravel())[0, 1] > 0.8
    assert pipeline.score(200 * X - 70) == alone.score(MinMaxScaler().fit_transform(200 * X - 70))


def test_pipeline_passes_sample_weight(build, X, sample_weight, same_bits):
    pipeline = make_pipeline(build()).fit(X, sparseautoencoder__sample_weight=sample_weight)
    assert same_bits(pipeline[-1], build().fit(X, sample_weight=sample_weight))


GRID = {"rho": [0.1, 0.3], "alpha": [1e-3, 1e-2]}


def search(model, X, n_jobs):
    return GridSearchCV(model, GRID, cv=3, n_jobs=n_jobs).fit(X)


def test_grid_search_finds_what_a_loop_finds(build, X):
    found = search(build(), X, n_jobs=1)
    points = [{"alpha": alpha, "rho": rho} for alpha in GRID["alpha"] for rho in GRID["rho"]]
    scores = [cross_val_score(build(**point), X, cv=3).mean() for point in points]
    assert found.cv_results_["params"] == points
    np.testing.assert_allclose(found.cv_results_["mean_test_score"], scores, rtol=1e-14)
    assert found.best_params_ == points[int(np.argmax(scores))]
    assert found.best_params_["alpha"] == 1e-3  # less decay gives better reconstructions
    assert len(set(scores)) == 4
    assert found.score(X) == build(**found.best_params_).fit(X).score(X)


@pytest.mark.slow
@pytest.mark.usefixtures("as_shipped")  # as the other processes compile
def test_grid_search_in_two_processes_gives_the_same_bits(build, X):
    one, two = (search(build(), X, n_jobs) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])


def test_names_of_a_data_frame_are_kept_and_checked(build, X, frame):
    model = build().fit(frame)
    assert model.feature_names_in_.tolist() == NAMES
    assert model.n_features_in_ == 6
    np.testing.assert_array_equal(model.transform(frame), build().fit(X).transform(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame[NAMES[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.transform(X)


def test_arrays_have_no_names(model):
    assert not hasattr(model, "feature_names_in_")


def test_features_out_are_numbered(model):
    names = ["sparseautoencoder0", "sparseautoencoder1", "sparseautoencoder2"]
    assert model.get_feature_names_out().tolist() == names


def test_pandas_output_has_names_and_index(build, frame, model):
    named = build().set_output(transform="pandas").fit(frame)
    Z = named.transform(frame)
    assert isinstance(Z, pd.DataFrame)
    assert Z.columns.tolist() == named.get_feature_names_out().tolist()
    assert Z.index.tolist() == frame.index.tolist()
    np.testing.assert_array_equal(Z.to_numpy(), model.transform(frame.to_numpy()))


def test_repr_shows_what_differs_from_the_defaults(build):
    assert repr(SparseAutoencoder()) == "SparseAutoencoder()"
    assert repr(SparseAutoencoder(49, rho=0.05)) == "SparseAutoencoder(n_components=49, rho=0.05)"


def test_html_repr_names_class_state_and_parameters(build, model):
    for estimator, state in ((build(), "Not fitted"), (model, "Fitted")):
        html = estimator._repr_html_()
        assert "SparseAutoencoder" in html
        assert f"<span>{state}</span>" in html
        assert "rho" in html


@pytest.mark.parametrize("how", ["pickle", "joblib"])
def test_pickled_models_are_the_same_to_the_bit(fitted, X, same_bits, tmp_path, how):
    if how == "pickle":
        again = pickle.loads(pickle.dumps(fitted))  # noqa: S301 (our own)
    else:
        joblib.dump(fitted, tmp_path / "model.joblib")
        again = joblib.load(tmp_path / "model.joblib")
    assert again.get_params() == fitted.get_params()
    assert same_bits(again, fitted)
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


@pytest.mark.parametrize(
    "convert",
    [np.asfortranarray, np.ndarray.tolist, lambda X: np.repeat(X, 2, axis=1)[:, ::2], lambda X: X.astype(object)],
    ids=["Fortran order", "lists", "strides", "objects"],
)
def test_other_array_types_with_the_same_numbers_give_the_same_bits(build, X, model, same_bits, convert):
    assert same_bits(build().fit(convert(X)), model)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16])
def test_other_numeric_types_are_taken_as_numbers(build, same_bits, kind):
    data = np.random.default_rng(0).integers(2, size=(60, 6)).astype(kind)
    assert same_bits(build().fit(data), build().fit(data.astype(float)))


def test_inverse_transform_names_its_argument_as_scikit_learn_does(model, X):
    Z = model.transform(X)
    np.testing.assert_array_equal(model.inverse_transform(X=Z), model.inverse_transform(Z))


def test_the_argument_of_inverse_transform_is_not_metadata(model):
    assert not hasattr(model, "set_inverse_transform_request")
    assert model.get_metadata_routing().inverse_transform.requests == {}


@pytest.mark.parametrize("output_activation", ["logistic", "identity"])
def test_tags_say_whether_inputs_may_be_negative(build, output_activation):
    tags = build(output_activation=output_activation).__sklearn_tags__()
    assert tags.input_tags.positive_only == (output_activation == "logistic")


@pytest.mark.parametrize(
    "model",
    [SparseAutoencoder(2), MultivariateNormalRegressor(()), NoisyLabelClassifier(())],
    ids=lambda m: type(m).__name__,
)
def test_columns_that_are_not_numbers_are_named_with_the_cure(model):
    n = 20
    table = pd.DataFrame(
        {
            "x": np.linspace(0, 1, n),
            "color": ["red", "blue"] * (n // 2),
            "kind": pd.Categorical(["a", "b"] * (n // 2)),
            "day": pd.date_range("2020-01-01", periods=n),
            "count": pd.array([1, 2] * (n // 2), dtype="Int64"),
            "digits": pd.Series(["1", "2"] * (n // 2), dtype=object),
        }
    )
    with pytest.raises(
        ValueError, match=r"not numbers: 'color', 'kind', 'day'. Encode text and categories with .*OneHotE"
    ):
        model.fit(table, np.arange(n) % 2)
