"""Estimates of the number of wrong labels, and detection of them: one cell of the benchmark, with few draws."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.validity.cells import by_name
from benchmarks.validity.label_noise import (
    BIAS,
    COVERS,
    FEW_LABELS,
    PLANTED_ERRORS,
    PRECISION,
    RECALL,
    RIGHT_LABELS,
    estimate,
    true_labels,
)


def test_names_of_cells_fix_seeds_so_they_differ():
    names = [cell.name for subject in (PLANTED_ERRORS, RIGHT_LABELS, FEW_LABELS) for cell in subject.cells]
    assert len(set(names)) == len(names)


def test_the_pooled_claim_is_about_400_draws():
    assert sum(cell.n_draws for cell in PLANTED_ERRORS.cells) >= 400


@pytest.mark.parametrize("truth", ["linear", "curved", "overlapping"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_class_has_a_tenth_of_the_samples_at_least(truth, n_classes):
    rng = np.random.default_rng(0)
    labels = true_labels(rng, truth, n_classes, rng.normal(size=(5000, 2)))
    assert np.bincount(labels, minlength=n_classes).min() > 500


@pytest.mark.slow
def test_planted_label_errors_are_counted_and_found(reduction):
    """Ten draws (three unless exhaustive) of 1,500 labels of two curved classes, 30 % of them wrong.

    An estimate has a standard deviation of 0.03 and a mean within 0.02 of the rate: the distance of the mean of n from
    0.3 is below 0.02 + 3.1 * 0.03 / sqrt(n) with a probability above 0.998. If intervals cover with probability 0.9,
    fewer of them cover than the binomial quantile with a probability of 0.002 at most. Precision and recall are 0.99
    and 0.9 on average.
    """
    n_draws = 3 if reduction > 1 else 10
    draws = [estimate(np.random.default_rng(seed), "curved", 0.3, 2, 1500) for seed in range(n_draws)]
    found = by_name(draws)
    assert abs(np.mean(found[BIAS])) < 0.02 + 3.1 * 0.03 / np.sqrt(n_draws)
    assert np.sum(found[COVERS]) >= binom.ppf(0.002, n_draws, 0.9)
    assert np.mean(found[PRECISION]) > 0.85
    assert np.mean(found[RECALL]) > 0.85
