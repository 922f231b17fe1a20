"""A batch: some of the samples, and what belongs to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch"]


class Batch(NamedTuple):
    """Some of the samples: the same four arrays wherever data go.

    On the host, as users give them, samples are in rows: the first axis. On a device, where a batch is a chunk of
    `Samples`, they are in columns: the last axis, with all others in reverse order.

    Attributes
    ----------
    inputs : array of shape (n_samples, n_features)
        x.
    targets : array of shape (n_samples, n_outputs) or None
        t. None where the inputs are their own targets, as in an autoencoder.
    sample_weight : array of shape (n_samples,) or None
        s. None for ones.
    tangents : array of shape (n_samples, n_tangents, n_features) or None
        tau: directions at the inputs.

    Examples
    --------
    >>> batch = Batch(np.eye(3), sample_weight=np.array([1.0, 0.0, 2.0]))
    >>> batch.take(batch.weights > 0).inputs.tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    inputs: Any
    targets: Any = None
    sample_weight: Any = None
    tangents: Any = None

    @property
    def n_rows(self) -> int:
        """Number of rows, on the host."""
        return len(self.inputs)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The sample weights, of ones where there are none, on the host."""
        return np.ones(len(self.inputs)) if self.sample_weight is None else self.sample_weight

    def take(self, rows: Any) -> Batch:
        """Select rows, on the host: by numbers, a slice, or an array of truth values."""
        return Batch(*(None if part is None else part[rows] for part in self))
