"""Tied weights, cross-entropy, corrupted inputs and early stopping of an autoencoder."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sparsam import Checkpoint, SparseAutoencoder, StackedAutoencoder, load, reference, report, save
from sparsam.engine.data.batch import Batch
from sparsam.engine.objective.input_scale import InputScale
from sparsam.estimators._data.corruption import COPIES, corrupt
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._training.supervised import split_seed

X = load_digits().data[:150, 8:32] / 16  # 24 pixels
TIGHT = {"dtype": "float64", "tol": 1e-8, "max_iter": 3000, "random_state": 0}
PENALTIES = {"rho": 0.2, "beta": 0.1, "alpha": 1e-3}


def autoencoder(**options):
    return SparseAutoencoder(6, **PENALTIES | {"random_state": 0} | options)


def gradient_by_hand(model, inputs, targets, **options):
    """Compute J and its gradient at the fitted weights by the reference."""
    return reference.network_cost(model.coefs_, model.intercepts_, inputs, targets, **PENALTIES | options)


def largest(*gradients):
    return max(np.abs(g).max() for g in gradients)


class Chunks:
    """Rows that are yielded in chunks."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(np.array_split(self.rows, 7))


OPTIONS = {
    "tied": {"tied": True},
    "cross-entropy": {"error": "cross-entropy"},
    "corrupted": {"corruption": 0.3},
    "stopping": {"early_stopping": True},
    "all": {"tied": True, "error": "cross-entropy", "corruption": 0.3, "early_stopping": True},
}


# Each objective at its minimum


@pytest.mark.parametrize("output_activation", ["logistic", "identity"])
def test_tied_weights_are_a_minimum_of_j_and_decay_once(output_activation):
    model = autoencoder(tied=True, output_activation=output_activation, **TIGHT).fit(X)
    W1, W2 = model.coefs_
    np.testing.assert_array_equal(W2, W1.T)
    J, (by_W1, by_W2), intercepts = gradient_by_hand(
        model, X, X, alpha=[1e-3, 0.0], output_activation=output_activation
    )
    assert model.loss_ == pytest.approx(J, rel=1e-10)
    assert model.cost(X) == pytest.approx(J, rel=1e-12)
    assert model.converged_
    assert largest(by_W1 + by_W2.T, *intercepts) < 1e-7
    assert largest(by_W1) > 1e-4  # not a minimum of the untied network


def test_cross_entropy_is_minimized():
    model = autoencoder(error="cross-entropy", **TIGHT).fit(X)
    J, coefs, intercepts = gradient_by_hand(model, X, X, error="cross_entropy")
    assert model.loss_ == pytest.approx(J, rel=1e-12)
    assert largest(*coefs, *intercepts) <= 1e-8 * (1 + 1e-6)
    assert model.terms_.keys() == {"cross_entropy", "weight_decay", "sparsity"}
    errors = 0.5 * np.sum((model.predict(X) - X) ** 2, axis=1)
    assert model.explained_variance_ratio_ == pytest.approx(1 - 2 * errors.mean() / X.var(axis=0).sum(), rel=1e-9)
    assert model.score(X) == pytest.approx(-errors.mean(), rel=1e-12)  # comparable with that of the squared error


@pytest.mark.parametrize("output_activation", ["logistic", "identity"])
def test_corrupted_copies_are_reconstructed_without_gaps(output_activation):
    model = autoencoder(corruption=0.3, output_activation=output_activation, **TIGHT).fit(X)
    origin = X.mean(axis=0) if output_activation == "identity" else np.zeros(24)
    dataset = InMemoryDataset(Batch(X)).merge_repeated()
    scale = InputScale(origin, np.ones(24)) if output_activation == "identity" else None
    copies = corrupt(dataset, 0.3, scale, split_seed(0)).batch
    J, coefs, intercepts = gradient_by_hand(
        model, copies.inputs, copies.targets + origin, sample_weight=copies.weights, output_activation=output_activation
    )
    assert model.loss_ == pytest.approx(J, rel=1e-9)
    assert largest(*coefs, *intercepts) < 1e-7


