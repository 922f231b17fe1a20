"""The history of a fit, of every estimator and every way to fit it."""

import numpy as np
import pytest

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]

TERMS = {
    SparseAutoencoder: ["squared_error", "weight_decay", "sparsity"],
    MultivariateNormalRegressor: ["gaussian_error", "weight_decay", "tangent_propagation"],
    NoisyLabelClassifier: ["noisy_cross_entropy", "weight_decay", "tangent_propagation"],
}


def along_the_first(X):
    """Tangents along the first feature."""
    tangents = np.zeros((len(X), 1, X.shape[1]), dtype=X.dtype)
    tangents[..., 0] = 1
    return tangents


def fitted(kind, X, as_stream=False, **options):
    if kind is SparseAutoencoder:
        model = SparseAutoencoder(3, rho=0.2, beta=0.1, alpha=1e-3, random_state=0, **options)
        return model.fit(Chunks(X) if as_stream else X)
    options = {"hidden_layer_sizes": (3,), "alpha": 1e-2, "tangents": along_the_first, "random_state": 0} | options
    if kind is MultivariateNormalRegressor:
        options = {"early_stopping": False, "cv": None} | options
        return kind(dtype="float32", **options).fit(X, X[:, :2] + np.random.default_rng(0).normal(size=(len(X), 2)))
    return kind(**{"epsilon": 0.1, "early_stopping": False} | options).fit(X, X[:, 0] > np.median(X[:, 0]))


class Chunks:
    def __init__(self, X):
        self.X = X

    def __iter__(self):
        yield from np.array_split(self.X, 4)


def interrupted(kind, X, tmp_path):
    broken = fitted(kind, X, callback=lambda progress: progress.iteration > 5, checkpoint=tmp_path)
    assert broken.stop_reason_ == "callback"
    return fitted(kind, X, checkpoint=Checkpoint(tmp_path, resume=True))


WAYS = {
    "plain": lambda kind, X, tmp_path: fitted(kind, X),
    "polished": lambda kind, X, tmp_path: fitted(kind, X, polish=True),
    "resumed": interrupted,
    "early stopping": lambda kind, X, tmp_path: fitted(kind, X, early_stopping=True),
    "estimated": lambda kind, X, tmp_path: fitted(kind, X, epsilon="estimate", early_stopping=True, max_iter=30),
    "streamed": lambda kind, X, tmp_path: fitted(kind, X, as_stream=True),
}
CASES = [
    *((kind, way) for kind in TERMS for way in ("plain", "polished", "resumed")),
    (SparseAutoencoder, "streamed"),
    (MultivariateNormalRegressor, "early stopping"),
    (NoisyLabelClassifier, "early stopping"),
    (NoisyLabelClassifier, "estimated"),
]


def check_validation_scores(model, held_out):
    """Validation scores are floats, one for each scored iteration; without early stopping there are none."""
    iterations, scores = model.validation_iterations_, model.validation_scores_
    assert len(iterations) == len(scores)
    assert bool(scores) == held_out
    assert {type(score) for score in scores} <= {float}
    assert {type(iteration) for iteration in iterations} <= {int}
    assert iterations == sorted(set(iterations))
    if held_out:
        assert model.n_iter_ == iterations[np.argmax(scores)]


@pytest.mark.parametrize(("kind", "way"), CASES, ids=lambda part: getattr(part, "__name__", part))
def test_history_has_every_term_of_every_iteration(kind, way, X, tmp_path):
    model = WAYS[way](kind, X, tmp_path)
    history = model.history_
    resumed = ["resumed"] if way == "resumed" else []
    columns = ["iteration", "evaluations", "seconds", "J", *TERMS[kind], "gradient_norm", *resumed]
    assert history.columns.tolist() == columns
    assert history["iteration"].tolist() == list(range(model.n_iter_ + 1))
    assert history["evaluations"].is_monotonic_increasing
    assert history["seconds"].is_monotonic_increasing
    assert np.isfinite(history.to_numpy()).all()
    np.testing.assert_allclose(history[TERMS[kind]].sum(axis=1), history["J"], rtol=1e-6, atol=1e-6)
    assert (history[TERMS[kind][1:]].iloc[-1] > 0).all()  # penalties, including tangent propagation
    last = history.iloc[-1]
    assert (last["J"], last["gradient_norm"]) == (model.loss_, model.gradient_norm_)
    assert last["evaluations"] == model.n_evaluations_
    assert model.loss_curve_ == history["J"].tolist()
    check_validation_scores(model, held_out=way in ("early stopping", "estimated"))
    if way == "resumed":
        assert set(history["resumed"]) == {0, 1}
    if way == "polished":
        assert model.gradient_norm_ <= 1e-8
