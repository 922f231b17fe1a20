"""Supervised estimators: saving and loading restores every attribute; damaged files are refused."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, load, save
from sparsam.io.pipelines import TableModel, load_pipeline, save_pipeline

pytestmark = pytest.mark.usefixtures("without_factors")

rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3))
Y = X[:, :2] + rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=80)
LABELS = np.where(X[:, 0] > 0, "yes", "no")
FAST = {"tol": 1e-2, "random_state": 0}
PSI = np.array([[1.0, 0.2], [0.2, 1.0]])

MODELS = {
    "regressor": lambda: MultivariateNormalRegressor((4,), **FAST).fit(X, Y),
    "one output": lambda: MultivariateNormalRegressor((), **FAST).fit(X, Y[:, 0]),
    "arrays": lambda: MultivariateNormalRegressor(
        (), covariance_prior=(3.0, PSI), mask=np.ones((3, 2), bool), early_stopping=True, **FAST
    ).fit(X, Y),
    "known covariance": lambda: MultivariateNormalRegressor([3], covariance=PSI.tolist(), **FAST).fit(X, Y),
    "strings": lambda: NoisyLabelClassifier((4,), epsilon=(0.1, 0.2), early_stopping=True, **FAST).fit(X, LABELS),
    "objects": lambda: NoisyLabelClassifier((), epsilon=0.1, **FAST).fit(X, LABELS.astype(object)),
    "several": lambda: NoisyLabelClassifier((), epsilon=0.1 * np.ones((3, 3)) + 0.7 * np.eye(3), **FAST).fit(
        X, np.arange(80) % 3
    ),
    "estimated": lambda: NoisyLabelClassifier((), alpha=(1e-2, 1e-1), validation_fraction=0.4, **FAST).fit(X, LABELS),
}


def same(one, other):
    if hasattr(one, "__dataclass_fields__"):
        return all(same(value, vars(other)[name]) for name, value in vars(one).items())
    np.testing.assert_equal(other, one, strict=isinstance(one, np.ndarray))
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_everything_comes_back(name, tmp_path):
    model = MODELS[name]()
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert type(again) is type(model)
    assert vars(again).keys() == vars(model).keys()
    for attribute, value in vars(model).items():
        assert same(value, vars(again)[attribute]), attribute
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.slow
def test_every_byte_counts(tmp_path):
    path = tmp_path / "model.safetensors"
    save(MODELS["strings"](), path)
    good = path.read_bytes()
    for place in range(8, len(good), max(len(good) // 60, 1)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(ValueError, match=r"^cannot load"):
            load(path)


def test_labels_that_json_cannot_hold_are_refused(tmp_path):
    model = NoisyLabelClassifier((), epsilon=0.1, **FAST).fit(X, LABELS)
    model.classes_ = np.array([b"no", b"yes"])
    with pytest.raises(TypeError, match="cannot be saved: use numbers or strings"):
        save(model, tmp_path / "model.safetensors")


@pytest.mark.parametrize("estimator", [MultivariateNormalRegressor, NoisyLabelClassifier])
def test_a_function_that_makes_tangents_is_refused_by_name(tmp_path, estimator):
    """Without the function, a loaded model would be fitted to another objective."""
    model = estimator((), tangents=lambda X: np.ones((len(X), 1, 3)), **FAST).fit(X, LABELS == "yes")
    with pytest.raises(TypeError, match=r"tangents is a function.*set_params\(tangents=None\)"):
        save(model, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
    save(model.set_params(tangents=None), tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "model.safetensors").predict(X), model.predict(X))


@pytest.mark.filterwarnings("ignore")
def test_targets_in_units_far_apart_make_a_model_that_loads(tmp_path):
    """Rounding makes a covariance with entries of 1e-18 to 1e18 indefinite, but not its correlation matrix."""
    units = np.array([1e-9, 1e-3, 1e3, 1e9])
    for seed in range(5):
        rng = np.random.default_rng(seed)
        mixed = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
        model = MultivariateNormalRegressor((), random_state=0).fit(rng.normal(size=(60, 2)), mixed * units)
        save(model, tmp_path / f"{seed}.safetensors")
        np.testing.assert_array_equal(load(tmp_path / f"{seed}.safetensors").covariance_, model.covariance_)
        pipeline = Pipeline([("model", model)])
        save_pipeline(TableModel(pipeline, ["a", "b"], list("wxyz")), tmp_path / f"{seed}.skops")
        loaded = load_pipeline(tmp_path / f"{seed}.skops").pipeline[-1]
        np.testing.assert_array_equal(loaded.covariance_, model.covariance_)


def test_a_pipeline_that_could_not_be_loaded_is_not_saved(tmp_path):
    pipeline = Pipeline([("model", LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]))])
    with pytest.raises(TypeError, match="its estimator is a LinearRegression, which is not one of sparsam's"):
        save_pipeline(TableModel(pipeline, ["a"], ["b"]), tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_what_only_follows_a_fit_is_not_saved_with_a_pipeline(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoints")
    model = MultivariateNormalRegressor((), cv=None, random_state=0, checkpoint=checkpoint, callback=lambda at: None)
    pipeline = Pipeline([("model", model.fit(X, X[:, 0] + X[:, 1] ** 2))])
    save_pipeline(TableModel(pipeline, list("abc"), ["y"]), tmp_path / "model.skops")
    loaded = load_pipeline(tmp_path / "model.skops").pipeline[-1]
    assert (loaded.checkpoint, loaded.callback) == (None, None)
    assert model.checkpoint is checkpoint
    np.testing.assert_array_equal(loaded.coefs_[0], model.coefs_[0])
