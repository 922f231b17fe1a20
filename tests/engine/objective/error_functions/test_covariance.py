"""The most likely covariance: closed forms, expectation maximization, singular cases."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.jax_settings import precision
from sparsam.engine.objective.error_functions.covariance import (
    STRUCTURES,
    ResidualMoments,
    most_likely_covariance,
    negative_log_likelihood,
    observed_inverses,
    profile,
)
from sparsam.reference.gaussian import most_likely_covariance as by_hand

C = np.array([[1.0, 0.6, -0.3], [0.6, 2.0, 0.2], [-0.3, 0.2, 0.5]])
find = jax.jit(most_likely_covariance, static_argnums=(0, 1))
least = jax.jit(profile, static_argnums=(0, 1))


def draw(seed=0, n=400, missing=0.4):
    rng = np.random.default_rng(seed)
    r = rng.multivariate_normal(np.zeros(3), C, size=n)
    observed = rng.random(r.shape) >= missing
    observed[~observed.any(axis=1), 0] = True
    return np.where(observed, r, 0), observed, rng.uniform(0.5, 2, size=n)


def moments_of(r, observed, s):
    patterns = np.unique(observed, axis=0)
    rows = [np.all(observed == pattern, axis=1) for pattern in patterns]
    counts = np.array([s[row].sum() for row in rows]) / s.sum()
    products = np.stack([(s[row, None] * r[row]).T @ r[row] for row in rows]) / s.sum()
    return ResidualMoments(*(jnp.asarray(a) for a in (patterns.astype(float), counts, products)))


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_it_is_the_one_found_by_hand(structure, missing):
    r, observed, s = draw(missing=missing)
    with precision("float64"):
        found = find(structure, missing == 0, moments_of(r, observed, s))
    np.testing.assert_allclose(found, by_hand(structure, r, observed, s), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("missing", [0.3, 0.6])
def test_no_other_is_more_likely(missing):
    r, observed, s = draw(1, missing=missing)
    with precision("float64"):
        moments = moments_of(r, observed, s)
        best = np.asarray(find("full", False, moments))
        least = negative_log_likelihood(best, moments)
        root, rng = np.linalg.cholesky(best), np.random.default_rng(0)
        for _ in range(50):
            other = root @ (np.eye(3) + 1e-3 * rng.normal(size=(3, 3)))
            assert negative_log_likelihood(jnp.asarray(other @ other.T), moments) > least


def test_with_many_samples_it_is_the_planted_one():
    r, observed, s = draw(2, n=40_000)
    with precision("float64"):
        np.testing.assert_allclose(find("full", False, moments_of(r, observed, s)), C, atol=0.1)


def test_slope_of_the_profile_is_half_the_inverse():
    r, observed, s = draw(3)
    with precision("float64"):
        moments = moments_of(r, observed, s)
        slope = jax.jit(jax.grad(partial(profile, "full", False)))(moments)
        B, _ = observed_inverses(find("full", False, moments), moments.patterns)
        np.testing.assert_allclose(slope.products, B / 2, rtol=1e-9, atol=1e-12)


def test_missing_outputs_have_no_influence():
    with precision("float64"):
        B, ln_determinants = jax.device_get(
            observed_inverses(jnp.asarray(C), jnp.asarray([[1.0, 0, 1], [0, 1, 0], [1, 1, 1]]))
        )
    block = C[np.ix_([0, 2], [0, 2])]
    np.testing.assert_allclose(B[0][np.ix_([0, 2], [0, 2])], np.linalg.inv(block), rtol=1e-12)
    assert np.all(B[0][1] == 0)
    np.testing.assert_allclose(ln_determinants, [np.linalg.slogdet(block)[1], np.log(2.0), np.linalg.slogdet(C)[1]])


@pytest.mark.parametrize("case", ["zero", "one_sample", "dependent"])
def test_singular_moments_stay_finite(case, dtype):
    r = {
        "zero": np.zeros((10, 3)),
        "one_sample": np.array([[1.0, -2.0, 3.0]]),
        "dependent": np.random.default_rng(0).normal(size=(50, 3)) @ np.array([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]]),
    }[case]
    with precision(dtype):
        moments = jax.tree.map(
            lambda leaf: jnp.asarray(leaf, dtype), moments_of(r, np.ones(r.shape, bool), np.ones(len(r)))
        ).above_rounding()
        value, slope = jax.value_and_grad(partial(least, "full", True))(moments)
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope.products))


def test_the_regularization_is_as_small_as_rounding(dtype):
    r, observed, s = draw(4)
    with precision(dtype):
        moments = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), moments_of(r, observed, s))
        there = moments.above_rounding().products
        difference = np.abs(there - moments.products).max() / np.abs(moments.products).max()
    assert difference < 100 * np.finfo(dtype).eps
