"""JAX computes J and its gradient, compiled; SciPy's L-BFGS-B minimizes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems import Problem
from benchmarks.protocol import Limits, Run, Start
from benchmarks.systems.jax_cost import make_cost, set_precision
from benchmarks.systems.notes import run_lbfgsb


class JaxScipy:
    """jit(value_and_grad) under `scipy.optimize.fmin_l_bfgs_b`.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Precision of J; L-BFGS-B itself works in float64.
    m : int
        Number of pairs in L-BFGS-B's memory.
    """

    def __init__(self, dtype: str = "float64", m: int = 20) -> None:
        set_precision(dtype)
        self.dtype, self.m = dtype, m

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Copy the data to the device."""
        self.x = jnp.asarray(data, self.dtype)
        self.value_and_gradient = jax.jit(jax.value_and_grad(make_cost(problem, self.dtype)))

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize."""

        def cost(theta):
            J, gradient = self.value_and_gradient(jnp.asarray(theta, self.dtype), self.x)
            return float(J), np.asarray(gradient, dtype=np.float64)

        return run_lbfgsb(cost, start, limits, self.m)
