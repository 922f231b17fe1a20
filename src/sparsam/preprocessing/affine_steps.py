"""Combine the steps of a pipeline that are affine, x -> A x + c, with the layer that follows them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold_into_layer"]

Array = NDArray[np.float64]

PROBE_SIZES = (1e-2, 1.0, 1e2)  # times the largest entry of the unit inputs' images; a step that clips is found by one
N_PROBES = 8
TOLERANCE = 1e-6  # relative; of a step that computes in float64


def fold_into_layer(
    steps: Sequence[tuple[str, Any]], n_features: int, coef: Array, intercept: Array
) -> tuple[Array, Array]:
    """Return weights and biases of a layer for the inputs of the steps, so that x W' + b' = f(x) W + b.

    With f(x) = x A + c, W' = A W and b' = c W + b.

    Parameters
    ----------
    steps : sequence of (name, fitted transformer)
    n_features : int
        Number of features of x.
    coef : array of shape (n_steps_out, n_units)
        W, for the outputs of the steps.
    intercept : array of shape (n_units,)
        b.

    Raises
    ------
    ValueError
        If a step is not affine.
    """
    A, c = np.eye(n_features), np.zeros(n_features)
    for name, step in steps:
        matrix, constant = _affine_map(name, step, A.shape[1])
        A, c = A @ matrix, c @ matrix + constant
    return A @ coef, c @ coef + intercept


def _affine_map(name: str, step: Any, n_in: int) -> tuple[Array, Array]:
    """Find the matrix and the constant of an affine transformer from the images of 0 and of the unit vectors."""
    constant = _transformed(step, np.zeros((1, n_in)))[0]
    matrix = _transformed(step, np.eye(n_in)) - constant
    rng = np.random.default_rng(0)
    for size in PROBE_SIZES:
        probes = size * rng.normal(size=(N_PROBES, n_in))
        got, expected = _transformed(step, probes), probes @ matrix + constant
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
