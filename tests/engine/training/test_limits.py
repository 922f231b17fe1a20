"""Extending a training: resumed with other limits, it equals one that had them from the start."""

import numpy as np
import pytest

from sparsam.engine.data.batch import Batch
from sparsam.engine.training.callbacks import FitCallback, FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.limits import replay
from sparsam.engine.training.plateau import Plateau
from sparsam.engine.training.state import Progress
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.engine.training.train import train

EVERYWHERE = Plateau("squared_error", 0.0)

LIMITS = {
    "more iterations": ({"max_iter": 5}, {"max_iter": 60}),
    "a smaller tol": ({"tol": 3e-2}, {"tol": 1e-4}),
    "both": ({"tol": 3e-2, "max_iter": 60}, {"tol": 1e-4, "max_iter": 90}),
    "on a plateau": ({"tol": 3e-2, "plateau": EVERYWHERE, "max_iter": 9}, {"tol": 1e-2, "plateau": EVERYWHERE}),
    "beyond it": ({"tol": 3e-2, "plateau": EVERYWHERE}, {"tol": 1e-4, "plateau": EVERYWHERE}),
    "no precision left": ({"tol": 0.0, "max_iter": 2000}, {"tol": 0.0, "max_iter": 3000}),
    "the same": ({"max_iter": 5}, {"max_iter": 5}),
}


def assert_same(one, other):
    np.testing.assert_array_equal(one.theta, other.theta)
    assert one.stop_reason == other.stop_reason
    assert one.plateau_tol == other.plateau_tol
    for row, expected in zip(one.history, other.history, strict=True):
        assert (row.iteration, row.evaluations, row.J) == (expected.iteration, expected.evaluations, expected.J)
        assert (row.terms, row.gradient_norm) == (expected.terms, expected.gradient_norm)


@pytest.mark.parametrize("solver", ["kronecker-lbfgs", "lbfgs"])
@pytest.mark.parametrize("name", LIMITS)
def test_extended_it_is_the_long_one(training_job, tmp_path, solver, name):
    job, (first, then) = training_job("float32"), LIMITS[name]
    begun = train(*job, solver=solver, **first, checkpointer=Checkpointer(tmp_path, every=0.0))
    resumed = train(*job, solver=solver, **then, checkpointer=Checkpointer(tmp_path, resume=True))
    assert_same(resumed, train(*job, solver=solver, **then))
    assert len(resumed.history) > len(begun.history) or name in ("the same", "no precision left")


@pytest.mark.parametrize("first", [{"max_iter": 5}, {"tol": 3e-2}])
def test_streams_are_extended_too(training_job, tmp_path, first):
    objective, _, theta = training_job("float64")
    rows = np.random.default_rng(0).uniform(0.1, 0.9, (45, 6))
    stream = StreamedSamples(lambda: iter([Batch(rows[:20]), Batch(rows[20:])]), 25, 8, 45.0, "float64")
    options = {"dtype": "float64", "tol": 1e-4, "max_iter": 15}
    begun = train(objective, stream, theta, **options | first, checkpointer=Checkpointer(tmp_path))
    resumed = train(objective, stream, theta, **options, checkpointer=Checkpointer(tmp_path, resume=True))
    assert len(resumed.history) > len(begun.history)
    assert_same(resumed, train(objective, stream, theta, **options))


def test_what_broke_off_is_extended_too(training_job, tmp_path):
    job = training_job("float32")
    for k, max_iter in enumerate((30, 40, 50, 60)):
        ends = FunctionCallback(lambda progress, k=k: progress.iteration >= 5 * k + 3)
        train(*job, max_iter=max_iter, tol=0.0, callbacks=[ends], checkpointer=Checkpointer(tmp_path, resume=True))
    resumed = train(*job, max_iter=70, tol=0.0, checkpointer=Checkpointer(tmp_path, resume=True))
    assert resumed.history[-1].resumed == 4
    assert_same(resumed, train(*job, max_iter=70, tol=0.0))


