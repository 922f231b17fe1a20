"""Data with targets, and random draws of a fit: shared by regression and classification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from sparsam.engine.data.batch import Batch
from sparsam.engine.data.devices import all_gather
from sparsam.engine.network.network import Network
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.streamed import Check, load_dataset
from sparsam.estimators._tangents import check_tangents_given, checked_tangents, tangent_weight_of

__all__ = ["draw_weights_and_seed", "load_with_targets", "seed_to_hold_out", "split_seed"]


def load_with_targets(
    estimator: Any,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    tangents: ArrayLike | None,
    check_targets: Check,
    on_rows_read: Callable[[int], None],
) -> Dataset:
    """Check the data of a fit, with targets and tangents, and load them into memory or prepare to stream them.

    ``check_targets`` is called after the other checks, and returns the batch with checked targets.
    """
    return load_dataset(
        estimator,
        X,
        sample_weight,
        _SupervisedCheck(estimator, check_targets),
        others={"targets": y, "tangents": tangents},
        on_rows_read=on_rows_read,
    )


@dataclass(frozen=True)
class _SupervisedCheck:
    """Check tangents, then targets."""

    estimator: Any
    check_targets: Check

    def __call__(self, batch: Batch, row: int) -> Batch:
        check_tangents_given(self.estimator, batch.tangents is not None)
        if batch.tangents is not None:
            tangents = checked_tangents(batch.tangents, batch.inputs, first_row=row)
            batch = batch._replace(tangents=tangents if tangent_weight_of(self.estimator) else None)
        return self.check_targets(batch, row)


def draw_weights_and_seed(
    random_state: int | np.random.RandomState | None, network: Network, mesh: Mesh | None
) -> tuple[NDArray[np.floating], int]:
    """Draw new weights, and the first process's seed for drawing the held-out samples.

    Both are always drawn, so that the weights do not depend on whether samples are held out. For an integer they come
    from independent streams; a generator draws the weights first.
    """
    generator = check_random_state(random_state)
    theta = network.initialize(generator)
    return theta, int(all_gather(seed_to_hold_out(random_state, generator), mesh)[0])


def seed_to_hold_out(random_state: Any, generator: np.random.RandomState) -> int:
    """Return the seed for drawing the held-out samples: `split_seed` of an integer, otherwise drawn."""
    return split_seed(random_state) if isinstance(random_state, Integral) else int(generator.randint(2**31 - 1))


def split_seed(random_state: int | Integral) -> int:
    """Make the seed for drawing the held-out samples from an integer ``random_state``: 31 bits of a separate stream.

    The weights are drawn from ``RandomState(random_state)``.
    """
    [child] = np.random.SeedSequence(int(random_state)).spawn(1)
    return int(child.generate_state(1)[0]) >> 1
