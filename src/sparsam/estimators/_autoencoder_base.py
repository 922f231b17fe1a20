"""Private base class of autoencoders, single and stacked: encode, decode, and describe a fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sparsam.engine.data.batch import Batch
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.result import Training
from sparsam.engine.training.stop_reasons import IMPORTED
from sparsam.estimators import _validation as validation
from sparsam.estimators._base import NetworkEstimator
from sparsam.estimators._data.apply_network import Compiled, network_outputs
from sparsam.estimators._data.column_moments import ColumnMoments
from sparsam.estimators._data.dataset import BATCH_BYTES, Dataset, InMemoryDataset, streamed_samples
from sparsam.estimators._data.odd_units import few_columns_warning
from sparsam.estimators._data.streamed import load_dataset
from sparsam.estimators._training.autoencoder_functions import (
    cost,
    decode,
    encode,
    negative_error,
    squared_errors,
    sums_of,
)
from sparsam.estimators._training.centered_inputs import AutoencoderAttributes, centered_weights
from sparsam.estimators._training.convergence import warn_or_raise
from sparsam.estimators._training.device_data import DeviceData
from sparsam.estimators._training.fit_checkpoints import checkpointer_of
from sparsam.estimators._training.fitted_attributes import (
    set_fitted_attributes,
    training_attributes,
    validation_attributes,
)
from sparsam.estimators._training.part_of_fit import PartOfFit
from sparsam.estimators._training.reconstruction import (
    InputVariance,
    input_variance,
    mean_squared_error,
    n_encoders,
    unit_activity,
)
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._training.train_estimator import TrainingProblem
from sparsam.estimators._warnings import warn_user
from sparsam.inspection.fit_advice import is_too_large, standardize
from sparsam.inspection.fit_statistics import FitStatistics, explained_variance
from sparsam.inspection.weak_fit import WeakFit

__all__ = ["IN_UNIT_RANGE", "AutoencoderBase"]

Array = NDArray[np.floating]

IN_UNIT_RANGE = ("logistic", "satlin")
"""Activations of outputs whose range is [0, 1]."""

OF_THE_WHOLE = {"verbose": 0, "warm_start": False, "polish": False, "checkpoint": None, "time_budget": None}
"""Hyperparameters without influence in a part of a fit, besides ``dtype``, ``chunk_size`` and ``mesh``."""


class AutoencoderBase(ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator):
    """Network that reconstructs its inputs: the first half of its layers encodes them, the second half decodes."""

    stop_reason_: str
    _input_mean: NDArray[np.float64] | None = None  # of X, for linear outputs; None in models of version 0.1.0
    _unit: float = 1.0  # of lengths in J

    @abstractmethod
    def _objective(self, network: Network) -> Objective:
        """Make J of the network, with the error function as its first term."""

    @abstractmethod
    def _diagnose(self, statistics: FitStatistics) -> WeakFit | None:
        """Diagnose a fit (see `diagnose_fit`)."""

    @abstractmethod
    def _draws_rows(self) -> bool:
        """Whether rows are held out or corrupted at random, as the hyperparameters say."""

    @abstractmethod
    def _encoder_layers(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return the sizes and activations of the layers that encode, by the hyperparameters."""

    @property
    @abstractmethod
    def _output(self) -> str:
        """Activation of the outputs."""

    @property
    @abstractmethod
    def _rho_of_code(self) -> float | None:
        """Target mean activation of the units of the code; None without a sparsity penalty."""

    def _load(
        self, X: ArrayLike, sample_weight: ArrayLike | None, on_rows_read: Callable[[int], None] = lambda n_rows: None
    ) -> tuple[Dataset, ColumnMoments | None]:
        """Check the data and load them into memory or prepare to stream them; the result is that of `_center`."""
        return self._center(load_dataset(self, X, sample_weight, self._check_range, on_rows_read=on_rows_read))

    def _center(self, dataset: Dataset) -> tuple[Dataset, ColumnMoments | None]:
        """Return the dataset, and the moments of its columns if the outputs are linear.

        With linear outputs J does not depend on the origin of X, because biases do not decay: the minimizer gets
        centered inputs, which are also its targets. They are not scaled, since that would weight the targets
        differently.
        """
        if self._output != "identity":
            return dataset, None
        dataset = dataset.merge_repeated()
        return dataset, ColumnMoments.of(dataset)

    def _problem_of(
        self,
        dataset: Dataset,
        objective: Objective,
        theta: NDArray[np.floating],
        origin: InputScale | None,
        unit: float = 1.0,
        attributes: Mapping[str, Any] = MappingProxyType({}),
        **others: Any,
    ) -> TrainingProblem:
        """Make a problem.

        Parameters
        ----------
        dataset : Dataset
        objective : Objective
        theta : array of shape (n_parameters,)
            The initial weights, for centered inputs in units of ``unit``.
        origin : InputScale or None
            Scale that centers the inputs.
        unit : float
            If it is not 1, the minimizer has inputs and outputs in this unit, which changes biases only.
        attributes : dict
            Further fitted attributes.
        """
        network = objective.network
        return TrainingProblem(
            replace(objective, input_scale=origin) if unit == 1 else objective,
            theta,
            dataset,
            AutoencoderAttributes(network, origin, unit, attributes),
            network.layer_sizes,
            data_scale=None if origin is None or unit == 1 else InputScale(origin.mean, unit * origin.scale),
            reconstructs=True,
            **others,
        )

    def _check_range(self, batch: Batch, row: int) -> Batch:
        if self._output in IN_UNIT_RANGE:
            validation.check_unit_range(batch.inputs, row)
        return batch

    def _fit(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None, *, about_training: bool = True) -> Self:
        """Fit; ``about_training`` is whether to warn if the training did not converge."""
        with self._fitting(X, y, sample_weight) as reporter:
            dataset, columns = self._load(X, sample_weight, reporter.rows_read)
            # The hyperparameters determine which rows are held out, and the gaps of corrupted copies.
            with checkpointer_of(self, dataset, held_out=0 if self._draws_rows() else None) as checkpointer:
                fit = PartOfFit(reporter, checkpointer, TimeBudget(self.time_budget))
                training, attributes, weak = self._fit_dataset(dataset, columns, fit)
            units = None if columns is None else self._units_warning(columns, training, attributes, weak)
            return self._finish(training, attributes, reporter, [units, weak], about_training=about_training)

    def _units_warning(
        self, columns: ColumnMoments, training: Training, attributes: Mapping[str, Any], weak: Warning | None
    ) -> Warning | None:
        """Make the warning that X should be standardized, for linear outputs, if it should; ``weak`` may say so."""
        few = few_columns_warning(columns, self._feature_names)
        deviation = float(np.sqrt(np.mean(np.square(columns.deviation))))
        in_units_of_x = attributes.get("_unit", 1.0) == 1  # with L1 sparsity J has a unit of its own
        is_stuck = weak is None and training.stop_reason in ("max_iter", "time_budget", "precision")
        if few is None and in_units_of_x and is_stuck and is_too_large(self._output, deviation):
            return UserWarning(standardize(deviation))
        return few

    def _fit_part(self, outer: NetworkEstimator, dataset: Dataset, fit: PartOfFit) -> Self:
        """Fit a clone on a dataset, as a part of the fit of another estimator, whose settings of the computation apply.

        Raises
        ------
        KeyboardInterrupt
            If a training was interrupted.
        FloatingPointError
            If J was not finite.
        """
        settings = OF_THE_WHOLE | {name: getattr(outer, name) for name in ("dtype", "chunk_size", "mesh")}
        part = clone(self).set_params(**settings)
        part.check_hyperparameters()
        if part.random_state is None:
            part.random_state = fit.seed
        part.n_features_in_ = dataset.n_features
        reporter = fit.reporter.of_part(part, fit.label)
        reporter.display.begin(f"training {fit.label}")
        dataset, columns = part._center(dataset)
        training, attributes, warning = part._fit_dataset(dataset, columns, replace(fit, reporter=reporter))
        if training.stop_reason == "interrupted":
            raise KeyboardInterrupt
        if training.stop_reason == "not_finite":
            raise FloatingPointError(
                f"{fit.label}: J is not finite. Look for extreme values in X and standardize it, or use "
                "dtype='float64'."
            )
        set_fitted_attributes(part, attributes | training_attributes(training))
        if warning is not None:
            warn_user(f"{fit.label}: {warning}", type(warning))
        warn_or_raise(training, can_start_warm=False, label=fit.label)
        return part

    @abstractmethod
    def _fit_dataset(
        self, dataset: Dataset, columns: ColumnMoments | None, fit: PartOfFit
    ) -> tuple[Training, dict[str, Any], Warning | None]:
        """Train on a dataset; ``columns`` are the moments of its inputs, from `_center`.

        Returns
        -------
        training : Training
        attributes : dict
            Fitted attributes, besides those of `training_attributes`.
        warning : Warning or None
            Warning if the fit is weak.
        """

    def _train(
        self, problem: TrainingProblem, fit: PartOfFit, *, rows: Dataset | None = None, **options: Any
    ) -> tuple[Training, dict[str, Any], Warning | None]:
        """Train once; the result is that of `_fit_dataset`.

        ``rows`` are those to describe the fit by, if the data of the training are corrupted copies of them.
        """
        run = self._prepare_training(
            problem, fit.reporter, fit.checkpointer, budget=fit.budget, n_to_come=fit.n_to_come, **options
        )
        training = run.train()
        data, inputs = run.data, run.inputs
        assert inputs is not None
        if rows is not None:
            data = DeviceData(rows, problem.layer_sizes, self.chunk_size, problem.input_scale)
            inputs = input_variance(data.samples_in(self.dtype), self.dtype)
        attributes, weak = self._results(problem, training, data, inputs, as_trained=rows is None, of_code=fit.of_code)
        scores = [(iteration, attributes.get("_unit", 1.0) ** 2 * score) for iteration, score in run.held_out_scores]
        return training, attributes | validation_attributes(scores), weak

    def _results(
        self,
        problem: TrainingProblem,
        training: Training,
        data: DeviceData,
        inputs: InputVariance,
        *,
        as_trained: bool = True,
        of_code: bool = False,
    ) -> tuple[dict[str, Any], Warning | None]:
        """Make the fitted attributes, and a warning if the fit is weak.

        ``as_trained`` is whether the data are those of the training, so that its squared error is theirs; ``of_code``
        whether they are the code of another autoencoder. The statistics of the units of the code take a pass over the
        data.
        """
        if not training.history:
            return {}, None
        objective, last = problem.objective, training.history[-1]
        with precision(self.dtype):
            weights = objective.network.unravel(training.theta.astype(self.dtype))  # type: ignore[arg-type]
            samples, n_rows = data.samples_in(self.dtype), data.dataset.n_rows
            units = unit_activity(objective, weights, samples, inputs, n_samples=n_rows, rho=self._rho_of_code)
            squared_error = last.terms.get(SquaredError.name)
            if squared_error is None or not as_trained:
                squared_error = mean_squared_error(objective, weights, samples)
        explained = explained_variance(squared_error, inputs.variance)
        at_end = problem.attributes_at(last, training.theta)
        unit = at_end.get("_unit", 1.0)
        mean = units.mean if unit == 1 else (unit * units.mean).astype(units.mean.dtype)
        attributes = {**at_end, "mean_activation_": mean, "explained_variance_ratio_": explained}
        variance = unit**2 * inputs.variance
        decoder = np.asarray(weights.coefs[n_encoders(objective.network)])
        measured = training.stop_reason, explained, variance, len(inputs.mean), units, decoder
        weak = self._diagnose(FitStatistics(*measured, of_code=of_code))
        return attributes, ConvergenceWarning(weak.text) if weak is not None and weak.at_minimum else None

    def transform(self, X: ArrayLike, out: Any = None) -> NDArray[np.floating]:
        """Compute the code: the activations z of the hidden units, of the innermost layer if there are several.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_components), optional
            Array to write the result into, a batch at a time: anything that supports assignment to slices of rows, such
            as a memory-mapped file, an HDF5 or a Zarr dataset.

        Returns
        -------
        Z : array of shape (n_samples, n_components), in the precision of the weights; or ``out``
        """
        return self._apply_to_rows(encode, X, out)

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Reconstruct inputs from their code.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Activations z; the name X is the one of scikit-learn's transformers.

        Returns
        -------
        y : array of shape (n_samples, n_features), in the precision of the weights
        """
        check_is_fitted(self)
        activations = validation.check_batch(X, 0)
        if activations.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {activations.shape[1]} columns, but there are {self._n_features_out} hidden units: pass the "
                "result of transform"
            )
        return self._apply(decode, InMemoryDataset(Batch(activations)), dtype=self.coefs_[0].dtype)

    def predict(self, X: ArrayLike, out: Any = None) -> NDArray[np.floating]:
        """Reconstruct each sample: compute y, the `inverse_transform` of `transform`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_features), optional
            Array to write the result into, as in `transform`.

        Returns
        -------
        y : array of shape (n_samples, n_features), in the precision of the weights; or ``out``
        """
        return self._apply_to_rows(network_outputs, X, out, then=self._uncentered_rows)

    def cost(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute J of the fitted weights on X, in float64.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
            J; on the training data, without corruption, it is about `loss_`. It depends on alpha, rho and beta: use
            `score` to compare settings. With "l1" sparsity it is relative to the variance of the training data.
        """
        check_is_fitted(self)
        self.check_hyperparameters()  # they may have been set since the fit
        dataset = self._dataset_to_predict(X, sample_weight)
        network = self._fitted_network()
        with precision(np.float64):
            objective = self._objective(network)
            parameters = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), self._fitted_parameters())
            batches = dataset.split_batches(max(BATCH_BYTES // (4 * dataset.n_features), 1))
            stream = streamed_samples(batches, np.float64, network.layer_sizes, self.chunk_size)
            sums = sums_of(objective, parameters, stream)
            J = float(cost(objective, sums, np.asarray(stream.total_weight), parameters))  # type: ignore[arg-type]
            return J / self._unit**2

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Compute minus the mean of E_n = 1/2 |y_n - x_n|^2: greater is better, comparable across settings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        scores, weights = [], []
        for batch in self._dataset_to_predict(X, sample_weight).batches():
            of_batch = self._apply_to_dataset(negative_error, InMemoryDataset(batch))
            scores.append(of_batch.astype(np.float64))
            weights.append(batch.weights)
        return float(np.average(np.concatenate(scores), weights=np.concatenate(weights)))

    def score_samples(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute -E_n for each sample: a low score marks a sample unlike the training data (an anomaly).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,), float64
        """
        return self._apply_to_rows(negative_error, X).astype(np.float64)

    def reconstruction_errors(self, X: ArrayLike, out: Any = None) -> NDArray[np.floating]:
        """Compute the error of each feature of each sample, e_nd = 1/2 (y_nd - x_nd)^2, whose sum is -`score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as in `fit`.
        out : array of shape (n_samples, n_features), optional
            Array to write the result into, as in `transform`.

        Returns
        -------
        array of shape (n_samples, n_features), in the precision of the weights; or ``out``
            In the squared unit of each feature.
        """
        return self._apply_to_rows(squared_errors, X, out)

    @property
    def components_(self) -> NDArray[np.floating]:
        """The learned filters of the first layer, W_1 transposed: (n_units, n_features)."""
        check_is_fitted(self)
        return self.coefs_[0].T

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self._output in IN_UNIT_RANGE
        tags.transformer_tags.preserves_dtype = ["float64"] if self.dtype == "float64" else []
        return tags

    def _check_attributes(self) -> None:
        n_components, n_features = self.mean_activation_.size, self.n_features_in_
        n_layers = len(self.coefs_)
        code = self.coefs_[n_layers // 2 - 1] if n_layers % 2 == 0 else np.empty((0, 0))
        mean = np.zeros(n_features) if self._input_mean is None else self._input_mean
        if (
            self.mean_activation_.shape != (n_components,)
            or code.shape[1] != n_components
            or {self.coefs_[0].shape[0], self.coefs_[-1].shape[1]} != {n_features}
            or mean.shape != (n_features,)
        ):
            raise ValueError("its arrays do not fit together")
        measured = () if self.stop_reason_ == IMPORTED else (self.mean_activation_,)  # otherwise NaN: not known
        self._check_weights(mean, *measured)
        self._n_features_out = n_components

    def _encoded(self, batch: Batch) -> Array:
        """Return the code of a batch whose inputs are checked."""
        return self._apply_to_dataset(encode, InMemoryDataset(batch))

    def _apply_to_rows(self, function: Compiled, X: ArrayLike, out: Any = None, **options: Any) -> Array:
        return self._apply_to_dataset(function, self._dataset_to_predict(X), out=out, **options)

    def _apply_to_dataset(self, function: Compiled, dataset: Dataset, **options: Any) -> Array:
        """Apply a compiled function to inputs, centered in float64 like those of the training."""
        dtype, origin = self.coefs_[0].dtype, self._origin()
        if origin is not None:
            dataset = dataset.map(partial(origin.scaled, dtype=dtype))
        parameters = centered_weights(origin, self._fitted_parameters())
        results: Array = self._apply(function, dataset, parameters, dtype=dtype, **options)
        return results

    def _uncentered_rows(self, outputs: Array) -> Array:
        """Shift outputs of the network for centered inputs back to the origin of X."""
        if self._input_mean is None:
            return outputs
        return (outputs + self._input_mean).astype(outputs.dtype)

    def _origin(self) -> InputScale | None:
        return None if self._input_mean is None else InputScale(self._input_mean, np.ones_like(self._input_mean))
