"""Files of `ConvolutionalFeatures`: they come back to the bit; steps that no file holds, and forgeries, are refused."""

import json

import numpy as np
import pytest
import safetensors
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import RobustScaler

from sparsam import SparseAutoencoder, StackedAutoencoder, load, save
from sparsam._utils.checksummed_file import checksummed
from sparsam.preprocessing import ConvolutionalFeatures, Whitening

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]

IMAGES = np.random.default_rng(0).uniform(0.1, 0.9, size=(12, 6 * 5 * 3))


def small(**options):
    return SparseAutoencoder(3, rho=0.2, beta=0.1, random_state=0, max_iter=3, **options)


def features_of(encoder, **options):
    options = {"patch_shape": (3, 2), "n_patches": 50, "random_state": 0} | options
    return ConvolutionalFeatures(encoder, (6, 5, 3), **options).fit(IMAGES)


def frozen():
    patches = np.random.default_rng(1).uniform(0.1, 0.9, size=(40, 18))
    return FrozenEstimator(make_pipeline(Whitening(), small(output_activation="identity")).fit(patches))


ENCODERS = {
    "none": lambda: None,
    "an autoencoder": small,
    "float64": lambda: small(dtype="float64"),
    "a pipeline": lambda: Pipeline([("white", Whitening("pca")), ("code", small(output_activation="identity"))]),
    "a step that does nothing": lambda: Pipeline([("nothing", "passthrough"), ("code", small())]),
    "a stack": lambda: StackedAutoencoder([small(), small()], random_state=0, max_iter=3),
    "frozen": frozen,
}


SOME = [
    pytest.param(encoder, marks=pytest.mark.exhaustive if name in ("an autoencoder", "a pipeline", "float64") else ())
    for name, encoder in ENCODERS.items()
]


@pytest.mark.parametrize("encoder", SOME, ids=ENCODERS)
def test_features_come_back_to_the_bit(encoder, tmp_path):
    model = features_of(encoder(), kind="max", pool=3).set_output(transform="pandas")
    save(model, tmp_path / "features.safetensors")
    loaded = load(tmp_path / "features.safetensors")
    expected = model.transform(IMAGES)
    assert loaded.transform(IMAGES).equals(expected)
    assert (loaded.filters_ == model.filters_).all()
    assert vars(loaded).keys() == vars(model).keys()
    assert repr(loaded) == repr(model)
    again = loaded.fit(IMAGES).transform(IMAGES)
    np.testing.assert_allclose(again, expected, atol=1e-6)


def test_a_hyperparameter_set_since_the_fit_does_not_change_the_file(tmp_path):
    model = features_of(make_pipeline(Whitening(), small(output_activation="identity")))
    expected = model.transform(IMAGES)
    model.set_params(autoencoder=small())
    save(model, tmp_path / "features.safetensors")
    assert (load(tmp_path / "features.safetensors").transform(IMAGES) == expected).all()


def test_steps_that_no_file_holds_are_named(tmp_path):
    model = features_of(make_pipeline(RobustScaler(), small(output_activation="identity")))
    with pytest.raises(TypeError, match="can be saved, not RobustScaler"):
        save(model, tmp_path / "features.safetensors")
    assert not (tmp_path / "features.safetensors").exists()


def without_a_layer(header, arrays):
    del arrays["coef_0"], arrays["intercept_0"]


def with_another_image(header, arrays):
    arrays["shapes"] = arrays["shapes"] + 1


def with_too_many_regions(header, arrays):
    arrays["shapes"] = np.where(np.arange(7) < 5, arrays["shapes"], 100)


def with_infinite_filters(header, arrays):
    arrays["coef_0"] = np.full_like(arrays["coef_0"], np.inf)


def with_other_units(header, arrays):
    arrays["coef_0"], arrays["intercept_0"] = arrays["coef_0"][:, :2], arrays["intercept_0"][:2]


def without_an_autoencoder(header, arrays):
    header["parts"]["autoencoder_"] = []


@pytest.mark.parametrize(
    "edit",
    [
        without_a_layer,
        with_another_image,
        with_too_many_regions,
        with_infinite_filters,
        with_other_units,
        without_an_autoencoder,
    ],
)
def test_forgeries_are_refused(edit, tmp_path):
    path = tmp_path / "features.safetensors"
    save(features_of(small()), path)
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["sparsam"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    del header["digest"]
    edit(header, arrays)
    path.write_bytes(checksummed("sparsam", header, arrays))
    with pytest.raises(ValueError, match="cannot load"):
        load(path)
