"""Random draws of a fit: initial weights and held-out samples come from separate streams."""

import numpy as np
import pytest
from sklearn.base import clone

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier
from sparsam.engine.network.network import Network
from sparsam.estimators._training.supervised import draw_weights_and_seed, split_seed

NETWORK = Network((3, 4, 2), "tanh", "identity")
RANDOM_STATES = {
    "integer": lambda: 7,
    "NumPy's integer": lambda: np.int64(7),
    "generator": lambda: np.random.RandomState(7),
    "global generator": lambda: np.random.seed(7),  # noqa: NPY002
}


@pytest.mark.parametrize("make", RANDOM_STATES.values(), ids=RANDOM_STATES)
def test_the_initial_weights_depend_only_on_the_random_state(make):
    theta, seed = draw_weights_and_seed(make(), NETWORK, None)
    np.testing.assert_array_equal(theta, NETWORK.initialize(np.random.RandomState(7)))
    again, same_seed = draw_weights_and_seed(make(), NETWORK, None)
    np.testing.assert_array_equal(again, theta)
    assert 0 <= seed == same_seed < 2**31


def test_a_generator_continues_from_one_fit_to_the_next():
    generator = np.random.RandomState(7)
    (one, seed), (other, next_seed) = (draw_weights_and_seed(generator, NETWORK, None) for _ in range(2))
    assert not np.array_equal(one, other)
    assert seed != next_seed


def test_weights_and_splits_of_an_integer_are_independent():
    """Neither the first bits of a number nor the others depend on the seed: correlations are of order 1/sqrt(n).

    A seed drawn from the weights' stream would be the fractional part of twice the first number, to the bit.
    """
    n = 2000
    first = np.array([np.random.RandomState(k).uniform() for k in range(n)])
    seeds = np.array([split_seed(k) for k in range(n)]) / 2**31
    for part in (first, *((2.0**bits * first) % 1 for bits in (1, 2, 3, 4))):
        assert abs(np.corrcoef(part, seeds)[0, 1]) < 4 / np.sqrt(n)
    assert len(np.unique(seeds)) == n
    # Uniform: the Kolmogorov-Smirnov distance exceeds 1.95/sqrt(n) with probability 0.001.
    assert np.abs(np.sort(seeds) - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)


FITS = {
    "regressor, folds": (MultivariateNormalRegressor((3,), cv=2), {"cv": None, "early_stopping": False}),
    "classifier, folds": (NoisyLabelClassifier((3,)), {"epsilon": 0.1}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", RANDOM_STATES.values(), ids=RANDOM_STATES)
@pytest.mark.parametrize("kind", FITS)
def test_a_fit_begins_at_the_same_weights_with_and_without_folds(kind, make):
    """Compare the weight decay in their J over all rows; the error term depends on the noise."""
    holding_out, without = FITS[kind]
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = (X[:, 0] > 0) if isinstance(holding_out, NoisyLabelClassifier) else X[:, 0]
    decays = []
    for options in ({}, without):
        model = clone(holding_out).set_params(max_iter=2, alpha=1e-3, random_state=make(), **options).fit(X, y)
        decays.append(model.history_["weight_decay"][0])
    assert decays[0] == decays[1] > 0
