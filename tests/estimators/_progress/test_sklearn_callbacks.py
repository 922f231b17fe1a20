"""scikit-learn's callbacks on the three estimators: tree of tasks, arguments of hooks, stopping, and pickles."""

import copy
import importlib.util
import io
import pickle
from contextlib import redirect_stdout
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, TangentPipeline
from sparsam.estimators._progress import sklearn_callbacks as callbacks

protocol = pytest.mark.skipif(not callbacks.SUPPORTED, reason="scikit-learn before 1.9 has no callbacks")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ONE_TRAINING = {"early_stopping": False, "cv": None}
ESTIMATORS = {
    "autoencoder": lambda **options: SparseAutoencoder(
        **({"n_components": 3, "rho": 0.2, "beta": 0.1, "alpha": 1e-3, "random_state": 0} | options)
    ),
    "regressor": lambda **options: MultivariateNormalRegressor(
        **(
            {"hidden_layer_sizes": (3,), "alpha": 1e-2, "early_stopping": False, "cv": None, "random_state": 0}
            | options
        )
    ),
    "classifier": lambda **options: NoisyLabelClassifier(
        **(
            {"hidden_layer_sizes": (3,), "epsilon": 0.1, "alpha": 1e-2, "early_stopping": False, "random_state": 0}
            | options
        )
    ),
}


OUTPUTS = {
    "autoencoder": ("predict", "transform"),
    "regressor": ("predict",),
    "classifier": ("predict_proba", "predict_noisy_proba"),
}


class Recorder:
    """Record the calls of hooks; a function called at the end of a task may stop the fit or raise."""

    def __init__(self, at_end=lambda context, fitted: None):
        self.events, self.at_end = [], at_end

    def setup(self, estimator, context):
        self.events.append(("setup", context, {}))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context, {}))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context, {}))

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", context, {}))
        return self.at_end(context, None)

    def tasks(self, hook, name=None):
        return [context for event, context, _ in self.events if event == hook and name in (None, context.task_name)]


class Looker(Recorder):
    """Callback that uses all arguments, and so sees every iteration."""

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        given = {"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator}
        self.events.append(("end", context, given))
        return self.at_end(context, fitted_estimator)


class Propagated(Recorder):
    max_propagation_depth = None


@pytest.fixture(
    params=[pytest.param(name, marks=[] if name == "autoencoder" else pytest.mark.slow) for name in ESTIMATORS]
)
def kind(request):
    return request.param


@pytest.fixture
def make(kind):
    return ESTIMATORS[kind]


@pytest.fixture
def y(kind, X):
    return {"autoencoder": None, "regressor": X[:, :2] ** 2, "classifier": X[:, 0] > np.median(X[:, 0])}[kind]


# The tree


@protocol
def test_a_fit_is_a_task_and_each_iteration_a_leaf(make, X, y):
    recorder = Recorder()
    model = make().set_callbacks(recorder).fit(X, y)
    (root,) = recorder.tasks("begin", "fit")
    assert root.max_subtasks == model.max_iter
    assert root.estimator_name == type(model).__name__
    leaves = recorder.tasks("end", "iteration")
    assert [leaf.task_id for leaf in leaves] == list(range(model.n_iter_))
    assert all(leaf.parent is root and leaf.max_subtasks == 0 for leaf in leaves)
    assert [event for event, _, _ in recorder.events[:2]] == ["setup", "begin"]
    assert [(event, context) for event, context, _ in recorder.events[-2:]] == [("end", root), ("teardown", root)]
    assert not [name for name in vars(model) if "callback" in name and name not in ("callback", "_skl_callbacks")]


@protocol
@pytest.mark.slow
@pytest.mark.parametrize("options", [{"polish": True}, {"early_stopping": True}, {"max_iter": 5}])
@pytest.mark.parametrize("kind", ["regressor"], indirect=True)
def test_the_leaves_are_the_iterations_however_it_ends(make, X, y, options):
    recorder = Recorder()
    model = make(**options).set_callbacks(recorder).fit(X, y)
    n_leaves = len(recorder.tasks("end", "iteration"))
    if "early_stopping" in options:  # the last iterations did not improve the score
        assert n_leaves == model.validation_iterations_[-1] >= model.n_iter_
    else:
        assert n_leaves == model.n_iter_
    assert len(recorder.tasks("end", "fit")) == 1


@protocol
@pytest.mark.slow
def test_a_resumed_fit_reports_earlier_iterations_too(build, X, tmp_path):
    build(checkpoint=tmp_path, callback=lambda progress: progress.iteration > 20).fit(X)
    recorder = Recorder()
    model = build(checkpoint=Checkpoint(tmp_path, resume=True)).set_callbacks(recorder).fit(X)
    assert len(recorder.tasks("end", "iteration")) == model.n_iter_ > 21


@protocol
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "what", "first"),
    [
        ({"epsilon": "estimate"}, "estimate epsilon", "without noise, fold 1"),
        ({"alpha": (1e-2, 1e-1)}, "estimate alpha", "alpha 0.01, fold 1"),
        ({"epsilon": "estimate_matrix"}, "estimate transition matrix", "without noise, fold 1"),
    ],
)
@pytest.mark.parametrize("kind", ["classifier"], indirect=True)
def test_trainings_for_an_estimate_are_separate_tasks(make, X, y, options, what, first):
    recorder = Recorder()
    model = make(max_iter=20, **options).set_callbacks(recorder).fit(X, y)
    (root,) = recorder.tasks("end", "fit")
    estimate, last = root._children_map.values()
    assert (estimate.task_name, last.task_name) == (what, "training")
    trainings = list(estimate._children_map.values())
    assert trainings[0].task_name == first
    assert 2 <= len(trainings) <= estimate.max_subtasks
    assert len(last._children_map) == model.n_iter_
    begun, ended = (recorder.tasks(hook) for hook in ("begin", "end"))
    assert len(begun) == len(ended) == len(set(map(id, ended))) == sum(1 for _ in root)


