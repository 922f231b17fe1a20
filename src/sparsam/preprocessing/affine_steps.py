"""Combine the steps of a pipeline that are affine, x -> A x + c, with the layer that follows them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["affine_map"]

Array = NDArray[np.float64]

PROBE_SIZES = (0.1, 1.0, 10.0)
"""Sizes of random probes, in units of the largest value of the rows: a step that clips beyond the rows clips these."""

N_PROBES = 8
TOLERANCE = 1e-6  # relative, of a step that computes in float64


def affine_map(steps: Sequence[tuple[str, Any]], rows: Array) -> tuple[Array, Array]:
    """Return A and c of fitted steps f(x) = x A + c.

    Weights W and biases b of a layer after the steps are then A W and c W + b for their inputs.

    Parameters
    ----------
    steps : sequence of (name, fitted transformer)
        "passthrough" is no step.
    rows : array of shape (n_rows, n_features)
        Some x, on which the steps must be affine.

    Raises
    ------
    ValueError
        If a step is not affine.
    """
    n_features = rows.shape[1]
    A, c = np.eye(n_features), np.zeros(n_features)
    for name, step in steps:
        if step is None or step == "passthrough":
            continue
        matrix, constant = _map_of_step(name, step, rows)
        A, c, rows = A @ matrix, c @ matrix + constant, rows @ matrix + constant
    return A, c


def _map_of_step(name: str, step: Any, rows: Array) -> tuple[Array, Array]:
    """Find the matrix and the constant of an affine transformer from the images of a row and of steps from it."""
    n_in, size = rows.shape[1], max(float(np.abs(rows).max()), np.finfo(float).tiny)
    origin = rows.mean(axis=0)
    image = _transformed(step, origin[None])[0]
    matrix = (_transformed(step, origin + size * np.eye(n_in)) - image) / size
    constant = image - origin @ matrix
    rng = np.random.default_rng(0)
    probes = [rows, *(factor * size * rng.normal(size=(N_PROBES, n_in)) for factor in PROBE_SIZES)]
    for x in probes:
        got, expected = _transformed(step, x), x @ matrix + constant
        if not np.allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE * np.abs(expected).max()):
            raise ValueError(
                f"step {name!r} ({type(step).__name__}) is not an affine map of a patch, so that it cannot be combined "
                "with the convolution: PatchNormalizer, for example, clips values. Learn the filters from whitened "
                "patches (sparsam.preprocessing.Whitening), or from pixels as they are"
            )
    return matrix, constant


def _transformed(step: Any, rows: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # probes have no feature names, and are no patches in the units of the fit
        return np.asarray(step.transform(rows), dtype=np.float64)
