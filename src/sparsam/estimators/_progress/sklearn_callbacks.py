"""Support for scikit-learn's callbacks (`sklearn.callback`, since 1.9), which observe a fit as a tree of tasks.

Before scikit-learn 1.9 there are no callbacks: the mixin is empty, so that estimators have no ``set_callbacks``, and
tasks call nothing.
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
"""Computes the fitted attributes for a training that ends at this iterate with these weights."""

SUPPORTED = find_spec("sklearn.callback") is not None

if TYPE_CHECKING or not SUPPORTED:

    class CallbackSupportMixin:
        """Empty mixin, for versions of scikit-learn without callbacks."""

    def with_callbacks(fit: Fit) -> Fit:
        """Return the method unchanged."""
        return fit

else:
    from sklearn.callback import CallbackSupportMixin, with_callbacks


class SklearnTask(FitCallback):
    """Task of a fit: the whole fit, one of its trainings, or a group of trainings. Iterations are leaves of the tree.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted.
    context : sklearn.callback.CallbackContext or None
        None if there are no callbacks.
    data : dict
        Data for the callbacks: the user's X, y and metadata.
    """

    def __init__(self, estimator: Any, context: Any, data: Mapping[str, Any]) -> None:
        self.estimator, self.context, self.data = estimator, context, data
        self.n_leaves = 0
        self.attributes_at: AttributesAt = lambda progress, theta: {}
        if context is not None:
            context.call_on_fit_task_begin(estimator=estimator, **data)

    @classmethod
    def of_fit(cls, estimator: Any, most: int, data: Mapping[str, Any]) -> Self:
        """Begin a fit of at most ``most`` subtasks; its method `fit` must be decorated by `with_callbacks`."""
        context = estimator._init_callback_context(max_subtasks=most) if SUPPORTED else None
        return cls(estimator, context, data)

    @property
    def followed(self) -> bool:
        """Whether the estimator has callbacks."""
        return hasattr(self.estimator, "_skl_callbacks")

    @property
    def every_iteration(self) -> bool:  # type: ignore[override]
        """Whether a callback needs the fitted estimator, and so must see each iterate.

        In scikit-learn's protocol it then has the argument ``fitted_estimator``.
        """
        hooks = (callback.on_fit_task_end for callback in getattr(self.estimator, "_skl_callbacks", ()))
        return any("fitted_estimator" in signature(hook).parameters for hook in hooks)

    def part(self, name: str, most: int) -> SklearnTask:
        """Begin a subtask, which has at most ``most`` subtasks."""
        context = self.context.subcontext(task_name=name, max_subtasks=most) if self.followed else None
        return SklearnTask(self.estimator, context, self.data)

    @contextmanager
    def fitting(self, name: str, other: Any) -> Iterator[None]:
        """Make the fit of another estimator a subtask, and pass on the callbacks that support this."""
        if self.context is None:
            yield
            return
        context = self.context.subcontext(task_name=name)
        with context.propagate_callback_context(other):
            task = SklearnTask(self.estimator, context, self.data)
            yield
            task.end()

    def on_iterate(self, progress: Progress, theta: NDArray[np.floating], stop_reason: str) -> str:
        """Report the iterations up to this one, each as a leaf; stop if a callback returns True.

        Several iterations are computed in one burst and reported when it has ended, with the weights of only the last
        one.
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
        """End the task, even if it needed fewer subtasks than announced."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=attributes
            )