# Arguments of hooks


@protocol
def test_hooks_get_the_data_and_the_estimator_fitted_so_far(make, X, y, kind):
    """At iteration k the fitted estimator has the same bits as a fit with max_iter=k."""
    weights = np.linspace(0.5, 1.5, len(X))
    looker = Looker()
    model = make(max_iter=8).set_callbacks(looker).fit(X, y, sample_weight=weights)
    ends = [given for event, context, given in looker.events if event == "end"]
    for given in ends:
        assert given["X"] is X
        assert given["y"] is y
        assert given["metadata"] == {"sample_weight": weights}
    assert len(ends) == 9
    for k in (3, 8):
        fitted, short = ends[k - 1]["fitted"], make(max_iter=k).fit(X, y, sample_weight=weights)
        for output in OUTPUTS[kind]:
            np.testing.assert_array_equal(getattr(fitted, output)(X), getattr(short, output)(X))
        assert (fitted.n_iter_, fitted.loss_) == (k, short.loss_)
        if kind == "regressor":
            np.testing.assert_array_equal(fitted.covariance_, short.covariance_)
    np.testing.assert_array_equal(ends[-1]["fitted"].predict(X), model.predict(X))


@protocol
def test_callbacks_change_no_bit(build, X, model, same_bits):
    for callback in (Recorder(), Looker()):
        watched = build().set_callbacks(callback).fit(X)
        watched.set_callbacks()
        assert same_bits(watched, model)


@protocol
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "scoring"), [("regressor", "r2"), ("classifier", "accuracy")], indirect=["kind"])
def test_a_scoring_monitor_logs_every_iteration(make, X, y, scoring):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring=scoring)
    model = make(max_iter=10).set_callbacks(monitor).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    assert len(log) == 1 + 10
    assert log[scoring].iloc[0] == log[scoring].iloc[-1] == model.score(X, y)
    assert log[scoring].nunique() > 2


# Stopping and failing


@protocol
def test_a_callback_stops_a_training_at_an_iteration(make, X, y):
    looker = Looker(lambda context, fitted: context.task_name == "iteration" and context.task_id == 4)
    model = make().set_callbacks(looker).fit(X, y)
    assert (model.stop_reason_, model.n_iter_) == ("callback", 5)
    assert len(looker.tasks("end", "fit")) == 1
    assert model.predict(X).shape[0] == len(X)


@protocol
def test_a_callback_without_fitted_estimator_stops_a_training_after_a_burst(build, X, model):
    recorder = Recorder(lambda context, fitted: True)
    stopped = build(tol=0.0).set_callbacks(recorder).fit(X)
    assert stopped.stop_reason_ == "callback"
    assert 1 <= stopped.n_iter_ < model.n_iter_


@protocol
@pytest.mark.parametrize("where", ["iteration", "fit"])
def test_an_error_in_a_callback_is_raised_and_callbacks_are_torn_down(build, X, model, where):
    def fail(context, fitted):
        if context.task_name == where:
            raise LookupError("no more paper")

    recorder = Recorder(fail)
    with pytest.raises(LookupError, match="no more paper"):
        build().set_callbacks(recorder).fit(X)
    assert len(recorder.tasks("teardown")) == 1


