"""Ways to fit many settings; each has its own process, so that its first run compiles."""

from __future__ import annotations

import itertools
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.problems import NOTES, make_data

__all__ = ["LANES", "SETTINGS", "WAYS", "Way"]

SETTINGS = [
    {"rho": rho, "beta": beta, "alpha": alpha}
    for rho, beta, alpha in itertools.product((0.005, 0.01, 0.05, 0.2), (0.3, 3.0), (0.0, 1e-5, 1e-4, 1e-2))
]
LANES = 8  # at a time; all 32 in one program did not finish within nine minutes on two cores
WAYS = {
    "lanes": f"lanes of one program, {LANES} at a time (`train_lanes`)",
    "threads": "side by side in threads (`train_side_by_side`)",
    "processes": "worker processes (joblib, loky, `SparseAutoencoder.fit`)",
    "after": "one after another (`SparseAutoencoder.fit`)",
}


class Way:
    """One of `WAYS`, in a worker."""

    def __init__(self, way: str, cores: int, max_iter: int) -> None:
        self.way, self.cores, self.max_iter = way, cores, max_iter
        self.X = make_data(NOTES).astype(np.float32)

    def fit_all(self) -> dict[str, Any]:
        """Fit all settings; return the seconds, and J of each setting for comparison."""
        start = time.perf_counter()
        costs = getattr(self, f"_{self.way}")()
        return {"seconds": time.perf_counter() - start, "costs": costs}

    def _models(self) -> list[Any]:
        from sparsam import SparseAutoencoder

        return [SparseAutoencoder(25, **setting, max_iter=self.max_iter, random_state=0) for setting in SETTINGS]

    def _together(self, models: list[Any], train_many: Any, **options: Any) -> list[float]:
        from sparsam.estimators.fit_many import fit_many

        costs = [0.0] * len(models)

        def finished(number: int, model: Any) -> None:
            costs[number] = model.loss_

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are not meant to converge
            fit_many(models, self.X, finished, train_many=train_many, **options)
        return costs

    def _lanes(self) -> list[float]:
        from sparsam.engine.training.train_many import train_lanes

        models = self._models()
        blocks = [models[start : start + LANES] for start in range(0, len(models), LANES)]
        return [cost for block in blocks for cost in self._together(block, train_lanes)]

    def _threads(self) -> list[float]:
        from sparsam.engine.training.train_many import train_side_by_side

        return self._together(self._models(), train_side_by_side, n_workers=self.cores)

    def _processes(self) -> list[float]:
        from joblib import Parallel, delayed

        jobs = [delayed(fitted_cost)(model, self.X) for model in self._models()]
        return list(Parallel(n_jobs=self.cores, backend="loky")(jobs))

    def _after(self) -> list[float]:
        return [fitted_cost(model, self.X) for model in self._models()]


def fitted_cost(model: Any, X: np.ndarray) -> float:
    """Fit a model; return its J."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(model.fit(X).loss_)
