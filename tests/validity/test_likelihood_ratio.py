"""Size of the likelihood-ratio test, with few draws of a cell."""

import numpy as np
import pytest
from scipy.stats import chi2

from benchmarks.validity.likelihood_ratio import LIKELIHOOD_RATIO, REJECTED, SIZE, independence_factor
from benchmarks.validity.limits import contradicts


def test_names_of_cells_fix_seeds_so_they_differ():
    names = [cell.name for cell in LIKELIHOOD_RATIO.cells]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_its_size_is_the_level_where_targets_are_missing(reduction):
    (cell,) = (cell for cell in LIKELIHOOD_RATIO.cells if cell.name.startswith("full / diag, n = 200, K = 3, 20 %"))
    assert not contradicts(cell.outcomes(200 // reduction)[REJECTED], SIZE)


def test_the_factor_makes_the_statistic_of_few_samples_chi_squared():
    """The test uses 2,000 draws of least-squares residuals with n = 50, K = 7, and 99 % limits of mean and rate."""
    n, n_inputs, K = 50, 2, 7
    rng = np.random.default_rng(17)
    statistics = []
    for _ in range(2000):
        D = np.hstack([rng.normal(size=(n, n_inputs)), np.ones((n, 1))])
        noise = rng.normal(size=(n, K))
        r = noise - D @ np.linalg.lstsq(D, noise, rcond=None)[0]
        statistics.append(-n * np.linalg.slogdet(np.corrcoef(r.T))[1])
    pairs = K * (K - 1) // 2
    corrected = independence_factor(n, n_inputs, K) * np.array(statistics)
    assert abs(corrected.mean() - pairs) < 2.58 * np.sqrt(2 * pairs / 2000)
    assert not contradicts((chi2.sf(corrected, pairs) < 0.05).astype(float), (0.05, 0.05))
    assert contradicts((chi2.sf(statistics, pairs) < 0.05).astype(float), (0.05, 0.05))  # without it