@pytest.mark.parametrize(
    ("limits", "end"),
    [({"max_iter": 10}, "max_iter = 10 and .* would end at iteration 10"), ({"tol": 0.1}, "tol = 0.1")],
)
def test_limits_that_it_has_passed_are_refused_and_the_end_is_named(training_job, tmp_path, limits, end):
    job = training_job("float32")
    train(*job, max_iter=40, tol=0.0, checkpointer=Checkpointer(tmp_path))
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    options = {"max_iter": 40, "tol": 0.0} | limits
    with pytest.raises(ValueError, match=f"is at iteration 40, but with .*{end}.*set max_iter above 40 and tol below"):
        train(*job, **options, checkpointer=Checkpointer(tmp_path, resume=True))
    with pytest.warns(UserWarning, match="This fit runs without checkpoints: .*is at iteration 40"):
        one = train(*job, **options, checkpointer=Checkpointer(tmp_path, resume=True, optional=True))
    assert_same(one, train(*job, **options))
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before


class EndsAt(FitCallback):
    """Ends a training at an iteration, which may be different when it is resumed."""

    every_iteration = True

    def __init__(self, iteration):
        self.iteration = iteration

    def on_iterate(self, progress, theta, stop_reason):
        return "held_out" if progress.iteration >= self.iteration else ""

    def has_passed(self, iteration):
        return iteration > self.iteration


@pytest.mark.parametrize("iteration", [9, 5, 3])
def test_who_ended_it_is_asked_again(training_job, tmp_path, iteration):
    """A resumed training goes on if its callback allows it, and begins again if it has gone too far."""
    job = training_job("float32")
    train(*job, tol=0.0, callbacks=[EndsAt(5)], checkpointer=Checkpointer(tmp_path))
    resumed = train(*job, tol=0.0, callbacks=[EndsAt(iteration)], checkpointer=Checkpointer(tmp_path, resume=True))
    assert_same(resumed, train(*job, tol=0.0, callbacks=[EndsAt(iteration)]))
    assert resumed.history[-1].resumed == (1 if iteration > 5 else 0)


@pytest.mark.parametrize("iteration", [9, 5, 3])
def test_what_was_to_go_on_may_end_where_it_broke_off(training_job, tmp_path, iteration):
    job = training_job("float32")

    def breaks(progress):
        if progress.iteration == 6:
            raise InterruptedError

    callbacks = [EndsAt(20), FunctionCallback(breaks)]
    with pytest.raises(InterruptedError):
        train(*job, tol=0.0, callbacks=callbacks, checkpointer=Checkpointer(tmp_path, every=0.0))
    resumed = train(*job, tol=0.0, callbacks=[EndsAt(iteration)], checkpointer=Checkpointer(tmp_path, resume=True))
    assert_same(resumed, train(*job, tol=0.0, callbacks=[EndsAt(iteration)]))
    assert resumed.history[-1].iteration == iteration


def test_a_training_that_depends_on_something_else_begins_anew(training_job, tmp_path):
    job, seen = training_job("float32"), []

    def is_trained(found, **more):
        seen.clear()
        checkpointer = Checkpointer(tmp_path, **more)
        checkpointer.begin_training({"found": found})
        train(*job, max_iter=8, tol=0.0, callbacks=[FunctionCallback(seen.append)], checkpointer=checkpointer)
        return len(seen) > 0

    assert is_trained(0.5)
    assert not is_trained(0.5, resume=True)  # but read
    assert is_trained(0.25, resume=True)
    assert not is_trained(0.25, resume=True)


def progress(k, gradient_norm, error=1.0):
    return Progress(k, k, 0.0, error, {"error": error}, gradient_norm)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"tol": 1e-9}, (None, False)),
        ({"tol": 0.01}, (3, False)),
        ({"tol": 0.1}, (2, False)),
        ({"tol": 0.1, "max_iter": 1}, (1, False)),
        ({"tol": 0.1, "plateau": Plateau("error", 0.5)}, (4, True)),
        ({"tol": 0.1, "plateau": Plateau("error", 0.5), "max_iter": 2}, (2, True)),
        ({"tol": 0.1, "plateau": Plateau("error", 2.0)}, (2, False)),
    ],
)
def test_a_history_says_where_limits_end_it(limits, expected):
    history = [progress(k, norm) for k, norm in enumerate((10.0, 1.0, 0.1, 0.01, 0.001))]
    assert replay(history, **{"max_iter": 9, "plateau": None} | limits, dtype="float64") == expected


def test_gradients_are_compared_in_the_precision_of_the_minimizer():
    tol = 0.1 + 1e-12
    history = [progress(0, float(np.float32(0.1)))]
    assert float(np.float32(0.1)) > tol
    assert replay(history, tol=tol, max_iter=9, plateau=None, dtype="float32").end == 0
    assert replay(history, tol=tol, max_iter=9, plateau=None, dtype="float64").end is None
