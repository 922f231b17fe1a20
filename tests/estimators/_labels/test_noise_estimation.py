"""The parts of an estimate of label noise: the profile and its interval, the certain samples, the most likely noise."""

import numpy as np
import pytest

from sparsam import NoisyLabelClassifier
from sparsam.estimators._labels.held_out_labels import HeldOutLabels
from sparsam.estimators._labels.likelihood_profile import HALF_CHI_SQUARED, LikelihoodProfile, profile_of
from sparsam.estimators._labels.noise_estimation import _pooled
from sparsam.estimators._labels.noise_model import most_likely_epsilon, symmetric
from sparsam.estimators._labels.noise_structures import STRUCTURES


def judged(n=400, n_classes=3, epsilon=0.2, seed=0):
    """Labels with known probabilities of the true labels."""
    rng = np.random.default_rng(seed)
    y = rng.dirichlet(np.full(n_classes, 0.1), size=n)
    true = (y.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)
    T = symmetric(epsilon, n_classes)
    given = (T[true].cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)
    return HeldOutLabels(y, given, rng.integers(1, 4, size=n).astype(float))


def mean_log_likelihood(seen, epsilon):
    return seen.log_likelihood(symmetric(epsilon, seen.probabilities.shape[1]))


def test_the_most_likely_epsilon_has_the_greatest_likelihood():
    for seed in range(5):
        seen = judged(seed=seed)
        found = most_likely_epsilon(*seen[:3])
        tried = [mean_log_likelihood(seen, epsilon) for epsilon in np.linspace(0, 0.6, 121)]
        assert mean_log_likelihood(seen, found) >= max(tried)
    right = HeldOutLabels(np.eye(3)[[0, 1, 2]], np.array([0, 1, 2]), np.ones(3))
    assert most_likely_epsilon(*right[:3]) == 0


@pytest.mark.parametrize("structure", ["estimate", "estimate_matrix"])
def test_the_profile_is_the_greatest_at_the_estimate_and_its_interval_is_the_likelihood_ratios(structure):
    seen = judged(n=2000)
    T = STRUCTURES[structure].most_likely(seen, symmetric(0.3, 3))
    profile = profile_of(T, *seen[:3], gain=100.0)
    best = np.mean(1 - T.diagonal())
    assert profile.best == pytest.approx(best, abs=0 if structure == "estimate" else 0.01)  # a matrix is smoothed
    assert profile.n_held_out == seen.weights.sum()
    unit = (T - np.eye(3)) / best

    def loss(epsilon):
        return profile.n_held_out * (profile.held_out.max() - seen.log_likelihood(np.eye(3) + epsilon * unit))

    for end in profile.interval:
        assert loss(end) == pytest.approx(HALF_CHI_SQUARED, abs=0.05)


def test_with_certain_predictions_the_profile_is_binomial():
    y = np.eye(2)[np.repeat([0, 1], 500)]
    labels = y.argmax(axis=1)
    labels[:50], labels[500:550] = 1, 0
    profile = profile_of(symmetric(0.1, 2), y, labels, np.ones(1000), gain=50.0)
    expected = 0.9 * np.log1p(-profile.epsilon[1:]) + 0.1 * np.log(profile.epsilon[1:])
    np.testing.assert_allclose(profile.held_out[1:], expected, rtol=1e-12)
    low, high = profile.interval
    assert (low, high) == pytest.approx((0.0825, 0.1197), abs=5e-4)  # 1.96 standard errors are 0.0186
    assert profile.warning is None


def test_without_a_gain_the_interval_begins_at_0_and_a_wide_interval_has_a_warning():
    epsilon = np.linspace(0, 0.4, 401)
    curve = -50 * (epsilon - 0.1) ** 2
    sure = LikelihoodProfile(epsilon, curve, 1000, gain=HALF_CHI_SQUARED + 0.01)
    assert sure.shows_noise
    assert sure.interval[0] > 0.09
    assert sure.warning is None
    unsure = LikelihoodProfile(epsilon, curve, 1000, gain=HALF_CHI_SQUARED - 0.01)
    assert unsure.interval == (0.0, sure.interval[1])
    assert "trained without noise explain held-out labels equally well" in unsure.warning
    few = LikelihoodProfile(epsilon, curve, 10, gain=10.0)
    assert "based on only 10 labels, those with the most certain predictions" in few.warning
    unsettled = LikelihoodProfile(epsilon, curve, 1000, gain=100.0, settled=False)
    assert "has not converged" in unsettled.warning
    none_wrong = LikelihoodProfile(epsilon, -epsilon, 1000, gain=-1.0)
    assert none_wrong.best == 0
    assert none_wrong.warning is None


