"""scikit-learn's MLPRegressor with solver="lbfgs", which has no sparsity penalty and only linear outputs."""

from __future__ import annotations

import time
import warnings

import numpy as np
from sklearn.neural_network import MLPRegressor

from benchmarks.problems import Problem
from benchmarks.protocol import Limits, Run, Start, weights_of


class SklearnMLP:
    """MLPRegressor(solver="lbfgs"), NumPy float64 and SciPy's L-BFGS-B with m = 10."""

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Make a fitted model, for warm starts."""
        if problem.beta != 0 or problem.output_activation != "identity":
            raise ValueError("MLPRegressor has no sparsity penalty, and only linear outputs")
        self.problem, self.data = problem, np.ascontiguousarray(data)
        self.model = MLPRegressor(
            hidden_layer_sizes=(problem.n_components,),
            activation="logistic",
            solver="lbfgs",
            alpha=problem.alpha * len(data),  # MLPRegressor divides by the number of samples
            warm_start=True,
            max_iter=1,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(self.data, self.data)

    def run(self, start: Start, limits: Limits) -> Run:
        """Fit from the given weights; there is no curve and no time budget."""
        D, M = self.problem.n_features, self.problem.n_components
        W1, W2, b1, b2 = np.split(start.theta.copy(), np.cumsum([D * M, M * D, M]))
        self.model.coefs_, self.model.intercepts_ = [W1.reshape(D, M), W2.reshape(M, D)], [b1, b2]
        self.model.set_params(tol=limits.tol, max_iter=20 if limits.warm_up else 100_000, max_fun=10**6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begin = time.perf_counter()
            self.model.fit(self.data, self.data)
            seconds = time.perf_counter() - begin
        return Run(weights_of(self.model), seconds, [], f"{self.model.n_iter_} iterations", None)
