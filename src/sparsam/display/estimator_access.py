"""Checked access to the public attributes of a fitted estimator, for displays.

Displays use nothing but public attributes and methods, so any estimator that has these can be drawn.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

__all__ = [
    "check_drawable",
    "drawable_network",
    "filters_of_inputs",
    "inputs_of_last_step",
    "part_with",
    "unwrap_estimator",
]


def unwrap_estimator(estimator: Any) -> Any:
    """Return the network inside pipelines, searches and wrappers: the last step, the best estimator."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "transformer_") and hasattr(estimator, "estimator_"):
            estimator = estimator.estimator_
        else:
            return estimator


def drawable_network(estimator: Any, display: str, needs: tuple[str, ...], drawn: str) -> Any:
    """Return the network inside an estimator, after `check_drawable`."""
    network = unwrap_estimator(estimator)
    check_drawable(network, display, needs, drawn, within=estimator)
    return network


def check_drawable(
    estimator: Any, display: str, needs: tuple[str, ...], drawn: str, *, within: Any | None = None
) -> None:
    """Raise unless the estimator is fitted and has one of the attributes or methods `needs`.

    Parameters
    ----------
    estimator : object
        The argument of `from_estimator`, or the network in it.
    display, drawn : str
        The name of the display and the subject that it draws, for the message.
    within : object, optional
        The argument of `from_estimator`, if `estimator` is the network in it.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    TypeError
        If it is not an estimator, or has none of them. If the first steps of a pipeline have one, the message names
        these steps.
    """
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(f"{display} takes a fitted estimator, got {estimator!r}")
    check_is_fitted(estimator)
    if not any(hasattr(estimator, name) for name in needs):
        missing = f"{display} draws {drawn}; {type(estimator).__name__} has no {' or '.join(needs)}"
        part = part_with(estimator if within is None else within, needs)
        raise TypeError(missing if part is None else f"{missing}: pass {part}")


def inputs_of_last_step(estimator: Any, X: Any) -> Any:
    """Transform inputs by the steps of a pipeline before the last, in searches too."""
    pipeline = getattr(estimator, "best_estimator_", estimator)
    if hasattr(pipeline, "transformer_") and hasattr(pipeline, "estimator_"):
        return pipeline.transformer_.transform(X)
    return pipeline[:-1].transform(X) if hasattr(pipeline, "steps") and len(pipeline.steps) > 1 else X


def filters_of_inputs(estimator: Any, filters: NDArray[Any]) -> NDArray[Any]:
    """Express the filters of a pipeline's last step as filters of its inputs, if the steps before it can do so.

    A step that can has ``input_filters``, like `sparsam.preprocessing.Whitening`. Other steps leave them as they are.
    """
    pipeline = getattr(estimator, "best_estimator_", estimator)
    for _, step in reversed(getattr(pipeline, "steps", [])[:-1]):
        if not hasattr(step, "input_filters"):
            break
        filters = step.input_filters(filters)
    return filters


def part_with(estimator: Any, needs: tuple[str, ...]) -> str | None:
    """Return, as code, the longest leading part of a pipeline that has one of `needs`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipe = make_pipeline(PCA(1), LogisticRegression()).fit(np.eye(4), [0, 0, 1, 1])
    >>> part_with(pipe, ("components_",))
    'pipe[:-1], which ends with PCA'
    """
    name, pipeline = "pipe", estimator
    if hasattr(pipeline, "best_estimator_"):
        name, pipeline = "search.best_estimator_", pipeline.best_estimator_
    n_steps = len(getattr(pipeline, "steps", ()))
    for n_dropped in range(1, n_steps):
        part = pipeline[:-n_dropped]
        if any(hasattr(candidate, need) for candidate in (part, unwrap_estimator(part)) for need in needs):
            return f"{name}[:-{n_dropped}], which ends with {type(part[-1]).__name__}"
    return None
