"""The library through its public interface: `SparseAutoencoder(...).fit(X)`, with the whole call timed."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from benchmarks.problems import Problem
from benchmarks.programs.library import solver_keyword
from benchmarks.protocol import Limits, Run, Start, weights_of
from sparsam import SparseAutoencoder


def autoencoder(problem: Problem, start: Start, limits: Limits, **options: Any) -> SparseAutoencoder:
    """Make the estimator of a job, which starts from the weights of `start`, drawn by ``random_state=seed``."""
    model = SparseAutoencoder(
        problem.n_components,
        rho=problem.rho,
        beta=problem.beta,
        alpha=problem.alpha,
        output_activation=problem.output_activation,
        tol=limits.tol,
        max_iter=10**6,
        time_budget=limits.max_seconds,
        random_state=start.seed,
    )
    if problem.output_activation == "identity":
        # New weights would be those for centered inputs, so that J would begin elsewhere than for the other systems.
        n_in, n_hidden, n_out = problem.layer_sizes
        ends = np.cumsum([n_in * n_hidden, n_hidden * n_out, n_hidden])
        W1, W2, b1, b2 = np.split(start.theta, ends)
        model.coefs_, model.intercepts_ = [W1.reshape(n_in, n_hidden), W2.reshape(n_hidden, n_out)], [b1, b2]
        model.warm_start = True
    return model.set_params(**options)


class Estimator:
    """SparseAutoencoder.

    Parameters
    ----------
    solver : str
        Passed on if the estimator has this keyword.
    dtype : {"float32", "float64"}
    """

    def __init__(self, solver: str, dtype: str = "float32") -> None:
        self.options = {**solver_keyword(solver), "dtype": dtype}

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Keep the rows, as a user would have them."""
        self.problem, self.data = problem, data

    def run(self, start: Start, limits: Limits) -> Run:
        """Fit from the weights of `start`."""
        target = limits.target
        callback = None if target is None else lambda progress: progress.J <= target
        model = autoencoder(self.problem, start, limits, callback=callback, **self.options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about convergence, which the judge reports
            begin = time.perf_counter()
            model.fit(self.data)
            seconds = time.perf_counter() - begin
        history = model.history_
        # The curve starts after the time that `fit` spends around the training (validation, ordering rows).
        around = seconds - history["seconds"].iloc[-1]
        curve = list(zip(history["seconds"] + around, history["evaluations"], history["J"], strict=True))
        return Run(weights_of(model), seconds, curve, model.stop_reason_, model.n_evaluations_)
