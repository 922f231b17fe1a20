"""PyTorch's Adam on the full batch, since the sparsity penalty needs the mean over all data."""

from __future__ import annotations

import torch

from benchmarks.protocol import Limits, Recorder, Run, Start, Stop
from benchmarks.systems.torch_lbfgs import TorchSystem, flat, snapshot

CHECK_EVERY = 10  # iterations between checks of the gradient's size


class TorchAdam(TorchSystem):
    """torch.optim.Adam.

    Parameters
    ----------
    dtype : {"float32", "float64"}
    learning_rate : float
    """

    def __init__(self, dtype: str = "float32", learning_rate: float = 1e-2) -> None:
        super().__init__(dtype)
        self.learning_rate = learning_rate

    def run(self, start: Start, limits: Limits) -> Run:
        """Minimize until the gradient is small or the time is used up."""
        leaves = self.leaves(start.theta)
        optimizer = torch.optim.Adam(leaves, lr=self.learning_rate, fused=True)
        recorder, best = Recorder(limits), leaves
        try:
            while True:
                optimizer.zero_grad(set_to_none=True)
                J = self.cost(leaves)
                J.backward()
                if recorder.record(J.item()):
                    best = snapshot(leaves)
                recorder.check()
                if recorder.evaluations % CHECK_EVERY == 0 and self._largest_gradient(leaves) <= limits.tol:
                    best, reason = leaves, "tol"
                    break
                optimizer.step()
        except Stop as stop:
            reason = str(stop)
        return Run(flat(best), recorder.seconds, recorder.curve, reason, recorder.evaluations)

    @staticmethod
    def _largest_gradient(leaves: list[torch.Tensor]) -> float:
        return max(leaf.grad.abs().max().item() for leaf in leaves)
