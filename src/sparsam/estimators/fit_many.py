"""Fit autoencoders of the same architecture together, on data that are transferred to the device once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from copy import copy
from typing import Any

from numpy.typing import ArrayLike

from sparsam.engine.data.devices import all_gather
from sparsam.engine.data.samples import Samples
from sparsam.engine.training import train_many as together
from sparsam.engine.training.result import Training
from sparsam.estimators._training.convergence import warn_or_raise
from sparsam.estimators._training.device_data import DeviceData
from sparsam.estimators._training.fitted_attributes import (
    set_fitted_attributes,
    training_attributes,
    validation_attributes,
)
from sparsam.estimators._training.reconstruction import input_variance
from sparsam.estimators._training.train_estimator import least_rows_to_begin_on
from sparsam.estimators._warnings import warn_user
from sparsam.estimators.autoencoder import SparseAutoencoder

__all__ = ["OWN", "can_fit_with_others", "fit_many", "kind_of"]

OWN = ("rho", "beta", "alpha", "random_state")
"""Hyperparameters that may differ between autoencoders fitted together."""

REQUIRED = {
    "sparsity": "kl",
    "corruption": 0.0,
    "early_stopping": False,
    "polish": False,
    "warm_start": False,
    "time_budget": None,
    "callback": None,
    "checkpoint": None,
    "verbose": 0,
}
"""Values of hyperparameters that allow an autoencoder to be fitted together with others."""


def can_fit_with_others(estimator: Any) -> bool:
    """Whether `fit_many` can fit the estimator."""
    if type(estimator) is not SparseAutoencoder:
        return False
    followed = hasattr(estimator, "_skl_callbacks")
    return not followed and all(getattr(estimator, name) == value for name, value in REQUIRED.items())


def kind_of(estimator: SparseAutoencoder) -> Hashable:
    """Return a key that is the same for all autoencoders that can be fitted together.

    It contains the hyperparameters not in `OWN`, and whether there is a sparsity penalty.
    """
    values = estimator.get_params(deep=False)
    return tuple(repr(values[name]) for name in sorted(values) if name not in OWN), estimator.beta != 0


def fit_many(
    estimators: Sequence[SparseAutoencoder],
    X: ArrayLike,
    finished: Callable[[int, SparseAutoencoder], None],
    *,
    sample_weight: ArrayLike | None = None,
    snapshots: Collection[int] = (),
    train_many: Callable[..., list[Training]] = together.train_many,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> None:
    """Fit autoencoders of one kind (`kind_of`), with the same results as their own `fit`.

    Parameters
    ----------
    estimators : sequence of SparseAutoencoder
        Estimators for which `can_fit_with_others` is true.
    X, sample_weight : array-like
        As for `SparseAutoencoder.fit`; rows must be in memory.
    finished : callable
        Called with the number of an estimator and a fitted copy when its training has ended, from the thread that
        trained it: first for each of the snapshots, with that ``max_iter``. If J was not finite at the initial weights,
        the copy has only ``stop_reason_``. It is not called for trainings that ``stop`` ended.
    snapshots : collection of int
        Smaller values of max_iter for which to report the fits as well.
    train_many : callable, default `engine.training.train_many.train_many`
        Function that trains the networks.
    stop : callable
        Called about ten times a second; the trainings end when it returns True.
    **options
        Further arguments of ``train_many``.
    """
    first = estimators[0]
    for estimator in estimators:
        estimator.check_hyperparameters()
    dataset, columns = first._load(X, sample_weight)
    features = {name: value for name, value in vars(first).items() if name in ("n_features_in_", "feature_names_in_")}
    for estimator in estimators[1:]:
        set_fitted_attributes(estimator, features)
    problems = [estimator._problem(dataset, columns) for estimator in estimators]
    layer_sizes = problems[0].layer_sizes
    least_rows = least_rows_to_begin_on(first, problems[0])
    data = DeviceData(dataset, layer_sizes, first.chunk_size, problems[0].objective.input_scale, least_rows)
    samples = data.samples_in(first.dtype)
    if not isinstance(samples, Samples):
        raise TypeError("X is streamed, which is not possible for several fits together: fit the estimators one by one")

    inputs = input_variance(samples, first.dtype, problems[0].objective.terms[0])

    def finish(number: int, training: Training) -> None:
        if training.stop_reason == "interrupted":
            return
        for max_iter in (*sorted(snapshots), first.max_iter):
            estimator = copy(estimators[number]).set_params(max_iter=max_iter)
            at = training.at_max_iter(max_iter)
            attributes, weak = estimator._results(problems[number], at, data, inputs)
            _set_fitted(estimator, at, attributes | validation_attributes(()), weak)
            finished(number, estimator)

    train_many(
        [problem.objective for problem in problems],
        samples,
        [all_gather(problem.theta, samples.mesh)[0] for problem in problems],  # those of the first process
        solver=first.solver,
        dtype=first.dtype,
        tol=first.tol,
        max_iter=first.max_iter,
        snapshots=snapshots,
        plateau=inputs.plateau,
        begin_on=data.samples_to_begin_on(first.dtype),
        finished=finish,
        stop=stop,
        **options,
    )


def _set_fitted(
    estimator: SparseAutoencoder, training: Training, attributes: dict[str, Any], warning: Warning | None
) -> None:
    if training.history:
        set_fitted_attributes(estimator, attributes | training_attributes(training))
    else:
        estimator.stop_reason_ = training.stop_reason
    if warning is not None:
        warn_user(str(warning), type(warning))
    try:
        warn_or_raise(training)
    except FloatingPointError:  # stop_reason_ is "not_finite"
        return
