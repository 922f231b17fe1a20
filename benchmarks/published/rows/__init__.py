"""All rows, in the order of the page."""

from benchmarks.published.row import Row
from benchmarks.published.rows import (
    abalone,
    colors,
    few_labels,
    noisy_labels,
    parameters,
    self_taught,
    softmax,
    stacked,
    strokes,
    sur,
)

__all__ = ["ROWS"]

ROWS: tuple[Row, ...] = (
    softmax.ROW,
    strokes.ROW,
    self_taught.ROW,
    stacked.ROW,
    colors.ROW,
    abalone.ROW,
    *noisy_labels.ROWS,
    *few_labels.ROWS,
    sur.ROW,
    parameters.ROW,
)
