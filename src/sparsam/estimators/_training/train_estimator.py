"""Training as the hyperparameters of an estimator say: with early stopping, polishing, and where memory is short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam.engine.data.devices import all_gather, max_of_processes, n_processes
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback, FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.polish import can_be_polished, polish
from sparsam.engine.training.train import Training, train
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._data.splits import Split
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._progress.sklearn_callbacks import AttributesAt
from sparsam.estimators._tangents import TangentFunction
from sparsam.estimators._training.device_data import DeviceData
from sparsam.estimators._training.early_stopping import EarlyStopping, StopAt
from sparsam.estimators._training.reconstruction import InputVariance, input_variance
from sparsam.estimators._training.time_budget import TimeBudget
from sparsam.estimators._warnings import warn_user

__all__ = ["EstimatorTraining", "TrainingProblem"]


@dataclass(frozen=True)
class TrainingProblem:
    """An objective over the data of a fit, and where its training starts.

    Attributes
    ----------
    objective : Objective
    theta : array of shape (n_parameters,)
        Initial weights, in the objective's coordinates.
    data : Dataset or Split
        With inputs in X's own units, which are scaled on their way to the devices. With a split, early stopping holds a
        part out.
    attributes_at : callable
        See `AttributesAt`.
    layer_sizes : tuple of int
        Numbers that a sample takes in the parts of a pass, for the choice of a chunk.
    tangents : TangentFunction or None
        Makes tangents that are not held.
    offset : float
        What to add to the log-likelihood of what is held out for the user's units.
    reconstructs : bool
        Whether the outputs reconstruct the inputs: then a training that explains nothing of them may not end yet.
    early_stopping : callable
        `EarlyStopping`, or a variant of it, for data with a split.
    stop_at : int or None
        Iteration at which to stop.
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


class EstimatorTraining:
    """One training of a fit.

    Parameters
    ----------
    estimator : NetworkEstimator
        Whose hyperparameters say how to train.
    problem : TrainingProblem
    reporter : FitReporter
    checkpointer : Checkpointer or None
    polish : bool
        Whether to go on in float64.
    budget : TimeBudget
        Of the fit.
    n_to_come : int
        Trainings of the fit, this one and those after it.

    Attributes
    ----------
    data : DeviceData
        Training data on the devices.
    early_stopping : EarlyStopping or None
    inputs : InputVariance or None
        Of what is reconstructed, once it has been trained on.
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
        self.early_stopping_data: tuple[DeviceData, ...] = ()  # rechunked with the data
        tangents = problem.tangents
        if isinstance(problem.data, Split):
            held_out = self._on_devices(problem.data.held_out)
            # An error on its own has no use for tangents, which would be made for nothing.
            plain = self._on_devices(problem.data.training)
            self.data = plain if tangents is None else self._on_devices(tangents.add_to(problem.data.training))
            self.early_stopping_data = (held_out,) if tangents is None else (plain, held_out)
            self.early_stopping = problem.early_stopping(
                problem.objective, plain, held_out, estimator.dtype, estimator.n_iter_no_change, problem.offset
            )
        else:
            self.data = self._on_devices(problem.data if tangents is None else tangents.add_to(problem.data))
        self.data.on_rows_passed = reporter.rows_passed
        self.callbacks = self._callbacks()

    @property
    def held_out_scores(self) -> list[tuple[int, float]]:
        """Iteration and mean log-likelihood of what is held out; empty where nothing is."""
        return [] if self.early_stopping is None else self.early_stopping.log_likelihoods

    def train(self) -> Training:
        """Train. With early stopping the training ends at the weights that were kept.

        The history counts seconds from the beginning of the fit, so that the trainings before this one are in them.
        """
        before = self.reporter.seconds()
        objective, dtype = self.problem.objective, self.estimator.dtype
        theta = all_gather(self.problem.theta, self.data.dataset.mesh)[0]  # the weights of the first process
        self._refuse_followers_of_several_processes()
        sizes = "-".join(map(str, objective.network.layer_sizes))
        if self.checkpointer is not None:
            self.checkpointer.begin_training(self._dependence())
        self.reporter.begin(f"compiling and training a network {sizes} in {dtype}")
        try:
            training = self._train_once(theta)
        except jax.errors.JaxRuntimeError as error:
            # Of several processes one alone would begin again while the others wait.
            if "RESOURCE_EXHAUSTED" not in str(error) or n_processes(self.data.dataset.mesh) > 1:
                raise
            self._halve_chunks()
            training = self._train_once(theta)
        if self.polish and can_be_polished(training):
            training = self._polish(training)
        if self.early_stopping is not None:
            training = self.early_stopping.keep_best(training)
        history = [replace(progress, seconds=before + progress.seconds) for progress in training.history]
        return replace(training, history=history)

    def _on_devices(self, dataset: Dataset) -> DeviceData:
        problem = self.problem
        return DeviceData(dataset, problem.layer_sizes, self.estimator.chunk_size, problem.objective.input_scale)

    def _callbacks(self) -> list[FitCallback]:
        """Early stopping first, for its scores are shown; the user's last: it is not called where others stop."""
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
            self.inputs = input_variance(samples, estimator.dtype)
        training = train(
            self.problem.objective,
            samples,
            theta,
            solver=estimator.solver,
            dtype=estimator.dtype,
            tol=estimator.tol,
            max_iter=estimator.max_iter,
            time_budget=self.budget.share(self.n_to_come),
            callbacks=self.callbacks,
            checkpointer=self.checkpointer,
            plateau=None if self.inputs is None else self.inputs.plateau,
        )
        self.budget.use(training.timed)
        if self.n_to_come > 1 and training.stop_reason == "time_budget":
            self.budget.cut_off.append(training.history[-1].iteration)
        return training

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
        """Begin again with chunks of half the size."""
        before = self.data.chunk_size_in(self.estimator.dtype)
        after = max(before // 2, 1)
        for part in (self.data, *self.early_stopping_data):
            part.rechunk(after)
        warn_user(
            f"A device had too little memory for chunks of {before} samples; trying once more with chunks of {after}.",
            UserWarning,
        )
        for callback in self.callbacks:
            callback.reset()

    def _dependence(self) -> dict[str, Any]:
        """Return what the training depends on beside the fit's data and options: what earlier trainings have found.

        By the first process, for all.
        """
        numbers = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(self.problem.objective)]
        objective = all_gather(array_digest(*numbers), self.data.dataset.mesh)[0]
        return {"part": self.reporter.label, "objective": int(objective)}

    def _refuse_followers_of_several_processes(self) -> None:
        """Raise ValueError where a callback of scikit-learn wants each iterate in a distributed run.

        Only all processes together know the fitted attributes.
        """
        mesh = self.data.dataset.mesh
        wanted = bool(max_of_processes(self.reporter.task.every_iteration, mesh))
        if wanted and n_processes(mesh) > 1:
            raise ValueError("callbacks that ask for the fitted estimator cannot follow a fit of several processes")
