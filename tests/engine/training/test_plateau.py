"""A training that converges on a plateau goes on as if its tol had been a hundredth from the start."""

import numpy as np
import pytest

from sparsam.engine.training import train_many as many
from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.plateau import Plateau
from sparsam.engine.training.train import train

EVERYWHERE = Plateau("squared_error", -1.0)
NOWHERE = Plateau("squared_error", np.inf)


def assert_same(one, other, rtol=0.0):
    assert one.stop_reason == other.stop_reason
    np.testing.assert_allclose(one.theta, other.theta, rtol=rtol, atol=rtol)
    for here, there in zip(one.history, other.history, strict=True):
        assert (here.iteration, here.evaluations) == (there.iteration, there.evaluations)
        assert here.J == pytest.approx(there.J, rel=rtol, abs=0)
        assert here.gradient_norm == pytest.approx(there.gradient_norm, rel=rtol, abs=rtol)


@pytest.mark.parametrize("solver", ["kronecker-lbfgs", pytest.param("lbfgs", marks=pytest.mark.exhaustive)])
def test_it_ends_at_the_bits_of_the_smaller_tol(training_job, dtype, solver):
    job, options = training_job(dtype), {"dtype": dtype, "solver": solver}
    on = train(*job, **options, tol=1e-2, plateau=EVERYWHERE)
    assert_same(on, train(*job, **options, tol=1e-4))
    assert (on.stop_reason, on.tol, on.plateau_tol) == ("converged", 1e-2, 1e-4)
    off = train(*job, **options, tol=1e-2, plateau=NOWHERE)
    assert_same(off, train(*job, **options, tol=1e-2))
    assert off.plateau_tol is None
    assert len(off.history) < len(on.history)


def test_where_a_plateau_ends_is_a_term_of_J(training_job):
    job = training_job("float64")
    short = train(*job, dtype="float64", tol=1e-2)
    error = short.history[-1].terms["squared_error"]
    for least, goes_on in ((error * (1 - 1e-9), True), (error * (1 + 1e-9), False)):
        training = train(*job, dtype="float64", tol=1e-2, plateau=Plateau("squared_error", least))
        assert (len(training.history) > len(short.history)) == goes_on


def test_a_tol_beyond_the_precision_is_no_failure(training_job):
    far = train(*training_job("float32"), tol=0.0)
    assert far.stop_reason == "precision"
    tol = 2 * far.history[-1].gradient_norm
    training = train(*training_job("float32"), tol=tol, plateau=EVERYWHERE)
    assert (training.stop_reason, training.plateau_tol) == ("converged", tol / 100)
    np.testing.assert_array_equal(training.theta, far.theta)


def test_max_iter_holds_for_both_parts_together(training_job):
    job = training_job("float64")
    n = train(*job, dtype="float64", tol=1e-2).history[-1].iteration
    for max_iter in (n, n + 1):  # at the iterate that meets tol, and beyond
        cut = train(*job, dtype="float64", tol=1e-2, max_iter=max_iter, plateau=EVERYWHERE)
        assert (cut.stop_reason, cut.history[-1].iteration) == ("max_iter", max_iter)
        long = train(*job, dtype="float64", tol=1e-2, snapshots=(max_iter,), plateau=EVERYWHERE).at_max_iter(max_iter)
        assert_same(cut, long)
        assert cut.plateau_tol == long.plateau_tol == 1e-4


def test_it_is_resumed_on_either_side(training_job, tmp_path):
    job = training_job("float64")
    n = train(*job, dtype="float64", tol=1e-2).history[-1].iteration
    whole = train(*job, dtype="float64", tol=1e-2, plateau=EVERYWHERE)
    for stop in (n - 2, n + 2):
        folder = tmp_path / str(stop)
        ends = FunctionCallback(lambda progress, stop=stop: progress.iteration >= stop)
        ends.every_iteration = True
        options = {"dtype": "float64", "tol": 1e-2, "plateau": EVERYWHERE}
        train(*job, **options, callbacks=[ends], checkpointer=Checkpointer(folder, every=0.0))
        resumed = train(*job, **options, checkpointer=Checkpointer(folder, every=0.0, resume=True))
        assert_same(resumed, whole)
        assert resumed.plateau_tol == 1e-4
        assert resumed.history[-1].resumed == 1


@pytest.mark.slow
@pytest.mark.parametrize("together", [many.train_lanes, many.train_side_by_side])
@pytest.mark.parametrize("solver", ["kronecker-lbfgs", pytest.param("lbfgs", marks=pytest.mark.exhaustive)])
def test_many_at_once_go_on_each_for_itself(training_job, together, solver):
    """One training converges on the plateau, the others do not."""
    settings = ({"seed": 0}, {"seed": 1, "alpha": 1e-1, "beta": 5.0}, {"seed": 2})
    _, samples, _ = training_job("float64")
    objectives, thetas = zip(*(training_job("float64", **setting)[::2] for setting in settings), strict=True)
    options = {"dtype": "float64", "tol": 1e-2, "solver": solver}
    errors = [
        train(objective, samples, theta, **options).history[-1].terms["squared_error"]
        for objective, theta in zip(objectives, thetas, strict=True)
    ]
    plateau = Plateau("squared_error", float(np.mean(sorted(errors)[1:])))  # between the two largest
    alone = [
        train(objective, samples, theta, **options, plateau=plateau)
        for objective, theta in zip(objectives, thetas, strict=True)
    ]
    goes_on = [1e-4 if error == max(errors) else None for error in errors]
    assert [training.plateau_tol for training in alone] == goes_on
    for one, other in zip(together(objectives, samples, thetas, **options, plateau=plateau), alone, strict=True):
        assert_same(one, other, rtol=1e-6)
        assert one.plateau_tol == other.plateau_tol
