"""The preconditioner: its damping adapts to the model's predictions, its inverse to the damping."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.minimizer import preconditioner as module
from sparsam.engine.minimizer.preconditioner import adapt, is_stale, next_refresh, prepare


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scalar:
    """A model of the curvature that is a number; its inverse is one too."""

    number: jax.Array

    def damped(self, damping):
        return Scalar(1 / (self.number + damping))

    def product(self, vector):
        return self.number * vector


@jax.jit
def step(preconditioner, decrease, accepted=True, first=False):
    """Take a step along a direction of slope -2, for which the model predicts that J falls by 1."""
    value = jnp.float32(10)
    return adapt(preconditioner, jnp.float32(-2), value, value - decrease, jnp.asarray(accepted), jnp.asarray(first))


@pytest.fixture
def prepared():
    return step(jax.tree.map(jnp.asarray, prepare(Scalar(np.float32(3)))), 1.0, first=True)


def test_first_iterate_computes_the_inverse_and_leaves_the_damping(prepared):
    assert prepared.damping == prepared.inverse_damping == module.FIRST_DAMPING
    assert prepared.inverse.number == 1 / (3 + module.FIRST_DAMPING)
    assert prepared.age == 1


@pytest.mark.parametrize(
    ("decrease", "factor"),
    [(1.0, module.DAMPING_DECREASE), (0.5, 1.0), (0.1, module.DAMPING_INCREASE), (-1.0, module.DAMPING_INCREASE)],
)
def test_damping_follows_how_well_the_model_predicts(prepared, decrease, factor):
    assert step(prepared, decrease).damping == pytest.approx(factor * module.FIRST_DAMPING)
    rejected = step(prepared, decrease, accepted=False)
    assert rejected.damping == module.FIRST_DAMPING
    assert rejected.age == prepared.age


@pytest.mark.parametrize(("decrease", "limit"), [(1.0, module.LEAST_DAMPING), (-1.0, module.LARGEST_DAMPING)])
def test_damping_has_its_limits_and_the_inverse_stays_close(prepared, decrease, limit):
    recomputed = 0
    for _ in range(60):
        before, prepared = prepared, step(prepared, decrease)
        ratio = float(prepared.damping / prepared.inverse_damping)
        assert 1 / module.TOLERATED <= ratio <= module.TOLERATED
        assert prepared.inverse.number == pytest.approx(1 / (3 + float(prepared.inverse_damping)), rel=1e-6)
        recomputed += bool(prepared.inverse_damping != before.inverse_damping)
    assert prepared.damping == pytest.approx(limit)
    assert recomputed < 20


def test_new_factors_serve_at_the_next_iterate_and_grow_stale(prepared):
    fresh = module.replace(prepared, factors=Scalar(jnp.float32(5)), age=jnp.int32(0))
    told = step(fresh, 0.5)
    assert told.inverse.number == pytest.approx(1 / 6)
    ages = []
    for iteration in (0, 40, 400):
        age, aging = 0, told
        while not is_stale(aging, jnp.int32(iteration)):
            age, aging = age + 1, step(aging, 0.5)
        ages.append(age + 1)
    assert ages == [module.FIRST_REFRESH, 10, module.LAST_REFRESH]


def test_the_host_knows_when_factors_grow_stale(prepared):
    """The age of the factors grows by one with each accepted iterate; new ones have age 0."""
    stale, age = [0], 0
    for iteration in range(150):
        age += 1
        if is_stale(module.replace(prepared, age=jnp.int32(age)), jnp.int32(iteration)):
            stale.append(iteration)
            age = 0
    predicted = [0]
    while len(predicted) < len(stale):
        predicted.append(next_refresh(predicted[-1]))
    assert predicted == stale
    assert stale[:7] == [0, 2, 5, 8, 11, 14, 18]
