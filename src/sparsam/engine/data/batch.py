"""A batch of samples: inputs, targets, weights and tangents."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch"]


class Batch(NamedTuple):
    """Inputs, targets, weights and tangents of some samples.

    On the host, samples are in rows, the first axis, as users pass them. On a device, where a batch is a chunk of
    `Samples`, they are in columns, the last axis, and all other axes are in reverse order.

    Attributes
    ----------
    inputs : array of shape (n_samples, n_features)
        x.
    targets : array of shape (n_samples, n_outputs) or None
        t. None if the inputs are their own targets, as in an autoencoder.
    sample_weight : array of shape (n_samples,) or None
        s. None if all weights are 1.
    tangents : array of shape (n_samples, n_tangents, n_features) or None
        tau, directions at the inputs.

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
        """The sample weights on the host; ones if there are none."""
        return np.ones(len(self.inputs)) if self.sample_weight is None else self.sample_weight

    def take(self, rows: Any) -> Batch:
        """Select rows on the host by indices, a slice, or a boolean mask."""
        return Batch(*(None if part is None else part[rows] for part in self))
