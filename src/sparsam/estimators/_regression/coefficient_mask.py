"""Coefficients that a linear model has: all, or those that a mask allows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam._utils.listed import listed

__all__ = ["check_mask", "check_mask_names", "free_coefficients"]


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


def check_mask_names(mask: Any, X: Any, y: Any) -> None:
    """Raise ValueError if the names of a mask that is a data frame are not those of X and y, in their order.

    Rows and columns of a frame with numbers for names, and of a mask for data without names, are taken in order.
    """
    if mask is None or not hasattr(mask, "columns") or not hasattr(mask, "index"):
        return
    for what, own, data in (("rows", mask.index, X), ("columns", mask.columns, y)):
        names = getattr(data, "columns", [data.name] if isinstance(getattr(data, "name", None), str) else None)
        if names is None or not any(isinstance(name, str) for name in own):
            continue
        if list(own) != list(names):
            raise ValueError(
                f"the {what} of mask are named {listed([repr(name) for name in own], most=5)}, but the columns of "
                f"{'X' if data is X else 'y'} {listed([repr(name) for name in names], most=5)}: use the same "
                "names in the same order"
            )


def free_coefficients(mask: ArrayLike | None, n_features: int, n_outputs: int) -> NDArray[np.bool_]:
    """Mark the coefficients that exist, (n_outputs, n_features + 1); all intercepts do, which are last."""
    free = np.ones((n_outputs, n_features + 1), bool)
    if mask is not None:
        free[:, :-1] = check_mask(mask, n_features, n_outputs).T > 0
    return free
