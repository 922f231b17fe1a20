"""Coverage of prediction regions: a cell of the benchmark, with few draws."""

import numpy as np
import pytest

from benchmarks.validity.cells import by_name
from benchmarks.validity.regions import PREDICTION_REGIONS, SHARES, regions


def test_names_of_cells_fix_seeds_so_they_differ():
    names = [cell.name for cell in PREDICTION_REGIONS.cells]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_calibrated_regions_hold_for_heavy_tails():
    """The share of new rows in their regions, the mean over ten draws of 500 rows, 100 of them for the calibration.

    In a draw it has the beta distribution of an order statistic, with a deviation of sqrt(p (1 - p)/102) <= 0.04: the
    mean of ten is within 0.05 of p with a probability above 0.9999.
    """
    found = by_name([regions(np.random.default_rng(seed), "heavy tails", 500) for seed in range(10)])
    for share in SHARES:
        assert abs(np.mean(found[f"calibrated, {100 * share:.0f} %"]) - share) < 0.05
