"""Train a network by an estimator's hyperparameters: with early stopping, polishing, and retries in smaller chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam.engine.data.devices import all_gather, max_of_processes, n_processes, sum_of_processes
from sparsam.engine.data.samples import Samples
from sparsam.engine.objective.input_scale import InputScale
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback, FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.kinks import LEAST_ROWS, train_with_kinks
from sparsam.engine.training.polish import can_be_polished, polish
from sparsam.engine.training.result import Training
from sparsam.engine.training.streaming import StreamedSamples
from sparsam.engine.training.train import train
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split
from sparsam.estimators._data.stream_sample import draw_sample
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import AttributesAt
from sparsam.estimators._tangents import TangentFunction
from sparsam.estimators._training.device_data import DeviceData
from sparsam.estimators._training.early_stopping import EarlyStopping, StopAt
from sparsam.estimators._training.reconstruction import InputVariance, input_variance
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._warnings import warn_user

__all__ = ["EstimatorTraining", "TrainingProblem", "least_rows_to_begin_on"]

ROWS_PER_WEIGHT = 10
"""Least number of rows of a sample for each weight of a unit, bias included, and for each output."""


@dataclass(frozen=True)
class TrainingProblem:
    """Objective over the data of a fit, with initial weights.

    Attributes
    ----------
    objective : Objective
    theta : array of shape (n_parameters,)
        Initial weights, in the objective's coordinates.
    data : Dataset or Split
        Inputs are in the units of X, and are scaled on the way to the devices. With a split, early stopping uses the
        held-out part.
    attributes_at : callable
        See `AttributesAt`.
    layer_sizes : tuple of int
        Numbers per sample in each part of a pass, from which the chunk size is chosen.
    tangents : TangentFunction or None
        Computes tangents that are not in memory.
    offset : float
        Constant to add to the held-out log-likelihood to convert it to the user's units.
    reconstructs : bool
        Whether the outputs reconstruct the inputs. If so, a training on a plateau where they explain nearly nothing
        continues beyond tol.
    early_stopping : callable
        Makes the callback for data with a split: `EarlyStopping`, or a subclass.
    stop_at : int or None
        Iteration at which to stop.
    data_scale : InputScale or None
        Scale of the inputs, which are their own targets, on the way to the devices; None for that of the objective.
    has_kinks : bool
        Whether J has kinks, which the training rounds.
    new_weights : bool
        Whether theta is new, and not the result of another training.
    depends_on : mapping
        JSON values that identify results of earlier trainings of the fit on which this one depends.
    """

    objective: Objective
    theta: NDArray[np.floating]
    data: Dataset | Split
    attributes_at: AttributesAt
    layer_sizes: tuple[int, ...]
    tangents: TangentFunction | None = None
    offset: float = 0.0
    reconstructs: bool = False
    early_stopping: Callable[..., EarlyStopping] = EarlyStopping
    stop_at: int | None = None
    new_weights: bool = True
    data_scale: InputScale | None = None
    has_kinks: bool = False
    depends_on: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_scale(self) -> InputScale | None:
        """Scale of the inputs on the devices."""
        return self.objective.input_scale if self.data_scale is None else self.data_scale


def least_rows_to_begin_on(estimator: Any, problem: TrainingProblem) -> int | None:
    """Return the least number of rows of a sample on which to begin the training; None to begin on all rows.

    Only trainings to a minimum, from new weights, begin on a sample: where other rows choose the iteration at which to
    stop, the first iterations must not overfit a few rows. The first process of several decides for all.
    """
    if isinstance(problem.data, Split):
        return None
    begins = problem.new_weights and problem.stop_at is None and estimator.start_on_sample
    if not all_gather(begins, problem.data.mesh)[0]:
        return None
    return ROWS_PER_WEIGHT * (max(problem.objective.network.layer_sizes) + 1)


class EstimatorTraining:
    """One training of a fit.

    Parameters
    ----------
    estimator : NetworkEstimator
        Its hyperparameters are used.
    problem : TrainingProblem
    reporter : FitReporter
    checkpointer : Checkpointer or None
    polish : bool
        Whether to continue in float64.
    budget : TimeBudget
        Time of all trainings of the fit.
    n_to_come : int
        Number of trainings of the fit still to come, including this one.

    Attributes
    ----------
    data : DeviceData
        Training data on the devices.
    early_stopping : EarlyStopping or None
    inputs : InputVariance or None
        Mean and variance of the inputs, if the outputs reconstruct them; set by `train`.
    """

    def __init__(
        self,
        estimator: Any,
        problem: TrainingProblem,
        reporter: FitReporter,
        checkpointer: Checkpointer | None,
        polish: bool,
        budget: TimeBudget,
        n_to_come: int,
    ) -> None:
        self.estimator, self.problem, self.polish = estimator, problem, polish
        self.budget, self.n_to_come = budget, n_to_come
        self.reporter, self.checkpointer = reporter, checkpointer
        self.early_stopping: EarlyStopping | None = None
        self.inputs: InputVariance | None = None
        self.least_rows: int | None = None
        self.early_stopping_data: tuple[DeviceData, ...] = ()  # rechunked with the data
        tangents = problem.tangents
        if isinstance(problem.data, Split):
            held_out = self._on_devices(problem.data.held_out)
            # Early stopping needs only the error function, so that its data need no tangents.
            training = self._on_devices(problem.data.training)
            self.data = training if tangents is None else self._on_devices(tangents.add_to(problem.data.training))
            self.early_stopping_data = (held_out,) if tangents is None else (training, held_out)
            self.early_stopping = problem.early_stopping(
                problem.objective, training, held_out, estimator.dtype, estimator.n_iter_no_change, problem.offset
            )
        else:
            dataset = problem.data if tangents is None else tangents.add_to(problem.data)
            self.least_rows = least_rows_to_begin_on(estimator, problem)
            self.data = self._on_devices(dataset, self.least_rows)
        self.data.on_rows_passed = reporter.rows_passed
        self.callbacks = self._callbacks()

    @property
    def held_out_scores(self) -> list[tuple[int, float]]:
        """Iterations and mean held-out log-likelihoods; empty if nothing is held out."""
        return [] if self.early_stopping is None else self.early_stopping.log_likelihoods

    def train(self) -> Training:
        """Train; with early stopping return the training as if it had ended at the best iteration.

        The seconds in the history count from the beginning of the fit, and so include the earlier trainings.
        """
        before = self.reporter.seconds()
        objective, dtype = self.problem.objective, self.estimator.dtype
        theta = all_gather(self.problem.theta, self.data.dataset.mesh)[0]  # the weights of the first process
        self._refuse_iterate_callbacks_in_several_processes()
        sizes = "-".join(map(str, objective.network.layer_sizes))
        if self.checkpointer is not None:
            self.checkpointer.begin_training(self._dependence())
        self.reporter.begin(f"compiling and training a network {sizes} in {dtype}")
        try:
            training = self._train_once(theta)
        except jax.errors.JaxRuntimeError as error:
            # If one of several processes started again, the others would wait for it forever.
            if "RESOURCE_EXHAUSTED" not in str(error) or n_processes(self.data.dataset.mesh) > 1:
                raise
            self._halve_chunks()
            training = self._train_once(theta)
        if self.polish and can_be_polished(training):
            training = self._polish(training)
        if self.early_stopping is not None:
            training = self.early_stopping.keep_best(training)
        history, sampled = (
            [replace(progress, seconds=before + progress.seconds) for progress in iterates]
            for iterates in (training.history, training.sampled)
        )
        return replace(training, history=history, sampled=sampled)

    def _on_devices(self, dataset: Dataset, least_rows: int | None = None) -> DeviceData:
        problem, chunk_size = self.problem, self.estimator.chunk_size
        return DeviceData(dataset, problem.layer_sizes, chunk_size, problem.input_scale, least_rows)

    def _callbacks(self) -> list[FitCallback]:
        """Return the callbacks: early stopping first, as its scores are displayed; the user's last.

        A callback is not called at an iterate where an earlier one stops the training.
        """
        if self.early_stopping is None:
            callbacks = self.reporter.callbacks(self.problem.attributes_at)
        else:
            shown = self.reporter.callbacks(self.problem.attributes_at, self.early_stopping.last_log_likelihood)
            callbacks = [self.early_stopping, *shown]
        if self.problem.stop_at is not None:
            callbacks = [StopAt(self.problem.stop_at), *callbacks]
        function = self.estimator.callback
        return callbacks if function is None else [*callbacks, FunctionCallback(function)]

    def _train_once(self, theta: NDArray[np.floating]) -> Training:
        estimator = self.estimator
        samples = self.data.samples_in(estimator.dtype)
        if self.problem.reconstructs:
            self.inputs = input_variance(samples, estimator.dtype, self.problem.objective.terms[0])
        options: dict[str, Any] = {
            "solver": estimator.solver,
            "dtype": estimator.dtype,
            "max_iter": estimator.max_iter,
            "tol": estimator.tol,
            "time_budget": self.budget.share(self.n_to_come),
            "callbacks": self.callbacks,
            "checkpointer": self.checkpointer,
            "plateau": None if self.inputs is None else self.inputs.plateau,
        }
        if not self.problem.has_kinks:
            begin_on = self.data.samples_to_begin_on(estimator.dtype)
            training = train(self.problem.objective, samples, theta, begin_on=begin_on, **options)
        else:
            training = train_with_kinks(
                self.problem.objective,
                samples,
                theta,
                mini_batches=self._mini_batches(samples),
                seed=int(array_digest(theta)) % 2**31,
                new_weights=self.problem.new_weights,
                **options,
            )
        self.budget.use(training.timed)
        in_fold = self.n_to_come > 1 and not self.problem.reconstructs
        if in_fold and training.stop_reason == "time_budget":
            self.budget.cut_off.append(training.history[-1].iteration)
        return training

    def _mini_batches(self, samples: Samples | StreamedSamples) -> Samples | None:
        """Return the rows to draw mini-batches from: all, or a sample of a stream; None if they are few."""
        n_rows = sum_of_processes(self.data.dataset.n_rows, samples.mesh)
        if self.least_rows is None or n_rows < LEAST_ROWS:
            return None
        if isinstance(samples, Samples):
            return samples
        return draw_sample(samples, self.data.dataset.n_rows, LEAST_ROWS)

    def _polish(self, training: Training) -> Training:
        self.reporter.begin("polishing in float64")
        left = self.budget.share(1)
        samples = self.data.samples_in("float64")
        if self.checkpointer is not None:
            start = all_gather(array_digest(training.theta), self.data.dataset.mesh)[0]
            self.checkpointer.begin_training(self._dependence() | {"polishes": int(start)})
        polished = polish(
            training,
            self.problem.objective,
            samples,
            solver=self.estimator.solver,
            max_iter=self.estimator.max_iter,
            time_budget=left,
            callbacks=[callback for callback in self.callbacks if callback is not self.early_stopping],
            checkpointer=self.checkpointer,
        )
        self.budget.use(polished.timed - training.timed)
        return polished

    def _halve_chunks(self) -> None:
        """Halve the chunk size, warn, and reset the callbacks, to start the training again."""
        before = self.data.chunk_size_in(self.estimator.dtype)
        after = max(before // 2, 1)
        for part in (self.data, *self.early_stopping_data):
            part.rechunk(after)
        warn_user(
            f"A device ran out of memory with chunks of {before} samples; trying again with chunks of {after}. Set "
            f"chunk_size={after} to avoid the failed attempt.",
            UserWarning,
        )
        for callback in self.callbacks:
            callback.reset()

    def _dependence(self) -> dict[str, Any]:
        """Return the results of earlier trainings on which this one depends, besides the fit's data and options.

        The first process determines them for all.
        """
        numbers = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(self.problem.objective)]
        objective = all_gather(array_digest(*numbers), self.data.dataset.mesh)[0]
        return {"part": self.reporter.label, "objective": int(objective), **self.problem.depends_on}

    def _refuse_iterate_callbacks_in_several_processes(self) -> None:
        """Raise ValueError if a callback of scikit-learn needs the fitted estimator in a distributed run.

        A single process cannot compute the fitted attributes.
        """
        mesh = self.data.dataset.mesh
        wanted = bool(max_of_processes(self.reporter.task.every_iteration, mesh))
        if wanted and n_processes(mesh) > 1:
            raise ValueError(
                "callbacks whose hook has the argument fitted_estimator are not supported in a fit by several "
                "processes: remove them with set_callbacks"
            )
