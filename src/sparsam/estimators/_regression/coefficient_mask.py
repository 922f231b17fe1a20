"""Coefficients that a linear model has: all, or those that a mask allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["check_mask", "free_coefficients"]


def check_mask(mask: ArrayLike, n_features: int, n_outputs: int) -> NDArray[np.float64]:
    """Return the mask as 0 and 1, (n_features, n_outputs).

    Raises
    ------
    ValueError
        If it has another shape, or other entries.
    """
    checked = np.asarray(mask, dtype=np.float64)
    if checked.shape != (n_features, n_outputs) or not np.all((checked == 0) | (checked == 1)):
        raise ValueError(
            f"mask must have the shape (n_features, n_outputs) = ({n_features}, {n_outputs}) and contain only True "
            f"and False (or 1 and 0); got an array of shape {checked.shape}"
        )
    return checked


def free_coefficients(mask: ArrayLike | None, n_features: int, n_outputs: int) -> NDArray[np.bool_]:
    """Mark the coefficients that exist, (n_outputs, n_features + 1); all intercepts do, which are last."""
    free = np.ones((n_outputs, n_features + 1), bool)
    if mask is not None:
        free[:, :-1] = check_mask(mask, n_features, n_outputs).T > 0
    return free
