"""Weights of the classes: those of scikit-learn, for labels that are right."""

import warnings

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from sparsam import Checkpoint, NoisyLabelClassifier, SparseAutoencoder, load, save

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(80, 3))
Y = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + 0.2 * RNG.normal(size=80), [0.2, 0.6])]
WEIGHTS = RNG.integers(1, 4, size=80)
GIVEN = {"a": 3, "b": 1, "c": 2}


def classifier(**options):
    fixed = {"hidden_layer_sizes": (4,), "epsilon": 0.0, "dtype": "float64", "max_iter": 30, "random_state": 0}
    return NoisyLabelClassifier(**fixed | options)


def assert_same_fit(one, other):
    for a, b in zip((*one.coefs_, *one.intercepts_), (*other.coefs_, *other.intercepts_), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.validation_scores_ == other.validation_scores_
    assert one.alpha_ == other.alpha_


def factors(weights):
    return np.array([weights.get(label, 1.0) for label in Y], float)


HELD_OUT = [{}, {"early_stopping": True}, {"alpha": (1e-3, 1e-1), "early_stopping": True}]


@pytest.mark.parametrize("options", HELD_OUT, ids=["minimum", "early stopping", "folds"])
@pytest.mark.parametrize("weights", [GIVEN, {"a": 0.3}, {"c": 0}], ids=str)
def test_they_are_factors_of_the_sample_weights(weights, options):
    model = classifier(class_weight=weights, **options).fit(X, Y, sample_weight=WEIGHTS)
    assert_same_fit(model, classifier(**options).fit(X, Y, sample_weight=WEIGHTS * factors(weights)))
    assert model.classes_.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("options", HELD_OUT, ids=["minimum", "early stopping", "folds"])
def test_integers_are_repetitions(options):
    model = classifier(class_weight=GIVEN, **options).fit(X, Y)
    counts = factors(GIVEN).astype(int)
    assert_same_fit(model, classifier(**options).fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts)))


def test_balanced_classes_have_the_weights_of_scikit_learn():
    model = classifier(class_weight="balanced").fit(X, Y)
    other = classifier().fit(X, Y, sample_weight=compute_sample_weight("balanced", Y))
    np.testing.assert_allclose(model.coefs_[0], other.coefs_[0], rtol=1e-9)
    assert np.abs(model.coefs_[0] - classifier().fit(X, Y).coefs_[0]).max() > 1e-3
    assert np.bincount(np.searchsorted(model.classes_, Y)).min() < 20  # of 80: the classes differ in size
    # Sample weights are counts, also of the classes' sizes; classes that do not occur have none.
    weighted = classifier(class_weight="balanced", classes=["a", "b", "c", "d"]).fit(X, Y, sample_weight=WEIGHTS)
    repeated = classifier(class_weight="balanced", classes=["a", "b", "c", "d"])
    assert_same_fit(weighted, repeated.fit(np.repeat(X, WEIGHTS, axis=0), np.repeat(Y, WEIGHTS)))


@pytest.mark.parametrize("weights", [GIVEN, "balanced"], ids=str)
def test_streams_have_them_too(weights):
    class Chunks:
        def __iter__(self):
            return iter(zip(np.array_split(X, 4), np.array_split(Y, 4), np.array_split(WEIGHTS, 4), strict=True))

    options = {"class_weight": weights, "hidden_layer_sizes": (), "tol": 1e-9, "max_iter": 300}
    held = classifier(**options).fit(X, Y, sample_weight=WEIGHTS)
    assert classifier(**options).fit(Chunks()).loss_ == pytest.approx(held.loss_, rel=1e-9)


def test_the_pretraining_does_not_know_the_classes():
    autoencoder = SparseAutoencoder(2, beta=0.0, max_iter=10, random_state=0)
    plain = autoencoder.set_params(dtype="float64").fit(X)
    model = classifier(class_weight=GIVEN, pretraining=autoencoder).fit(X, Y)
    np.testing.assert_array_equal(model.pretraining_.coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize("epsilon", ["estimate", "estimate_matrix"])
def test_in_place_of_an_estimate_labels_are_taken_as_right(epsilon):
    with pytest.warns(
        UserWarning, match=r"takes the labels as right, epsilon = 0, .* To silence this .* set epsilon=0"
    ):
        model = classifier(class_weight=GIVEN, epsilon=epsilon, early_stopping=False).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "Not converged")
        right = classifier(class_weight=GIVEN).fit(X, Y)
        assert_same_fit(right, classifier(class_weight=GIVEN, epsilon=np.eye(3)).fit(X, Y))
    assert_same_fit(model, right)
    assert model.epsilon_ == 0
    assert model.likelihood_profile_ is None
    assert len(model.find_label_errors(X, Y, cv=3)) == 0


@pytest.mark.filterwarnings("ignore:class_weight takes the labels as right")
def test_in_place_of_an_estimate_folds_end_the_training():
    model = classifier(class_weight="balanced", epsilon="estimate").fit(X, Y)
    assert model.stop_reason_ == "held_out"
    scores = dict(zip(model.validation_iterations_, model.validation_scores_, strict=True))
    assert model.n_iter_ == max(scores, key=scores.get)
    assert model.epsilon_ == 0
    assert classifier(class_weight="balanced").fit(X, Y).stop_reason_ != "held_out"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epsilon": 0.1}, ValueError, r"class_weight needs labels that are right, .*no longer p = yT\. Set epsilon=0"),
        ({"epsilon": np.roll(np.eye(3), 1, axis=1)}, ValueError, "class_weight needs labels that are right"),
        ({"class_weight": {"a": 1, "d": 2}}, ValueError, r"the label 'd', but the classes are \['a', 'b', 'c'\]"),
        ({"class_weight": {"a": -1}}, ValueError, r"class_weight\['a'\] must be in \[0, 1e\+30\], got -1"),
        ({"class_weight": {"a": "much"}}, TypeError, r"class_weight\['a'\] must be a number, got 'much'"),
        ({"class_weight": "even"}, ValueError, "class_weight must be one of 'balanced', got 'even'"),
        ({"class_weight": [1, 2, 3]}, TypeError, "class_weight must be None, 'balanced', or a dict"),
        ({"class_weight": {"a": 0, "b": 0, "c": 0}}, ValueError, "the weight of every row with a label is zero"),
    ],
)
def test_what_cannot_be_used_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        classifier(**{"class_weight": "balanced"} | options).fit(X, Y)


@pytest.mark.parametrize("labels", [Y, np.searchsorted(["a", "b", "c"], Y), Y == "a"], ids=["text", "numbers", "flags"])
def test_a_file_keeps_them(labels, tmp_path):
    weights = dict(zip(np.unique(labels).tolist(), (2, 0.5, 1), strict=False))
    model = classifier(class_weight=weights).fit(X, labels)
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").class_weight == weights


def test_a_checkpoint_is_of_its_weights(tmp_path):
    classifier(class_weight=GIVEN, checkpoint=tmp_path).fit(X, Y)
    with pytest.raises(ValueError, match="class_weight"):
        classifier(class_weight={"a": 5}, checkpoint=Checkpoint(tmp_path, resume=True)).fit(X, Y)
