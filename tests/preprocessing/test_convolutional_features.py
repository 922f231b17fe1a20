"""Convolutional features: equal to encoding every patch and pooling the codes, for all encoders."""

from copy import deepcopy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparsam import SparseAutoencoder, StackedAutoencoder
from sparsam.preprocessing import ConvolutionalFeatures, PatchNormalizer, Whitening

RNG = np.random.default_rng(0)
GRAY, COLOR = RNG.uniform(0.1, 0.9, size=(5, 10 * 9)), RNG.uniform(0.1, 0.9, size=(5, 10 * 9 * 3))


def patches_of(images, shape, h, w):
    """Cut all patches out of images, (n_images, rows, columns, pixels)."""
    stack = images.reshape(-1, *shape)
    windows = np.lib.stride_tricks.sliding_window_view(stack, (h, w), axis=(1, 2))
    windows = np.moveaxis(windows.reshape(*windows.shape[:3], -1, h, w), 3, -1)  # channels last
    return windows.reshape(*windows.shape[:3], -1)


def by_hand(encoder, images, shape, patch, pool, kind):
    """Encode every patch, and pool."""
    patches = patches_of(images, shape, *patch)
    n, rows, columns, pixels = patches.shape
    codes = encoder.transform(patches.reshape(-1, pixels)).reshape(n, rows, columns, -1)
    pools = [min(pool, m) for m in (rows, columns)]
    edges = [[round(k * m / n) for k in range(n + 1)] for m, n in zip((rows, columns), pools, strict=True)]
    summary = np.mean if kind == "mean" else np.max
    regions = [
        summary(codes[:, edges[0][i] : edges[0][i + 1], edges[1][j] : edges[1][j + 1]], axis=(1, 2))
        for i in range(pools[0])
        for j in range(pools[1])
    ]
    return np.concatenate(regions, axis=1)


def small(**options):
    return SparseAutoencoder(3, rho=0.2, beta=0.1, random_state=0, max_iter=5, **options)


ENCODERS = {
    "plain": small(),
    "float64": small(dtype="float64"),
    "tanh": small(hidden_activation="tanh", output_activation="identity"),
    "whitened": make_pipeline(Whitening(epsilon=0.01), small(output_activation="identity")),
    "pca": make_pipeline(Whitening("pca", n_components=5), small(output_activation="identity")),
    "stack": StackedAutoencoder([small(), SparseAutoencoder(2, beta=0.0, max_iter=5)], max_iter=5, random_state=0),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize(("images", "shape"), [(GRAY, (10, 9)), (COLOR, (10, 9, 3))], ids=["gray", "color"])
@pytest.mark.parametrize(
    ("pool", "kind"), [pytest.param(1, "mean", marks=pytest.mark.exhaustive), (2, "max"), (3, "mean")]
)
def test_it_equals_encoding_every_patch_and_pooling(encoder, images, shape, pool, kind):
    features = ConvolutionalFeatures(
        encoder, shape, patch_shape=(4, 3), pool=pool, kind=kind, n_patches=200, random_state=0
    )
    got = features.fit_transform(images)
    channels = (*shape, 1)[:3]
    expected = by_hand(features.autoencoder_, images, channels, (4, 3), pool, kind)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert got.shape == (5, len(features.get_feature_names_out()))


@pytest.fixture(scope="module")
def frozen():
    patches = patches_of(GRAY, (10, 9, 1), 4, 4).reshape(-1, 16)
    with pytest.warns(ConvergenceWarning):
        return FrozenEstimator(small().fit(patches))


def test_a_frozen_autoencoder_is_used_as_it_is(frozen):
    features = ConvolutionalFeatures(frozen, (10, 9)).fit(GRAY)
    np.testing.assert_array_equal(features.autoencoder_.coefs_[0], frozen.estimator.coefs_[0])
    np.testing.assert_array_equal(features.autoencoder_.intercepts_[0], frozen.estimator.intercepts_[0])
    assert features.patch_shape_ == (4, 4)
    np.testing.assert_array_equal(features.filters_[..., 0].reshape(3, 16), frozen.estimator.components_)
    with pytest.raises(ValueError, match="fitted on 16 features, but patches of 3 x 4 pixels"):
        ConvolutionalFeatures(frozen, (10, 9), patch_shape=(3, 4)).fit(GRAY)


def test_later_changes_of_a_frozen_autoencoder_leave_the_features_as_they_are(frozen):
    encoder = deepcopy(frozen)
    features = ConvolutionalFeatures(encoder, (10, 9)).fit(GRAY)
    before = features.transform(GRAY)
    encoder.estimator.set_params(hidden_activation="relu")
    np.testing.assert_array_equal(features.transform(GRAY), before)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_large_regions_equal_encoding_every_patch_and_pooling(kind):
    signals = np.random.default_rng(0).random((7, 150))
    features = ConvolutionalFeatures(small(), (1, 150), patch_shape=5, pool=2, kind=kind, n_patches=50, random_state=0)
    got = features.fit_transform(signals)
    expected = by_hand(features.autoencoder_, signals, (1, 150, 1), (1, 5), 2, kind)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0])