@protocol
def test_callbacks_are_torn_down_after_invalid_data(build, X):
    recorder = Recorder()
    with pytest.raises(ValueError, match=r"outside \[0, 1\]"):
        build().set_callbacks(recorder).fit(X - 5)
    assert [event for event, _, _ in recorder.events] == ["setup", "begin", "teardown"]


# Progress bars, pipelines, searches


def shown(estimator, X, y):
    from sklearn.callback import ProgressBar

    out = io.StringIO()
    with redirect_stdout(out):
        estimator.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    lines = out.getvalue().splitlines()
    assert lines
    assert all("100%" in line for line in lines if " - " in line)
    return lines


@protocol
def test_a_progress_bar_is_full_at_the_end(make, X, y):
    model = make(max_iter=200)
    (line,) = (line for line in shown(model, X, y) if " - " in line)
    assert line.startswith(f"{type(model).__name__} - fit")


@protocol
@pytest.mark.slow
def test_a_progress_bar_of_a_pipeline_holds_that_of_the_estimator(build, X):
    lines = shown(make_pipeline(MinMaxScaler(), build()), X, None)
    assert any("SparseAutoencoder - fit #1" in line for line in lines)


@protocol
@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_progress_bar_of_a_search_holds_those_of_its_fits(build, X, n_jobs):
    search = GridSearchCV(build(), {"rho": [0.1, 0.3]}, cv=2, n_jobs=n_jobs)
    assert sum("SparseAutoencoder - fit" in line for line in shown(search, X, None)) == 2 * 2 + 1


@protocol
@pytest.mark.slow
def test_a_search_leaves_no_callback_on_its_best_estimator(build, X):
    recorder = Propagated()
    search = GridSearchCV(build(), {"rho": [0.1, 0.3]}, cv=2).set_callbacks(recorder).fit(X)
    assert not hasattr(search.best_estimator_, "_skl_callbacks")
    assert len(recorder.tasks("setup")) == len(recorder.tasks("teardown")) == 1
    roots = [context for context in recorder.tasks("end") if context.source_estimator_name == "GridSearchCV"]
    assert len(roots) == 5
    assert roots[-1].task_id == 1  # the refit
    assert len(roots[-1]._children_map) == search.best_estimator_.n_iter_


@protocol
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The estimator MinMaxScaler does not support callbacks")
def test_a_tangent_pipeline_passes_callbacks_on(X):
    recorder = Propagated()
    pipeline = TangentPipeline(MinMaxScaler(), ESTIMATORS["classifier"]()).set_callbacks(recorder)
    pipeline.fit(X, X[:, 0] > np.median(X[:, 0]))
    (root,) = recorder.tasks("end", "fit")[1:]
    network = root._children_map[1]
    assert (network.source_task_name, network.estimator_name) == ("fit estimator", "NoisyLabelClassifier")
    assert len(network._children_map) == pipeline.estimator_.n_iter_
    assert not hasattr(pipeline.estimator_, "_skl_callbacks")


# Copies


@protocol
def test_clones_copies_and_pickles_keep_the_callbacks(build, X, model, same_bits, tmp_path):
    from sklearn.callback import ProgressBar

    bar = ProgressBar()
    with redirect_stdout(io.StringIO()):
        fitted = build().set_callbacks(bar).fit(X)
    assert clone(fitted)._skl_callbacks == [bar]
    joblib.dump(fitted, tmp_path / "model.joblib")
    copies = pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), joblib.load(tmp_path / "model.joblib")  # noqa: S301
    for again in copies:
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
        out = io.StringIO()
        with redirect_stdout(out):
            again.fit(X)
        assert "SparseAutoencoder - fit" in out.getvalue()
        assert same_bits(again.set_callbacks(), model)


@protocol
def test_saved_models_have_no_callbacks(build, X, tmp_path):
    from sparsam import load, save

    model = build().set_callbacks(Recorder()).fit(X)
    save(model, tmp_path / "model.safetensors")
    assert not hasattr(load(tmp_path / "model.safetensors"), "_skl_callbacks")


# Before scikit-learn 1.9


def test_before_1_9_there_are_no_callbacks(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    spec = importlib.util.spec_from_file_location("before", callbacks.__file__)
    before = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(before)
    assert not before.SUPPORTED
    assert [name for name in vars(before.CallbackSupportMixin) if not name.startswith("__")] == []
    assert before.with_callbacks(shown) is shown
    task = before.SklearnTask.of_fit(object(), 3, {})
    part = task.part("training", 2)
    assert part.on_iterate(SimpleNamespace(iteration=2), None, "") == ""
    part.end()
    task.end({})
