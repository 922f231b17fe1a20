"""scikit-learn's callbacks (`sklearn.callback`, since 1.9): a fit as the tree of tasks that they follow.

Before scikit-learn 1.9 there are none: the mixin is empty, so that estimators have no ``set_callbacks``, and tasks call
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import signature
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.state import Progress

__all__ = ["AttributesAt", "CallbackSupportMixin", "SklearnTask", "with_callbacks"]

Fit = TypeVar("Fit", bound=Callable[..., Any])

AttributesAt = Callable[[Progress, NDArray[np.floating]], Mapping[str, Any]]
"""Fitted attributes that the estimator would have if the training ended at this iterate with these weights."""

SUPPORTED = find_spec("sklearn.callback") is not None

if TYPE_CHECKING or not SUPPORTED:

    class CallbackSupportMixin:
        """Empty: this scikit-learn has no callbacks."""

    def with_callbacks(fit: Fit) -> Fit:
        """Return the method unchanged."""
        return fit

else:
    from sklearn.callback import CallbackSupportMixin, with_callbacks


class SklearnTask(FitCallback):
    """A task of a fit: all of it, one of its trainings, or a group of these. Iterations of a training are its leaves.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is, as the callbacks know it.
    context : sklearn.callback.CallbackContext or None
        None where there are no callbacks.
    data : dict
        What callbacks may ask for at every task: X, y and metadata, as the user gave them.
    """

    def __init__(self, estimator: Any, context: Any, data: Mapping[str, Any]) -> None:
        self.estimator, self.context, self.data = estimator, context, data
        self.n_leaves = 0
        self.attributes_at: AttributesAt = lambda progress, theta: {}
        if context is not None:
            context.call_on_fit_task_begin(estimator=estimator, **data)

    @classmethod
    def of_fit(cls, estimator: Any, most: int, data: Mapping[str, Any]) -> Self:
        """Begin a fit of at most so many subtasks; its method `fit` must be decorated by `with_callbacks`."""
        context = estimator._init_callback_context(max_subtasks=most) if SUPPORTED else None
        return cls(estimator, context, data)

    @property
    def followed(self) -> bool:
        """Whether there is any callback."""
        return hasattr(self.estimator, "_skl_callbacks")

    @property
    def every_iteration(self) -> bool:  # type: ignore[override]
        """Whether a callback asks for the estimator as it would be if the fit stopped: then it must see each iterate.

        By the protocol it asks by naming the argument.
        """
        hooks = (callback.on_fit_task_end for callback in getattr(self.estimator, "_skl_callbacks", ()))
        return any("fitted_estimator" in signature(hook).parameters for hook in hooks)

    def part(self, name: str, most: int) -> SklearnTask:
        """Begin a subtask of at most so many subtasks of its own."""
        context = self.context.subcontext(task_name=name, max_subtasks=most) if self.followed else None
        return SklearnTask(self.estimator, context, self.data)

    @contextmanager
    def fitting(self, name: str, other: Any) -> Iterator[None]:
        """Make the fit of another estimator a subtask; callbacks that are meant to follow it do."""
        if self.context is None:
            yield
            return
        context = self.context.subcontext(task_name=name)
        with context.propagate_callback_context(other):
            task = SklearnTask(self.estimator, context, self.data)
            yield
            task.end()

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Report the iterations up to this one, each a leaf; stop if a callback asks to.

        Several iterations are computed in one burst and reported when it has ended. Only the last one's weights are
        known.
        """
        stop = False
        while self.context is not None and self.followed and self.n_leaves < progress.iteration:
            self.n_leaves += 1
            known = {}
            if self.n_leaves == progress.iteration:
                known = {"reconstruction_attributes": lambda: self.attributes_at(progress, theta)}
            leaf = self.context.subcontext(task_name="iteration")
            leaf.call_on_fit_task_begin(estimator=self.estimator, **self.data)
            stop |= leaf.call_on_fit_task_end(estimator=self.estimator, **self.data, **known)
        return "callback" if stop else ""

    def end(self, attributes: Mapping[str, Any] | None = None) -> None:
        """End it, whether or not all its subtasks were needed."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=attributes
            )