# The copies


def test_copies_have_gaps_and_their_targets_none():
    rows = np.random.default_rng(0).uniform(1, 2, size=(2000, 5))
    weights = np.arange(2000.0)
    dataset = InMemoryDataset(Batch(rows, sample_weight=weights))
    copies = corrupt(dataset, 0.25, None, 7).batch
    assert copies.inputs.shape == (COPIES * 2000, 5)
    np.testing.assert_array_equal(copies.targets, np.repeat(rows, COPIES, axis=0))
    np.testing.assert_allclose(copies.weights.reshape(2000, COPIES).sum(axis=1), weights)
    masked = copies.inputs == 0
    np.testing.assert_array_equal(copies.inputs[~masked], copies.targets[~masked])
    n = masked.size  # the share is binomial: five standard deviations
    assert abs(masked.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / n)
    again = corrupt(dataset, 0.25, None, 7).batch
    np.testing.assert_array_equal(again.inputs, copies.inputs)
    other = corrupt(dataset, 0.25, None, 8).batch
    assert (other.inputs != copies.inputs).any()
    mean = InputScale(rows.mean(axis=0), np.ones(5))
    centered = corrupt(dataset, 0.25, mean, 7).batch
    np.testing.assert_allclose(centered.inputs[masked], np.broadcast_to(mean.mean, masked.shape)[masked])
    np.testing.assert_allclose(centered.targets + mean.mean, copies.targets)


# Early stopping


def test_early_stopping_keeps_the_weights_with_the_least_error_on_held_out_rows():
    few = X[:60]
    model = SparseAutoencoder(20, beta=0.0, alpha=0.0, early_stopping=True, random_state=0).fit(few)
    assert model.stop_reason_ == "held_out"
    best = int(np.argmax(model.validation_scores_))
    assert model.n_iter_ == model.validation_iterations_[best]
    assert 0 < best < len(model.validation_scores_) - 1
    to_the_minimum = clone(model).set_params(early_stopping=False, max_iter=300)
    with pytest.warns(ConvergenceWarning):
        to_the_minimum.fit(few)
    assert model.score(X[60:]) > to_the_minimum.score(X[60:])


def test_without_early_stopping_there_are_no_scores():
    assert autoencoder().fit(X).validation_scores_ == []


