"""Agreement of dictionaries: 1 for the same units in any order and of any length, and by search for small ones."""

import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from sparsam import SparseAutoencoder
from sparsam.inspection import dictionary_agreement

rng = np.random.default_rng(0)


def test_order_and_lengths_of_the_rows_have_no_influence():
    W, V = rng.normal(size=(2, 20, 8))
    scrambled = rng.uniform(0.1, 9.0, size=(20, 1)) * W[rng.permutation(20)]
    assert dictionary_agreement(W, scrambled) == pytest.approx(1.0)
    assert dictionary_agreement(scrambled, V) == pytest.approx(dictionary_agreement(W, V))
    assert dictionary_agreement(V, W) == pytest.approx(dictionary_agreement(W, V))
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    assert dictionary_agreement(W @ rotation, V @ rotation) == pytest.approx(dictionary_agreement(W, V))


@pytest.mark.parametrize(("m", "k"), [(4, 4), (3, 5), (5, 3)])
def test_the_matching_is_the_best_of_all(m, k):
    W, V = rng.normal(size=(m, 3)), rng.normal(size=(k, 3))
    cosines = (W / np.linalg.norm(W, axis=1, keepdims=True)) @ (V / np.linalg.norm(V, axis=1, keepdims=True)).T
    cosines = cosines if m <= k else cosines.T
    n = len(cosines)
    best = max(cosines[range(n), list(order)].mean() for order in itertools.permutations(range(max(m, k)), n))
    assert dictionary_agreement(W, V) == pytest.approx(best)


def test_signs_count_and_rows_of_zeros_agree_with_nothing():
    assert dictionary_agreement(np.eye(2), -np.eye(2)) == 0.0  # each with the other one, at a right angle
    assert dictionary_agreement([[1.0, 0.0]], [[-2.0, 0.0]]) == -1.0
    assert dictionary_agreement([[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]) == 0.5


def test_several_models_have_the_mean_over_their_pairs():
    decoders = rng.normal(size=(3, 6, 4))
    pairs = [dictionary_agreement(one, other) for one, other in itertools.combinations(decoders, 2)]
    assert dictionary_agreement(*decoders) == pytest.approx(np.mean(pairs))


def test_two_seeds_find_planted_directions():
    directions = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    X = (rng.random((800, 12)) < 0.1) * rng.uniform(1, 2, (800, 12)) @ directions
    models = [
        SparseAutoencoder(
            12, sparsity="l1", beta=0.1, hidden_activation="relu", output_activation="identity", random_state=seed
        ).fit(X)
        for seed in (0, 1)
    ]
    assert dictionary_agreement(models[0], directions) > 0.85
    assert dictionary_agreement(*models) > 0.85
    assert dictionary_agreement(models[0], rng.normal(size=(12, 12))) < 0.7


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ValueError, match="two models or more, got 1"):
        dictionary_agreement(np.eye(2))
    with pytest.raises(ValueError, match="different numbers of features: 2, 3"):
        dictionary_agreement(np.eye(2), np.eye(3))
    with pytest.raises(NotFittedError):
        dictionary_agreement(SparseAutoencoder(), np.eye(2))
    with pytest.raises(TypeError, match="got PCA"):
        dictionary_agreement(PCA(2).fit(rng.normal(size=(9, 2))), np.eye(2))
    with pytest.raises(ValueError, match="finite numbers"):
        dictionary_agreement([[np.nan, 1.0]], np.eye(2))
