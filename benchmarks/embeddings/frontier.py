"""The frontier: explained variance of the held-out rows against active units, of each system at the last time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["draw_frontier"]

DRAWN = {"sparsam": "C0", "Adam, the best of six": "C1", "TopK, the best of four": "C2", "dictionary learning": "C7"}


def draw_frontier(rows: list[dict[str, Any]], path: Path) -> bool:
    """Draw a panel for each number of units with two values of beta or more; return whether there is one."""
    import matplotlib.pyplot as plt

    betas: dict[int, set[float]] = {}
    for row in rows:
        betas.setdefault(row["units"], set()).add(row["beta"])
    n_units = [n for n in sorted(betas) if len(betas[n]) > 1]
    if not n_units:
        return False
    figure, axes = plt.subplots(1, len(n_units), figsize=(5 * len(n_units), 3.4), squeeze=False, layout="constrained")
    for ax, n in zip(axes[0], n_units, strict=True):
        for system, color in DRAWN.items():
            points = _points([row for row in rows if row["units"] == n and row["system"] == system], sorted(betas[n]))
            ax.plot(*points.T, "o-", color=color, label=system, markersize=4)
        ax.set(xlabel="active units of a word", ylabel="explained variance, held out", title=f"{n:,} units")
    axes[0, 0].legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return True


def _points(rows: list[dict[str, Any]], betas: list[float]) -> np.ndarray:
    """Return the mean active units and explained variance for each beta, at the last time that has a limit."""
    rows = [row for row in rows if row["seed"] is not None and np.isfinite(row["seconds"])]
    last = max((row["seconds"] for row in rows), default=0)
    found = [[row for row in rows if row["seconds"] == last and row["beta"] == beta] for beta in betas]
    means = [[np.mean([row[name] for row in some]) for name in ("active", "explained")] for some in found if some]
    return np.array(means).reshape(-1, 2)
