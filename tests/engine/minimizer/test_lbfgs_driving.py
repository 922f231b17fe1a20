"""All ways to run the minimizer give the same result: a compiled loop, a Python loop, vmap, a checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.minimizer.lbfgs import CONVERGED, RUNNING

pytestmark = pytest.mark.slow


@jax.jit
@jax.value_and_grad
def evaluate(x):
    """Rosenbrock's function."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def compiled_loop(start, tol=1e-5):
    return jax.lax.while_loop(
        lambda state: state.status == RUNNING,
        lambda state: lbfgs.tell(state, *evaluate(lbfgs.ask(state))),
        lbfgs.initialize(start, tol=tol),
    )


def python_loop(state):
    ask, tell = jax.jit(lbfgs.ask), jax.jit(lbfgs.tell)
    states = [state]
    while states[-1].status == RUNNING:
        states.append(tell(states[-1], *evaluate(ask(states[-1]))))
    return states


def assert_equal_bits(one, other):
    for this, that in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(this, that)


def test_python_loop_equals_the_compiled_one_bit_for_bit(dtype):
    with precision(dtype):
        start = jnp.asarray([-1.2, 1.0], dtype)
        compiled, looped = jax.jit(compiled_loop)(start), python_loop(lbfgs.initialize(start))[-1]
        assert_equal_bits(*jax.device_get((compiled, looped)))


def test_state_survives_a_trip_through_numpy(dtype):
    with precision(dtype):
        states = python_loop(lbfgs.initialize(jnp.asarray([-1.2, 1.0], dtype)))
        assert len(states) > 20
        checkpoint = jax.tree.map(np.array, states[15])
        resumed = python_loop(jax.tree.map(jnp.asarray, checkpoint))[-1]
        assert_equal_bits(*jax.device_get((resumed, states[-1])))


def test_many_problems_under_vmap_equal_each_alone():
    starts = np.random.default_rng(0).normal(size=(4, 2))

    def minimized(start):
        return compiled_loop(start, tol=1e-9)

    with precision("float64"):
        many = jax.device_get(jax.jit(jax.vmap(minimized))(jnp.asarray(starts)))
        alone = [jax.device_get(jax.jit(minimized)(jnp.asarray(start))) for start in starts]
    assert len({int(state.evaluations) for state in alone}) > 1  # so some wait for the others
    for i, state in enumerate(alone):
        assert many.status[i] == state.status == CONVERGED
        assert abs(int(many.iteration[i]) - int(state.iteration)) <= 1
        np.testing.assert_allclose(many.theta[i], state.theta, rtol=0, atol=1e-8)
