"""Check the rows that a transformer gets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

__all__ = ["float_rows"]


def float_rows(transformer: BaseEstimator, X: Any, *, reset: bool) -> NDArray[Any]:
    """Return X as a finite float array; with ``reset`` the transformer keeps the number and names of its features."""
    with config_context(array_api_dispatch=False):  # arrays of other libraries become NumPy's
        return validate_data(transformer, X, reset=reset, dtype=[np.float64, np.float32])
