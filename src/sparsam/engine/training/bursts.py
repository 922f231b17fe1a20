"""Length of the bursts of a training: it has no influence on the result."""

from __future__ import annotations

from collections.abc import Collection

from sparsam.engine.training.compiled_loop import MAX_STEPS

__all__ = ["next_pause", "next_steps"]

BURST_SECONDS = 0.1  # target: short enough for Ctrl-C and progress, long enough for a negligible overhead of the host


def next_pause(iteration: int, snapshots: Collection[int], max_iter: int) -> int:
    """Return the iteration at which to pause next: that of the next snapshot, or else the last iteration."""
    return min((wanted for wanted in snapshots if wanted > iteration), default=max_iter)


def next_steps(steps: int, seconds: float) -> int:
    """Choose the length of the next burst by doubling or halving the last one's, to approach `BURST_SECONDS`."""
    if seconds < BURST_SECONDS / 2:
        return min(2 * steps, MAX_STEPS)
    return max(steps // 2, 1) if seconds > 2 * BURST_SECONDS else steps
