"""A normalizer keeps the scale of its training."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparsam.images import natural_images, normalize_patches, sample_patches
from sparsam.preprocessing import PatchNormalizer


@pytest.fixture(scope="module")
def patches():
    return sample_patches(natural_images(), 5000, 8, random_state=0)


@parametrize_with_checks([PatchNormalizer()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_training_patches_are_normalized_as_by_the_notes(patches):
    np.testing.assert_array_equal(PatchNormalizer().fit_transform(patches), normalize_patches(patches))


def test_a_patch_is_scaled_the_same_beside_any_others(patches):
    normalizer = PatchNormalizer().fit(patches)
    np.testing.assert_array_equal(normalizer.transform(patches[:100]), normalizer.transform(patches)[:100])
    assert np.abs(normalize_patches(patches[:100]) - normalizer.transform(patches[:100])).max() > 0.01


@given(exponent=st.integers(-300, 300), seed=st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_units_do_not_matter(exponent, seed):
    X = np.random.default_rng(seed).normal(size=(20, 6))
    in_units = X * 2.0**exponent
    normalizer = PatchNormalizer().fit(in_units)
    np.testing.assert_array_equal(normalizer.transform(in_units), normalize_patches(X))
    assert normalizer.limit_ == PatchNormalizer().fit(X).limit_ * 2.0**exponent


def test_the_inverse_undoes_the_scaling_and_gives_deviations(patches):
    normalizer = PatchNormalizer().fit(patches)
    deviations = patches - patches.mean(axis=1, keepdims=True)
    expected = np.clip(deviations, -normalizer.limit_, normalizer.limit_)
    np.testing.assert_allclose(normalizer.inverse_transform(normalizer.transform(patches)), expected, atol=1e-12)


def test_constant_patches_are_one_half():
    X = np.full((3, 4), 7.0)
    normalizer = PatchNormalizer().fit(X)
    assert normalizer.limit_ == 0
    np.testing.assert_array_equal(normalizer.transform(X), 0.5)


@pytest.mark.filterwarnings("error")
def test_patches_of_the_training_and_like_it_are_no_warning(patches):
    normalizer = PatchNormalizer().fit(patches)
    normalizer.transform(patches)
    normalizer.transform(sample_patches(natural_images(), 5000, 8, random_state=1))
    normalizer.transform(np.full((1, 64), 3.0))


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (3.0, r"4\d% of the patches reach far beyond the range"),
        (1 / 255, r"standard deviation of the patches is 0\.4% of that in the fit"),
    ],
)
def test_other_units_are_a_warning_with_the_share(patches, units, message):
    normalizer = PatchNormalizer().fit(patches)
    with pytest.warns(UserWarning, match=message):
        normalizer.transform(units * patches)


def test_arrays_of_other_libraries_become_numpys(patches, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    monkeypatch.setattr("scipy._lib._array_api.SCIPY_ARRAY_API", "1", raising=False)
    expected = PatchNormalizer().fit_transform(patches[:50])
    with config_context(array_api_dispatch=True):
        found = PatchNormalizer().fit_transform(torch.tensor(patches[:50]))
    np.testing.assert_array_equal(found, expected)
