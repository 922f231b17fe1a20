"""Checked access to the public attributes of a fitted estimator, for displays.

They know estimators by their public attributes and methods alone, so that whatever has these can be drawn.
"""

from __future__ import annotations

from typing import Any

__all__ = ["check_drawable", "unwrap_estimator"]


def unwrap_estimator(estimator: Any) -> Any:
    """Return the network within pipelines, searches and wrappers: the last step, the best estimator."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "transformer_") and hasattr(estimator, "estimator_"):
            estimator = estimator.estimator_
        else:
            return estimator


def check_drawable(estimator: Any, display: str, needs: tuple[str, ...], drawn: str) -> None:
    """Raise unless the estimator is fitted and has one of the attributes or methods `needs`.

    Parameters
    ----------
    estimator : object
        The argument of `from_estimator`, or the network in it.
    display, drawn : str
        For the message: the name of the display, and what it draws.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    TypeError
        If it is no estimator, or has none of them.
    """
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"{display} takes a fitted estimator, got {estimator!r}")
    check_is_fitted(estimator)
    if not any(hasattr(estimator, name) for name in needs):
        raise TypeError(f"{display} draws {drawn}; {type(estimator).__name__} has no {' or '.join(needs)}")
