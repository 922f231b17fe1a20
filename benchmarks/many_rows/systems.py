"""The systems, each in a process of its own: the library in memory and as a stream, and mini-batches of two peers."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.problems import Problem
from benchmarks.protocol import Limits, Run, Start, weights_of

__all__ = ["BatchAdam", "BatchMLP", "Library"]


class Chunks:
    """Rows that are read again in every pass, with a count of the passes."""

    def __init__(self, rows: np.ndarray, size: int = 50_000) -> None:
        self.rows, self.size, self.passes = rows, size, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        self.passes += 1
        for start in range(0, len(self.rows), self.size):
            yield self.rows[start : start + self.size]


class Library:
    """`SparseAutoencoder.fit`.

    Parameters
    ----------
    start_on_sample : bool
    streamed : bool
        Whether the rows are chunks of an object, which are read again in every pass.
    """

    def __init__(self, start_on_sample: bool, streamed: bool = False) -> None:
        self.start_on_sample, self.streamed = start_on_sample, streamed

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Keep the rows, as a user would have them."""
        self.problem, self.data = problem, data

    def run(self, start: Start, limits: Limits) -> Run:
        """Fit with ``random_state=seed``, which draws the weights of `start`."""
        from benchmarks.systems.estimator import autoencoder

        options = {"max_iter": 3} if limits.warm_up else {}
        model = autoencoder(self.problem, start, limits, start_on_sample=self.start_on_sample, **options)
        X = Chunks(self.data) if self.streamed else self.data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about convergence, which the judge reports
            begin = time.perf_counter()
            model.fit(X)
            seconds = time.perf_counter() - begin
        sampled = model.sample_history_
        on_sample = float(sampled["evaluations"].iloc[-1]) if len(sampled) else 0.0
        passes = X.passes if isinstance(X, Chunks) else None
        extra = {"on_sample": on_sample, "passes": passes}
        return Run(weights_of(model), seconds, [], model.stop_reason_, model.n_evaluations_, extra)


@dataclass
class BatchAdam:
    """torch.optim.Adam on random mini-batches, where the sparsity penalty is that of the batch's mean activations.

    The learning rate falls linearly to zero over the time of the run, which is known in advance.

    Parameters
    ----------
    learning_rate : float
    batch_size : int
    """

    learning_rate: float
    batch_size: int

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Copy the data into a tensor."""
        import torch

        from benchmarks.systems.torch_lbfgs import TorchSystem

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.system = TorchSystem("float32")
        self.system.prepare(problem, data)
        self.rows = self.system.x

    def run(self, start: Start, limits: Limits) -> Run:
        """Take steps until the time is used up."""
        import torch

        from benchmarks.systems.torch_lbfgs import flat

        leaves = self.system.leaves(start.theta)
        optimizer = torch.optim.Adam(leaves, lr=self.learning_rate, fused=True)
        generator = torch.Generator().manual_seed(start.seed)
        begin, steps, order, position = time.perf_counter(), 0, None, 0
        while (elapsed := time.perf_counter() - begin) < limits.max_seconds:
            if order is None or position + self.batch_size > len(order):
                order, position = torch.randperm(len(self.rows), generator=generator), 0
            self.system.x = self.rows[order[position : position + self.batch_size]]
            position += self.batch_size
            optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - elapsed / limits.max_seconds)
            optimizer.zero_grad(set_to_none=True)
            self.system.cost(leaves).backward()
            optimizer.step()
            steps += 1
        seconds = time.perf_counter() - begin
        return Run(flat(leaves), seconds, [], "time", None, {"epochs": steps * self.batch_size / len(self.rows)})


@dataclass
class BatchMLP:
    """scikit-learn's MLPRegressor(solver="adam"), which stops when its loss has ceased to fall.

    Parameters
    ----------
    learning_rate : float
    batch_size : int
    """

    learning_rate: float
    batch_size: int

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Keep the rows in the precision that is faster."""
        self.problem, self.data = problem, np.asarray(data, np.float32)

    def run(self, start: Start, limits: Limits) -> Run:
        """Fit from scikit-learn's own initial weights, with its own stopping rule."""
        from sklearn.neural_network import MLPRegressor

        # Its alpha is divided by the number of rows of a batch.
        options: dict[str, Any] = {"alpha": self.problem.alpha * self.batch_size, "batch_size": self.batch_size}
        model = MLPRegressor(
            hidden_layer_sizes=(self.problem.n_components,),
            activation="logistic",
            solver="adam",
            learning_rate_init=self.learning_rate,
            max_iter=1 if limits.warm_up else 100,
            tol=1e-6,
            random_state=start.seed,
            **options,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begin = time.perf_counter()
            model.fit(self.data, self.data)
            seconds = time.perf_counter() - begin
        return Run(weights_of(model), seconds, [], f"{model.n_iter_} epochs", None, {"epochs": float(model.n_iter_)})
