"""A training sets its own precision: the user's JAX settings neither change it nor are changed by it."""

import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsam.engine.jax_settings import precision
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import KLSparsity
from sparsam.engine.training import train
from sparsam.engine.training.compiled_loop import run_loop

pytestmark = pytest.mark.slow  # programs of both precisions in both settings


@pytest.fixture(params=[False, True], ids=["x32", "x64"])
def users_x64(request):
    """Run with either global setting of JAX."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", request.param)
    yield request.param
    jax.config.update("jax_enable_x64", before)


def bits(training):
    return training.theta.dtype, training.theta.tobytes(), [(row.J, row.gradient_norm) for row in training.history]


@pytest.fixture(scope="module")
def undisturbed(run, dtype):
    """Run a training under JAX's default setting."""
    return bits(run(dtype, options={"max_iter": 20}))


def test_users_setting_changes_no_bit(undisturbed, users_x64, dtype, run):
    assert bits(run(dtype, options={"max_iter": 20})) == undisturbed
    assert undisturbed[0] == dtype


def test_users_setting_stays(users_x64, dtype, run):
    run(dtype, options={"max_iter": 3})
    assert jax.config.jax_enable_x64 == users_x64
    assert jnp.asarray(np.ones(1)).dtype == ("float64" if users_x64 else "float32")


def test_program_is_of_one_precision_throughout(users_x64, dtype, training_job):
    objective, samples, theta = training_job(dtype)
    with precision(dtype):
        objective = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), objective)
        state = lbfgs.initialize(jnp.asarray(theta, dtype))
        program = jax.jit(run_loop).lower(objective, samples, state, 1, 1).as_text()
    assert set(re.findall(r"\bf(?:16|32|64)\b|(?<=x)f(?:16|32|64)\b", program)) == {f"f{dtype[5:]}"}


def test_callbacks_run_in_the_users_setting(users_x64, dtype, run):
    seen = []
    run(dtype, options={"max_iter": 30, "callback": lambda row: seen.append(jnp.asarray(np.ones(1)).dtype)})
    assert len(seen) >= 3
    assert set(seen) == {jnp.dtype("float64" if users_x64 else "float32")}


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_setting_is_restored_after_an_exception_in_a_callback(users_x64, error, dtype, run):
    def callback(row):
        raise error("from the callback")

    with pytest.raises(error, match="from the callback"):
        run(dtype, options={"callback": callback})
    assert jax.config.jax_enable_x64 == users_x64


def test_setting_is_restored_after_an_interrupt(users_x64, dtype, run):
    def callback(row):
        raise KeyboardInterrupt

    assert run(dtype, options={"callback": callback}).stop_reason == "interrupted"
    assert jax.config.jax_enable_x64 == users_x64


def test_setting_is_restored_after_an_exception_in_the_engine(users_x64, dtype, training_job):
    _, samples, theta = training_job(dtype)
    objective = Objective(Network((6, 3, 6), "relu"), (SquaredError(), KLSparsity(0.1, 1.0)))
    with pytest.raises(ValueError, match="relu"):
        train.train(objective, samples, theta, dtype=dtype)
    assert jax.config.jax_enable_x64 == users_x64


def test_setting_is_the_threads_own(users_x64):
    seen = []
    with precision("float32" if users_x64 else "float64"):
        thread = threading.Thread(target=lambda: seen.append(jax.config.jax_enable_x64))
        thread.start()
        thread.join()
    assert seen == [users_x64]


@pytest.mark.parametrize("solver", train.SOLVERS)
@pytest.mark.parametrize("seed", range(5))
def test_float32_ends_where_float64_does_or_says_that_precision_stopped_it(run, solver, seed):
    options = {"solver": solver, "max_iter": 3000}
    single, double = (run(dtype, seed=seed, options=options) for dtype in ("float32", "float64"))
    assert double.stop_reason == "converged"
    if single.stop_reason == "converged":
        assert single.history[-1].J == pytest.approx(double.history[-1].J, rel=1e-5)
    else:
        assert single.stop_reason == "precision"
