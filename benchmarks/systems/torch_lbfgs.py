"""PyTorch's L-BFGS on an eager, unchunked J."""

from __future__ import annotations

import os

import numpy as np
import torch

from benchmarks.problems import Problem
from benchmarks.protocol import Limits, Recorder, Run, Start, Stop

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


class TorchSystem:
    """Base of the PyTorch systems: the data, the weights as leaf tensors, and J.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = getattr(torch, dtype)

    def prepare(self, problem: Problem, data: np.ndarray) -> None:
        """Copy the data into a tensor."""
        self.problem, self.x = problem, torch.tensor(data, dtype=self.dtype)

    def leaves(self, theta: np.ndarray) -> list[torch.Tensor]:
        """Return W1, W2, b1, b2 as tensors that require gradients."""
        D, M = self.problem.n_features, self.problem.n_components
        shapes = ((D, M), (M, D), (M,), (D,))
        pieces = np.split(theta, np.cumsum([D * M, M * D, M]))
        return [
            torch.tensor(piece.reshape(shape), dtype=self.dtype, requires_grad=True)
            for piece, shape in zip(pieces, shapes, strict=True)
        ]

    def cost(self, leaves: list[torch.Tensor]) -> torch.Tensor:
        """Compute J."""
        problem, (W1, W2, b1, b2) = self.problem, leaves
        z = torch.sigmoid(torch.addmm(b1, self.x, W1))
        y = torch.sigmoid(torch.addmm(b2, z, W2))
        J = 0.5 / len(self.x) * torch.nn.functional.mse_loss(y, self.x, reduction="sum")
        J = J + 0.5 * problem.alpha * (W1.square().sum() + W2.square().sum())
        rho, rho_hat = problem.rho, z.mean(0)
        divergence = rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log((1 - rho) / (1 - rho_hat))
        return J + problem.beta * divergence.sum()


def flat(leaves: list[torch.Tensor]) -> np.ndarray:
    """Return the weights as one float64 vector."""
    return torch.cat([leaf.detach().reshape(-1) for leaf in leaves]).double().numpy()


def snapshot(leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    """Copy the weights; this is cheaper than `flat`."""
    return [leaf.detach().clone() for leaf in leaves]


class TorchLBFGS(TorchSystem):
    """torch.optim.LBFGS with its strong Wolfe line search.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    history_size : int
    """

    def __init__(self, dtype: str = "float32", history_size: int = 20) -> None:
        super().__init__(dtype)
        self.history_size = history_size

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize, with tolerance_change=0, so that only the gradient or a step of exactly 0 stops it."""
        leaves = self.leaves(start.theta)
        optimizer = torch.optim.LBFGS(
            leaves,
            max_iter=10**6,
            max_eval=10**6,
            tolerance_grad=limits.tol,
            tolerance_change=0.0,
            history_size=self.history_size,
            line_search_fn="strong_wolfe",
        )
        recorder, best = Recorder(limits), leaves

        def closure():
            nonlocal best
            optimizer.zero_grad(set_to_none=True)
            J = self.cost(leaves)
            J.backward()
            if recorder.record(J.item()):
                best = snapshot(leaves)
            recorder.check()
            return J

        try:
            optimizer.step(closure)
            best, reason = leaves, "its own criteria"
        except Stop as stop:
            reason = str(stop)
        return Run(flat(best), recorder.seconds, recorder.curve, reason, recorder.evaluations)
