"""Draw the inputs of an autoencoder as the rows of its pipeline were before it whitened them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["DrawnInputs"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DrawnInputs:
    """Convert inputs and filters of a network to those of its pipeline, to draw them.

    Attributes
    ----------
    steps : Pipeline or None
        The fitted transformers before the network, which have ``input_filters``, like
        `sparsam.preprocessing.Whitening`; None draws the network's inputs as they are.
    """

    steps: Any = None

    @classmethod
    def of(cls, model: Any) -> Self:
        """Take the transformers of a pipeline, or of the best pipeline of a search, if all have ``input_filters``."""
        pipeline = getattr(model, "best_estimator_", model)
        steps = getattr(pipeline, "steps", ())[:-1]
        return cls(pipeline[:-1] if steps and all(hasattr(step, "input_filters") for _, step in steps) else None)

    def rows(self, inputs: Array) -> Array:
        """Convert inputs of the network to rows of the pipeline."""
        return inputs if self.steps is None else np.asarray(self.steps.inverse_transform(inputs), np.float64)

    def filters(self, weights: Array) -> Array:
        """Convert filters of the network's inputs, one per row, to filters of the pipeline's rows."""
        for _, step in reversed([] if self.steps is None else self.steps.steps):
            weights = np.asarray(step.input_filters(weights), np.float64)
        return weights
