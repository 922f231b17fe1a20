"""The page EMBEDDINGS.md."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embeddings.frontier import draw_frontier
from benchmarks.records import Records
from benchmarks.report.markdown import table
from sparsam._utils.atomic_write import atomic_write

__all__ = ["write_report"]

INTRODUCTION = """# Sparse codes of word vectors

20,000 GloVe vectors of 50 dimensions, about their mean and in units of their length; 10,000 others are held out. J is
the mean of half the squared error plus beta times the mean total length of the contributions, without weight decay,
computed by one judge in float64 from the weights of each system at the end of its time. All systems start from rows of
length 0.3, with the encoder their transpose; all but ours from the same ones for each seed. Compilation does not count.

Adam is PyTorch's, with a warm-up and a cosine decay to 0 that ends with the time; its row is the best of six settings
(rates 0.003, 0.01, 0.02, batches of 256, 1,024), chosen by J at that time with the first seed. TopK has as many active
units as ours, the auxiliary loss for dead units, and the best of four settings (rates 0.001, 0.003, 0.01 with batches
of 1,024, and 0.003 with 256), chosen by the explained variance of the held-out rows; its J is not comparable.
Dictionary learning is scikit-learn's, whose codes are computed by a Lasso for each row. "To the end" is this library
without a limit, with the largest entry of its gradient. Means over the seeds, with the standard deviation.

"""

DECAY = """What weight decay does to this library's result in the last of these times:

"""

END = float("inf")
"""The time of fits that have no limit."""


def write_report(records: Records, folder: Path) -> Path:
    """Write the page and its picture, and return the path of the page."""
    groups: dict[tuple[int, float], list[dict[str, Any]]] = defaultdict(list)
    for row in records.of("embeddings"):
        groups[row["units"], row["beta"]].append(row | {"seconds": END if row["seconds"] is None else row["seconds"]})
    text = INTRODUCTION
    if draw_frontier([row for rows in groups.values() for row in rows], folder / "embeddings.png"):
        text += "![Explained variance of held-out rows against active units](embeddings.png)\n\n"
    for (units, beta), rows in sorted(groups.items()):
        about = records.rows[f"machine/{units}/{beta:g}"]
        machine = f"On {about['cores_used']} cores of {about['processor']}."
        text += f"## {units:,} units, beta = {beta:g}\n\n{machine}\n\n{_table(rows)}\n\n"
        decays = [row for row in rows if row["system"].startswith("alpha ")]
        if decays:
            text += f"{DECAY}{_decay_table(decays)}\n\n"
    path = folder / "EMBEDDINGS.md"
    with atomic_write(path) as file:
        file.write(text.rstrip("\n").encode() + b"\n")
    return path


def _table(rows: list[dict[str, Any]]) -> str:
    by_run: dict[tuple[float, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if not row["system"].startswith(("Adam 0", "TopK 0", "alpha ")):  # settings that were tried
            by_run[row["seconds"], row["system"]].append(row)
    columns = ["seconds", "system", "J", "explained, held out", "active units", "dead", "agreement of seeds", "seeds"]
    lines = []
    for (seconds, system), of_run in sorted(by_run.items()):
        runs = [row for row in of_run if row["seed"] is not None]
        agreement = next((f"{row['agreement']:.3f}" for row in of_run if "agreement" in row), "")
        J = "" if system.startswith(("TopK", "dictionary")) else _mean(runs, "J", 5)
        dead = "" if system == "dictionary learning" else f"{100 * np.mean([row['dead'] for row in runs]):.1f} %"
        explained, active = _mean(runs, "explained", 4), _mean(runs, "active", 1)
        name = f"{system}, gradient {max(row['gradient_norm'] for row in runs):.0e}" if seconds == END else system
        lines.append([_time(seconds, runs), name, J, explained, active, dead, agreement, str(len(runs))])
    return table(columns, lines)


def _decay_table(rows: list[dict[str, Any]]) -> str:
    columns = ["decay", "J", "J, held out", "explained", "explained, held out", "active units", "dead"]
    lines = [
        [
            row["system"].replace("alpha ", "alpha = "),
            *(f"{row[name]:.4f}" for name in ("J", "J_held_out", "explained_train", "explained")),
            f"{row['active']:.1f}",
            f"{100 * row['dead']:.1f} %",
        ]
        for row in sorted(rows, key=lambda row: float(row["system"].removeprefix("alpha ")))
    ]
    return table(columns, lines)


def _time(seconds: float, runs: list[dict[str, Any]]) -> str:
    """Return the limit, or the mean time of fits to the end."""
    return f"{seconds:g}" if seconds != END else f"to the end, {np.mean([row['took'] for row in runs]):.0f}"


def _mean(rows: list[dict[str, Any]], name: str, digits: int) -> str:
    values = [row[name] for row in rows]
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"
