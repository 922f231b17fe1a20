"""Mean and deviation of each column: in odd units, for constants, with weights, and for streamed data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from sparsam.engine.data.batch import Batch
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.odd_units import few_columns_warning, odd_units_warning


def moments(X, sample_weight=None):
    return ColumnMoments.of(InMemoryDataset(Batch(np.asarray(X), sample_weight=sample_weight)))


@settings(deadline=None, max_examples=50)
@given(exponent=st.integers(-20, 20), shift=st.floats(-1e6, 1e6), seed=st.integers(0, 1000))
def test_moments_transform_with_the_units(exponent, shift, seed):
    z = np.random.default_rng(seed).normal(size=(300, 3))
    unit = 10.0**exponent
    found, expected = moments((z + shift) * unit), moments(z)
    # The data themselves have rounding errors of |shift| eps.
    np.testing.assert_allclose(found.mean / unit - shift, expected.mean, atol=1e-15 * (1 + 10 * abs(shift)))
    np.testing.assert_allclose(found.deviation / unit, expected.deviation, rtol=1e-14 * (1 + abs(shift)))
    np.testing.assert_allclose(found.reach / unit, expected.reach, rtol=1e-14 * (1 + abs(shift)))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e20, 1e-300, 12345.678])
def test_the_mean_of_a_constant_is_exactly_its_value(value):
    found = moments(np.full((997, 1), value))
    assert (found.mean[0], found.deviation[0], found.reach[0]) == (value, 0.0, 0.0)
    assert not found.varies[0]
    scaled = found.scale(0.0).scaled(Batch(np.full((3, 1), value)), "float64")
    assert np.all(scaled.inputs == 0)


def test_a_weight_equals_copies():
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(20, 2)), rng.integers(0, 4, 20).astype(float)
    repeated = moments(np.repeat(X, weights.astype(int), axis=0))
    weighted = moments(X, weights)
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=1e-15)
    np.testing.assert_allclose(weighted.deviation, repeated.deviation, rtol=1e-14)
    np.testing.assert_array_equal(weighted.reach, repeated.reach)  # a row of weight 0 does not count


def test_weight_decay_limits_the_scale_of_a_column_from_below():
    columns = moments(np.random.default_rng(0).normal(size=(500, 3)) * [1e-9, 1.0, 1e9])
    np.testing.assert_allclose(columns.scale(0.0).scale, columns.deviation)
    np.testing.assert_allclose(columns.scale(1e-4).scale, np.hypot(columns.deviation, 0.1))


class TestWarnings:
    X = np.random.default_rng(0).normal(size=(500, 4))

    def test_columns_in_odd_units_are_named(self):
        warning = odd_units_warning(moments(self.X * [1, 1e-4, 1e4, 10]), ["a", "b", "c", "d"], 1e-3)
        for word in ("'b' (standard deviation ", "'c' (standard", "StandardScaler", "alpha = 0.001"):
            assert word in str(warning)
        assert not any(name in str(warning) for name in ("'a'", "'d'"))

    @pytest.mark.parametrize("alpha", [0.0, 1e-3])
    @pytest.mark.parametrize("unit", [0.05, 1.0, 500.0])
    def test_columns_in_ordinary_units_are_not_named(self, unit, alpha):
        assert odd_units_warning(moments(self.X * unit), range(4), alpha) is None

    @pytest.mark.parametrize(
        ("unit", "alpha", "lowered"), [(0.05, 0.03, False), (0.01, 1e-3, False), (0.1, 3e-3, True)]
    )
    def test_columns_that_are_small_for_their_weight_decay_are_named(self, unit, alpha, lowered):
        assert odd_units_warning(moments(self.X * unit), range(4), alpha, lowered=lowered) is not None
        assert odd_units_warning(moments(self.X), range(4), alpha, lowered=lowered) is None

    def test_one_small_column_of_a_few_is_named_and_margins_of_images_are_not(self):
        warning = odd_units_warning(moments(self.X * [1, 0.02, 1, 1]), range(4), 0.03)
        assert ": 1 (standard deviation 0.0" in str(warning)
        images = load_digits().data / 16
        for n in (50, 100, 300, 1797):
            for alpha in (1e-4, 3e-3, 0.03, 1.0):
                assert odd_units_warning(moments(images[:n]), range(64), alpha) is None

    @pytest.mark.parametrize("alpha", [1e-4, 0.03, 1.0])
    def test_tables_in_the_unit_range_and_indicators_are_not_named(self, alpha):
        rng = np.random.default_rng(0)
        normal = rng.normal(size=500)
        scaled = (normal - normal.min()) / np.ptp(normal)
        X = np.column_stack([rng.uniform(size=500), scaled, rng.beta(2, 9, size=500), rng.random(500) < 0.02])
        for lowered in (False, True):
            assert odd_units_warning(moments(X), range(4), alpha, lowered=lowered) is None

    def test_without_weight_decay_no_columns_are_named_nor_are_constants(self):
        assert odd_units_warning(moments(self.X * 1e9), range(4), 0.0) is None
        assert odd_units_warning(moments(np.ones((5, 2))), range(2), 1e-3) is None

    def test_a_pixel_that_is_seldom_lit_is_not_named(self):
        X = np.zeros((10_000, 2))
        X[0, 0], X[:, 1] = 0.01, np.random.default_rng(0).uniform(size=10_000)
        columns = moments(X)
        assert columns.deviation[0] < 1e-3
        assert odd_units_warning(columns, range(2), 1e-3) is None

    def test_few_columns_with_nearly_all_of_the_variance_are_named(self):
        warning = few_columns_warning(moments(self.X * [1, 1, 100, 1]), ["a", "b", "c", "d"])
        for word in ("1 of the 4 columns", "'c' (standard deviation 1e+02)", "99.9", "StandardScaler"):
            assert word in str(warning)
        assert few_columns_warning(moments(self.X), range(4)) is None
        assert few_columns_warning(moments(np.ones((3, 4))), range(4)) is None
        assert few_columns_warning(moments(self.X[:, :1]), range(1)) is None
