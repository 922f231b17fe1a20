"""Dead, saturated and constant units are distinguished from sparse ones, with the same result in chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from sparsam import SparseAutoencoder, unit_statistics
from sparsam.inspection.units import ROWS

N = 2000


def unit(kind, rng):
    off = np.full(N, 0.002)
    some = rng.random(N) < 0.05
    return {
        "sparse": np.where(some, rng.beta(2, 2, N), off),
        "never on": off,
        "constant": np.full(N, 0.05) + 1e-5 * rng.normal(size=N),
        "always on": np.clip(1 - 0.02 * rng.exponential(size=N) * some, 0, 1),
        "stuck on": np.full(N, 1.0),
        "switch": np.where(some, 0.998, off),
        "graded": rng.beta(2, 2, N),
    }[kind]


EXPECTED = {  # dead, saturated, constant
    "sparse": (False, False, False),
    "never on": (True, False, False),
    "constant": (True, False, True),
    "always on": (False, True, False),
    "stuck on": (True, True, False),
    "switch": (False, True, False),
    "graded": (False, False, False),
}


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
def test_each_kind_is_recognized(activation):
    rng = np.random.default_rng(0)
    Z = np.stack([unit(kind, rng) for kind in EXPECTED], axis=1)
    statistics = unit_statistics(2 * Z - 1 if activation == "tanh" else Z, hidden_activation=activation, rho=0.05)
    for k, (kind, expected) in enumerate(EXPECTED.items()):
        assert (statistics.dead[k], statistics.saturated[k], statistics.constant[k]) == expected, kind
    assert statistics.shares() == {"dead": 3 / 7, "saturated": 3 / 7, "constant": 1 / 7}


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.floats(0, 1)),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_chunks_amount_to_the_whole(Z, cuts):
    whole = unit_statistics(Z)
    chunks = unit_statistics(chunk for chunk in np.split(Z, sorted(min(cut, len(Z)) for cut in cuts)) if len(chunk))
    assert chunks.n_samples == whole.n_samples == len(Z)
    assert_allclose(whole.mean, Z.mean(axis=0))
    assert_allclose(whole.deviation, Z.std(axis=0), atol=1e-15)
    assert_allclose(whole.at_low, np.mean(Z <= 0.01, axis=0))
    assert_allclose(whole.at_high, np.mean(Z >= 0.99, axis=0))
    assert_allclose(whole.at_low + whole.between + whole.at_high, 1)
    for name in ("mean", "deviation", "at_low", "at_high"):
        assert_allclose(getattr(chunks, name), getattr(whole, name), atol=1e-15)


def test_a_long_float32_array_keeps_small_deviations():
    Z = (0.9 + 1e-4 * np.random.default_rng(0).normal(size=(3 * ROWS + 5, 2))).astype(np.float32)
    assert_allclose(unit_statistics(Z).deviation, Z.astype(np.float64).std(axis=0), rtol=1e-9)
    assert unit_statistics(Z).dead.all()


def test_relu_units_are_dead_where_they_never_fire_and_have_no_upper_end():
    Z = np.maximum(np.random.default_rng(0).normal(size=(100, 3)) * [1.0, 100.0, 0.0], 0)
    statistics = unit_statistics(Z, hidden_activation="relu", rho=0.1)
    assert statistics.dead.tolist() == [False, False, True]
    assert not statistics.saturated.any()
    assert statistics.constant is None
    assert unit_statistics(np.zeros((5, 2)), hidden_activation="relu").dead.all()


@pytest.mark.slow
def test_units_of_a_fitted_autoencoder_live():
    X = np.random.default_rng(0).uniform(0.1, 0.9, size=(200, 12))
    model = SparseAutoencoder(4, rho=0.1, random_state=0, max_iter=50, tol=1e-3).fit(X)
    statistics = unit_statistics(model.transform(X), rho=model.rho)
    assert_allclose(statistics.mean, model.mean_activation_, rtol=1e-4)
    model.intercepts_[0][:] = -2.197  # logistic(-2.197) = 0.1 = rho
    model.coefs_[0][:] = 0
    assert unit_statistics(model.transform(X), rho=0.1).shares() == {"dead": 1, "saturated": 0, "constant": 1}


@pytest.mark.parametrize(
    ("activations", "options", "match"),
    [
        (np.zeros((0, 3)), {}, "no samples"),
        ([], {}, r"no samples|shape"),
        (np.zeros(3), {}, "n_samples, n_units"),
        ([np.zeros((2, 3)), np.zeros((3, 2))], {}, "chunks of 3 and of 2 units"),
        ([[np.nan, 0.0]], {}, "NaN"),
        ([[-0.5, 0.5]], {}, r"outside of \[0, 1\].*hidden_activation"),
        ([[0.5]], {"hidden_activation": "softplus"}, "hidden_activation must be one of"),
        ([[0.5]], {"rho": 1.0}, "rho must be in"),
    ],
)
def test_bad_activations_are_refused(activations, options, match):
    with pytest.raises(ValueError, match=match):
        unit_statistics(activations, **options)
