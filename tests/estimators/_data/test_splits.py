"""Parts of the data: on the devices those of small data have the shape of the whole, and share its programs."""

import numpy as np
import pytest

from sparsam.engine.data.batch import Batch
from sparsam.estimators._data.dataset import InMemoryDataset
from sparsam.estimators._data.splits import hold_out


def shapes_of(n_rows, held_out):
    rng = np.random.default_rng(0)
    whole = InMemoryDataset(Batch(rng.normal(size=(n_rows, 3)), rng.normal(size=(n_rows, 2)))).merge_repeated()
    part = hold_out(whole, held_out, seed=0).training.merge_repeated()
    samples = [data.to_devices("float64", (3, 2), None) for data in (whole, part)]
    assert float(samples[1].total_weight) < float(samples[0].total_weight)
    return [s.inputs.shape for s in samples]


@pytest.mark.parametrize("n_rows", [300, 1000])
def test_the_training_part_of_small_data_is_as_long_as_the_whole(n_rows):
    whole, part = shapes_of(n_rows, 0.8)
    assert part == whole


def test_the_training_part_of_more_data_is_no_longer_than_it_must_be():
    whole, part = shapes_of(3000, 0.95)
    assert whole[-1] >= 3000
    assert part[-1] == 256  # of 150 rows