def test_a_profile_of_version_0_1_0_has_its_best_epsilon_and_its_interval():
    tried = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    held_out = -2.0 - (tried - 0.17) ** 2
    profile = LikelihoodProfile.of_parabola(tried, held_out, np.array([0, 1, 1, 1, 0]), 200)
    half = np.sqrt(HALF_CHI_SQUARED / 200)
    assert profile.best == pytest.approx(0.17, abs=1e-12)
    assert profile.interval == pytest.approx((0.17 - half, 0.17 + half), abs=1e-9)
    flat = LikelihoodProfile.of_parabola(tried, np.full(5, -1.0), np.ones(5), 200)
    assert flat.interval == (0.0, 0.4)


def test_the_most_certain_samples_are_the_same_for_weights_and_for_copies():
    seen = judged()
    copies = HeldOutLabels(*(np.repeat(part, seen.weights.astype(int), axis=0) for part in seen[:2]), np.ones(0))
    copies = copies._replace(weights=np.ones(len(copies.labels)))
    assert copies.most_certain().weights.sum() == seen.most_certain().weights.sum()
    np.testing.assert_allclose(copies.anchors(), seen.anchors())
    np.testing.assert_allclose(most_likely_epsilon(*copies[:3]), most_likely_epsilon(*seen[:3]), atol=1e-5)


def test_samples_with_the_same_inputs_are_selected_together():
    """Rows that differ only in their labels: selecting only the rows with one label would be biased."""
    y = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.2, 0.8]])
    seen = HeldOutLabels(y, np.array([0, 1, 0, 1]), np.array([80.0, 20.0, 20.0, 80.0]))
    certain = seen.most_certain()
    assert certain.labels.tolist() == [0, 1, 0, 1]
    assert seen.anchors().tolist() == [[80.0, 20.0], [20.0, 80.0]]


def test_scores_of_folds_are_pooled_by_weight_and_ended_folds_keep_their_last_score():
    pooled = _pooled([[(0, -2.0), (1, -1.0)], [(0, -4.0), (1, -2.0), (2, -1.0)]], [1.0, 3.0])
    assert pooled == [(0, -3.5), (1, -1.75), (2, -1.0)]


def test_a_matrix_is_estimated_from_the_most_certain_samples():
    rng = np.random.default_rng(0)
    T = 0.6 * np.eye(3) + 0.4 * np.roll(np.eye(3), 1, axis=1)
    true = rng.integers(3, size=3000)
    given = (T[true].cumsum(axis=1) < rng.random((3000, 1))).sum(axis=1)
    seen = HeldOutLabels(0.98 * np.eye(3)[true] + 0.02 / 3, given, np.ones(3000))
    structure = STRUCTURES["estimate_matrix"]
    assert np.abs(structure.from_anchors(seen.anchors()) - T).max() < 0.08
    assert np.abs(structure.most_likely(seen, symmetric(0.2, 3)) - T).max() < 0.06


def test_an_estimate_at_its_upper_limit_is_warned_of():
    """An interval that ends at the largest epsilon is narrow only because it is cut off there."""
    epsilon = np.linspace(0, 0.45, 200)
    rising = LikelihoodProfile(epsilon, 0.5 * epsilon, 1000, gain=50.0)
    assert np.diff(rising.interval) < 0.05
    assert "can hardly be predicted from X" in rising.warning
    assert "find_label_errors" in rising.warning


def test_labels_that_have_nothing_to_do_with_the_inputs_are_warned_of():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(1000, 2)), rng.integers(0, 2, 1000)
    with pytest.warns(UserWarning, match="can hardly be predicted from X"):
        NoisyLabelClassifier((), random_state=0).fit(X, labels)


def profile_with(high, n=400):
    """Make a profile of labels that are all right, whose interval ends at ``high``."""
    epsilon = np.linspace(0, 0.5, 501)
    return LikelihoodProfile(epsilon, -HALF_CHI_SQUARED / n * epsilon / high, n, gain=0.0)


@pytest.mark.parametrize(("high", "warns"), [(0.02, False), (0.045, False), (0.06, True), (0.2, True)])
def test_a_share_that_is_small_for_certain_has_no_warning(high, warns):
    profile = profile_with(high)
    assert profile.interval == pytest.approx((0.0, high), abs=1e-3)
    assert (profile.warning is not None) == warns
