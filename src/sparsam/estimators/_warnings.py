"""Warnings that point at the user's line, even through decorators and pipelines."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_user"]

SKIPPED_PACKAGES = ("sparsam", "sklearn")


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn, pointing at the innermost line outside this library and scikit-learn."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_back.f_globals.get("__name__")).split(".")[0] in SKIPPED_PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level + 1)
