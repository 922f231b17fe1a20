"""Warnings that point at the user's line, however many decorators and pipelines lie between."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_user"]

BETWEEN = ("sparsam", "sklearn")


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn, from the innermost line that is neither this library's nor scikit-learn's."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_back.f_globals.get("__name__")).split(".")[0] in BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)
