"""The reference program: NumPy and `scipy.optimize.fmin_l_bfgs_b`."""

from __future__ import annotations

import numpy as np

from benchmarks.problems import Problem
from benchmarks.programs import notes
from benchmarks.protocol import Limits, Recorder, Run, Start, Stop


class NotesProgram:
    """The notes' job in NumPy float64.

    Parameters
    ----------
    m : int
        Number of pairs in L-BFGS-B's memory.
    cost : {"as_written", "in_place"}
    """

    def __init__(self, m: int = 10, cost: str = "as_written") -> None:
        self.m = m
        self.cost = notes.COSTS[cost]

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Collect the arguments of the cost; there is nothing to compile."""
        np.seterr(over="ignore")
        self.args = (*problem.layer_sizes[:2], problem.alpha, problem.rho, problem.beta, np.ascontiguousarray(data))

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize."""
        return run_lbfgsb(lambda theta: self.cost(theta, *self.args), start, limits, self.m)


def run_lbfgsb(cost, start: Start, limits: Limits, m: int) -> Run:
    """Run SciPy's L-BFGS-B on a function that returns J and its gradient in float64."""
    recorder = Recorder(limits)
    best = start.theta

    def recorded(theta):
        nonlocal best
        J, gradient = cost(theta)
        if recorder.record(J):
            best = theta.copy()
            recorder.check()
        return J, gradient

    try:
        theta, _, info = notes.train(recorded, start.theta, (), limits.tol, m)
        reason = info["task"] if isinstance(info["task"], str) else info["task"].decode()
    except Stop as stop:
        theta, reason = best, str(stop)
    return Run(theta, recorder.seconds, recorder.curve, reason, recorder.evaluations)