# All of them


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # 20 iterations are too few
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_integer_weights_are_copies_to_the_bit(options):
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    model = autoencoder(max_iter=20, n_iter_no_change=5, **options)
    weighted = clone(model).fit(X, sample_weight=counts)
    repeated = clone(model).fit(np.repeat(X, counts, axis=0))
    for one, other in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_saved_model_is_the_same(options, tmp_path):
    model = autoencoder(**options).fit(X)
    save(model, tmp_path / "model.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    assert loaded.get_params() == model.get_params()
    assert loaded.validation_scores_ == model.validation_scores_
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("output_activation", ["logistic", pytest.param("identity", marks=pytest.mark.exhaustive)])
def test_a_stream_can_be_fitted(options, output_activation):
    if options.get("error") and output_activation == "identity":
        pytest.skip("cross-entropy needs logistic outputs")
    model = autoencoder(**options | {"output_activation": output_activation, "dtype": "float64"})
    held, streamed = clone(model).fit(X), clone(model).fit(Chunks(X))
    drawn = options.keys() & {"corruption", "early_stopping"}  # row by row, in their order
    assert streamed.loss_ == pytest.approx(held.loss_, rel=0.2 if drawn else 1e-5)
    assert streamed.explained_variance_ratio_ == pytest.approx(held.explained_variance_ratio_, abs=0.1)


def test_a_resumed_fit_has_the_same_bits(tmp_path):
    options = OPTIONS["all"] | {"n_iter_no_change": 50}
    whole = autoencoder(**options, max_iter=60).fit(X)
    autoencoder(**options, max_iter=10, checkpoint=tmp_path).fit(X)
    resumed = autoencoder(**options, max_iter=60, checkpoint=Checkpoint(tmp_path, resume=True)).fit(X)
    np.testing.assert_array_equal(resumed.coefs_[0], whole.coefs_[0])
    with pytest.raises(ValueError, match="integer random_state"):
        autoencoder(corruption=0.1, random_state=None, checkpoint=tmp_path / "other").fit(X)


@pytest.mark.parametrize("options", [OPTIONS["tied"], OPTIONS["cross-entropy"]], ids=["tied", "cross-entropy"])
def test_a_stack_takes_the_option_from_its_autoencoders(options):
    layers = [autoencoder(**options), SparseAutoencoder(3, beta=0.0, tied=options.get("tied", False))]
    model = StackedAutoencoder(layers, **TIGHT | {"tol": 1e-6}).fit(X)
    tied = options.get("tied", False)
    alphas = [1e-3, 1e-4, 0.0, 0.0] if tied else [1e-3, 1e-4, 1e-4, 1e-3]
    penalties = {"alpha": alphas, "rho": [0.2, 0.5, 0.5], "beta": [0.1, 0.0, 0.0]}
    error = {} if tied else {"error": "cross_entropy"}
    J, coefs, intercepts = reference.network_cost(model.coefs_, model.intercepts_, X, X, **penalties, **error)
    assert model.loss_ == pytest.approx(J, rel=1e-10)
    if tied:
        np.testing.assert_array_equal(model.coefs_[3], model.coefs_[0].T)
        coefs = [coefs[0] + coefs[3].T, coefs[1] + coefs[2].T]
    assert largest(*coefs, *intercepts) < 2e-6


@pytest.mark.parametrize("options", [OPTIONS["tied"], OPTIONS["cross-entropy"]], ids=["tied", "cross-entropy"])
def test_the_report_checks_the_gradient_of_the_objective(options):
    page = report(autoencoder(**options).fit(X), X)
    assert "gradient" in page


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tied": 1}, TypeError, "tied must be True or False"),
        ({"error": "absolute"}, ValueError, "error must be one of 'squared', 'cross-entropy'"),
        ({"error": "cross-entropy", "output_activation": "identity"}, ValueError, "output_activation='logistic'"),
        ({"corruption": 1.0}, ValueError, r"corruption must be in \[0, 1\)"),
        ({"early_stopping": "auto"}, TypeError, "early_stopping must be True or False"),
        ({"validation_fraction": 0.0}, ValueError, "validation_fraction must be in"),
    ],
)
def test_bad_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        autoencoder(**options).fit(X)


def test_a_stack_that_is_tied_in_part_is_refused():
    with pytest.raises(ValueError, match="some autoencoders are tied and some are not"):
        StackedAutoencoder([autoencoder(tied=True), SparseAutoencoder(3)]).fit(X)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_results_of_a_denoising_fit_are_of_the_rows_as_they_are(early_stopping):
    model = autoencoder(corruption=0.5, early_stopping=early_stopping, dtype="float64").fit(X)
    rows = X if not early_stopping else _training_part(model, X)
    errors = 0.5 * np.sum((model.predict(rows) - rows) ** 2, axis=1)
    assert model.explained_variance_ratio_ == pytest.approx(1 - 2 * errors.mean() / rows.var(axis=0).sum(), abs=1e-9)
    np.testing.assert_allclose(model.mean_activation_, model.transform(rows).mean(axis=0), rtol=1e-9)


def _training_part(model, X):
    """Return the rows that early stopping did not hold out."""
    dataset = InMemoryDataset(Batch(X)).merge_repeated()
    return model._parts(dataset, split_seed(model.random_state))[0].batch.inputs