@pytest.mark.parametrize("step", [PatchNormalizer(), MinMaxScaler((0.1, 0.9), clip=True)], ids=["patches", "clip"])
def test_clipping_is_refused_in_any_unit(scale, step):
    features = ConvolutionalFeatures(make_pipeline(step, small()), (10, 9), patch_shape=4)
    with pytest.raises(ValueError, match=r"not an affine map.*clips.*Whitening"):
        features.fit(scale * GRAY)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "encoder",
    [
        small(output_activation="identity"),
        make_pipeline(MinMaxScaler((0.1, 0.9)), small()),
        make_pipeline("passthrough", Whitening(epsilon=1.0), small(output_activation="identity")),
    ],
    ids=["linear", "scaled", "whitened"],
)
def test_images_far_from_zero_lose_no_digits(encoder):
    images = 1e5 + 10 * GRAY
    features = ConvolutionalFeatures(encoder, (10, 9), patch_shape=(4, 3), n_patches=200, random_state=0).fit(images)
    expected = by_hand(features.autoencoder_, images, (10, 9, 1), (4, 3), 2, "mean")
    np.testing.assert_allclose(features.transform(images), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_signals_are_images_of_height_1(frozen):
    signals = RNG.uniform(size=(6, 50))
    features = ConvolutionalFeatures(frozen).fit(signals)  # 16 values
    assert (features.image_shape_, features.patch_shape_, features.pool_) == ((1, 50, 1), (1, 16), (1, 2))
    expected = by_hand(frozen.estimator, signals, (1, 50, 1), (1, 16), 1, "max")
    whole = ConvolutionalFeatures(frozen, pool=1, kind="max").fit(signals).transform(signals)
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    assert ConvolutionalFeatures(small(), patch_shape=5, n_patches=50).fit(signals).patch_shape_ == (1, 5)


def test_a_failed_fit_leaves_the_earlier_one(frozen):
    features = ConvolutionalFeatures(frozen, np.array([10, 9])).fit(GRAY)
    before = features.transform(GRAY)
    with pytest.raises(ValueError, match="X has 80 features, which are not those of images"):
        features.fit(GRAY[:, :80])
    np.testing.assert_array_equal(features.transform(GRAY), before)
    with pytest.raises(ValueError, match="kind must be one of"):
        features.set_params(kind="median").transform(GRAY)
    with pytest.raises(ValueError, match="X yields no rows"):
        ConvolutionalFeatures(frozen, (10, 9)).fit(Nothing())


class Nothing:
    """Rows that are read, of which there are none."""

    def __iter__(self):
        return iter(())


def test_images_that_are_read_give_the_same(frozen, tmp_path):
    images = np.random.default_rng(1).uniform(size=(100, 90)).astype(np.float32)

    class Chunks:
        def __iter__(self):
            return iter(np.array_split(images, 9))

    features = ConvolutionalFeatures(frozen, (10, 9)).fit(Chunks())
    expected = features.transform(images)
    np.testing.assert_array_equal(features.transform(Chunks()), expected)
    out = np.empty_like(expected)
    assert features.transform(Chunks(), out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_random_patches_are_parts_of_the_images():
    images = np.arange(3 * 20.0).reshape(3, 20)  # 4 x 5 pixels, all different
    features = ConvolutionalFeatures(image_shape=(4, 5), n_patches=500, random_state=0)
    features.n_features_in_, features.image_shape_, features.patch_shape_ = 20, (4, 5, 1), (2, 2)
    patches = features._random_patches(images, 3)
    corners = patches[:, 0].astype(int)
    np.testing.assert_array_equal(patches, corners[:, None] + [0, 1, 5, 6])
    assert set(corners // 20) == {0, 1, 2}
    assert set(corners % 20) == {5 * row + column for row in range(3) for column in range(4)}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "median"}, ValueError, "kind must be one of 'mean', 'max'"),
        ({"pool": 0}, ValueError, "pool must be at least 1"),
        ({"pool": 1.5}, TypeError, "pool must be an integer"),
        (
            {"image_shape": (9, 9)},
            ValueError,
            r"X has 90 features, which are not those of images of the shape \(9, 9\)",
        ),
        ({"image_shape": 90}, TypeError, "image_shape must have 2 or 3 integers"),
        ({"patch_shape": 11}, ValueError, "patches of 11 x 11 pixels do not fit into images of 10 x 9"),
        ({"autoencoder": Whitening()}, TypeError, "autoencoder must be a SparseAutoencoder.*got Whitening"),
    ],
)
def test_bad_parameters_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        ConvolutionalFeatures(**{"image_shape": (10, 9)} | options).fit(GRAY)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ConvolutionalFeatures(n_patches=50)])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(clone(estimator))
