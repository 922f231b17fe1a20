"""Private base class of the estimators: common steps of fits and predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.result import Training
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.apply_network import Compiled, apply_to_dataset
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.streamed import load_dataset
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import CallbackSupportMixin
from sparsam.estimators._training.convergence import warn_or_raise
from sparsam.estimators._training.fit_environment import in_all_processes
from sparsam.estimators._training.fitted_attributes import PROGRESS_COLUMNS, set_fitted_attributes, training_attributes
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import EstimatorTraining, TrainingProblem
from sparsam.estimators._warnings import warn_user

__all__ = ["NetworkEstimator"]


class NetworkEstimator(CallbackSupportMixin, BaseEstimator):
    """Network that is fitted by minimizing J.

    `fit` of each estimator has the same steps: prepare the data, build the objective, train, set all attributes, then
    warn.
    """

    coefs_: list[NDArray[np.floating]]
    intercepts_: list[NDArray[np.floating]]
    _history: dict[str, list[float]]
    _sample_history: Mapping[str, list[float]] = MappingProxyType({})  # models of version 0.1.0 have none
    _fields_beside_inputs: tuple[str, ...] = ()  # fields that streamed data may contain, which predictions ignore

    @abstractmethod
    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""

    def check_fitted(self) -> None:
        """Raise ValueError or TypeError unless hyperparameters and fitted attributes are consistent, after loading."""
        self.check_hyperparameters()
        if not self.coefs_ or any(np.ndim(array) != 2 for array in self.coefs_):
            raise ValueError("its arrays do not fit together")
        self._check_attributes()

    @abstractmethod
    def _check_attributes(self) -> None:
        """Check the estimator's own attributes, for `check_fitted`; hyperparameters and axes of weights are checked."""

    def _check_weights(self, *others: NDArray[Any]) -> None:
        """Raise ValueError unless the weights have the network's shapes, and all arrays are finite."""
        shapes = list(self._fitted_network().shapes)
        if [array.shape for array in self.coefs_] != shapes or [array.shape for array in self.intercepts_] != [
            (n_out,) for _, n_out in shapes
        ]:
            raise ValueError("its arrays do not fit together")
        weights = (*self.coefs_, *self.intercepts_, *others)
        if any(array.dtype not in (np.float32, np.float64) or not np.all(np.isfinite(array)) for array in weights):
            raise ValueError("its weights are not finite numbers of type float32 or float64")

    @contextmanager
    def _fitting(self, X: Any, y: Any, sample_weight: Any, *, in_parts: bool = False) -> Iterator[FitReporter]:
        """Check the hyperparameters, report progress, and restore the estimator if the fit in this context fails."""
        self.check_hyperparameters()
        reporter = FitReporter.of_fit(self, X, y, sample_weight, in_parts=in_parts)
        with validation.restore_features_on_failure(self), in_all_processes(self):
            yield reporter

    def _prepare_training(
        self,
        problem: TrainingProblem,
        reporter: FitReporter,
        checkpointer: Checkpointer | None,
        *,
        polish: bool | None = None,
        budget: TimeBudget | None = None,
        n_to_come: int = 1,
    ) -> EstimatorTraining:
        """Prepare a training by the hyperparameters; ``polish`` overrides theirs.

        If a fit has several trainings, ``budget`` is the time for all of them, and ``n_to_come`` is the number of
        trainings still to come, including this one.
        """
        polish = self.polish if polish is None else polish
        budget = budget or TimeBudget(self.time_budget)
        return EstimatorTraining(self, problem, reporter, checkpointer, polish, budget, n_to_come)

    def _finish(
        self,
        training: Training,
        attributes: dict[str, Any],
        reporter: FitReporter,
        warnings: Sequence[Warning | None] = (),
        *,
        about_training: bool = True,
    ) -> Self:
        """Set all fitted attributes, report the end, then give the estimator's warnings and those about the training.

        ``about_training`` is whether to give the latter.

        Raises
        ------
        FloatingPointError
            If J was not finite; the estimator then has the last finite iterate, if there was one.
        """
        if training.history:  # otherwise no iterate was finite, and the estimator is not changed
            set_fitted_attributes(self, attributes | training_attributes(training))
        if training.stop_reason != "not_finite":
            reporter.end()
        for warning in filter(None, warnings):
            warn_user(str(warning), type(warning))
        if about_training or training.stop_reason == "not_finite":
            warn_or_raise(training, can_start_warm=not self._ends_by_folds())
        return self

    @property
    def history_(self) -> pd.DataFrame:
        """History of the fit: a row for the initial weights and for each iteration."""
        check_is_fitted(self)
        return pd.DataFrame(self._history)

    @property
    def sample_history_(self) -> pd.DataFrame:
        """Iterations on a sample of the rows, before those of the history; empty if the fit began on all rows."""
        check_is_fitted(self)
        return pd.DataFrame(dict(self._sample_history))

    @property
    def terms_(self) -> dict[str, float]:
        """Terms of J at the end of the fit, by name."""
        check_is_fitted(self)
        return {name: float(column[-1]) for name, column in self._history.items() if name not in PROGRESS_COLUMNS}

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"mesh": None}  # the devices belong to this process

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    @abstractmethod
    def _fitted_network(self) -> Network:
        """Return the network of the fitted weights."""

    def _fitted_parameters(self) -> Parameters:
        return Parameters(tuple(self.coefs_), tuple(self.intercepts_))  # type: ignore[arg-type]

    @property
    def _feature_names(self) -> Sequence[Any]:
        """Names of the features, or their numbers if they have no names."""
        names: Sequence[Any] = getattr(self, "feature_names_in_", range(self.n_features_in_))
        return names

    def _is_warm(self) -> bool:
        """Whether a fit starts from fitted weights."""
        return bool(self.warm_start) and hasattr(self, "coefs_")

    def _ends_by_folds(self) -> bool:
        """Whether trainings in folds choose the number of iterations."""
        return False

    def _unused_warm_start(self) -> Warning | None:
        """Make the warning that warm_start has no influence, if that is the case."""
        if not (self._is_warm() and self._ends_by_folds()):
            return None
        return UserWarning(
            "warm_start=True has no influence here: folds choose the number of iterations, and since their trainings "
            "start from new weights, so does the final training. Set early_stopping=False to start from the fitted "
            "weights."
        )

    def _dataset_to_predict(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Dataset:
        """Check the inputs of a prediction, and load them into memory or prepare to stream them."""
        check_is_fitted(self)
        return load_dataset(self, X, sample_weight, others=dict.fromkeys(self._fields_beside_inputs), reset=False)

    def _apply(
        self,
        function: Compiled,
        dataset: Dataset,
        parameters: Parameters | None = None,
        *,
        dtype: Any = np.float64,
        then: Callable[[NDArray[Any]], NDArray[Any]] = lambda results: results,
        out: Any = None,
    ) -> Any:
        """Apply a compiled function of the network to the inputs of a dataset, by default with the fitted weights."""
        return apply_to_dataset(
            function,
            self._fitted_network(),
            self._fitted_parameters() if parameters is None else parameters,
            dataset,
            dtype=dtype,
            chunk_size=self.chunk_size,
            then=then,
            out=out,
        )
