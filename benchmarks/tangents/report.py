"""TANGENTS.md and its plot, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.records import Records
from benchmarks.report.markdown import table
from benchmarks.tangents.study import METHODS, N_COPIES, N_UNLABELED, SHAPE, SIZES, autoencoder, mnist
from sparsam import encoder_tangents
from sparsam.display import plot_invariance, plot_tangents
from sparsam.images import image_tangents
from sparsam.images.tangents import TRANSFORMS

__all__ = ["draw_tangents", "write_report"]

COLORS = ("#555555", "#D55E00", "#009E73", "#0072B2")
MARKERS = "sov^"


def write_report(records: Records, folder: Path) -> list[Path]:
    """Write what the records allow; return the files."""
    rows = records.of("tangents")
    page, plot = folder / "TANGENTS.md", folder / "tangents.png"

    def of(method: str, n: int, value: str) -> list[float]:
        return [row[value] for row in rows if row["method"] == method and row["n"] == n]

    def cell(method: str, n: int, value: str, factor: float = 1.0, digits: int = 2) -> str:
        values = np.array(of(method, n, value)) * factor
        return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}" if len(values) else "-"

    def cut(method: str, n: int) -> str:
        plain, other = of("without", n, "error"), of(method, n, "error")
        return f"{1 - np.mean(other) / np.mean(plain):.0%}" if plain and other else "-"

    def settings(method: str, n: int) -> str:
        return ", ".join(
            f"({row['setting'][0]:g}, {row['setting'][1]:g})"
            for row in rows
            if row["method"] == method and row["n"] == n
        )

    head = ["digits to train on", *map(str, SIZES)]
    errors = [[method, *(cell(method, n, "error", 100) for n in SIZES)] for method in METHODS]
    cuts = [[method, *(cut(method, n) for n in SIZES)] for method in METHODS[1:]]
    seconds = [[method, *(cell(method, n, "seconds", 1, 1) for n in SIZES)] for method in METHODS]
    chosen = [[method, *(settings(method, n) for n in SIZES)] for method in METHODS]
    page.write_text(f"""# What invariance is worth

Written by `python -m benchmarks.tangents` from `tangents.jsonl`; not to be edited.

Digits of MNIST, a network 784-100-10 of tanh units, softmax outputs; error on the 10,000 test digits, mean and standard
deviation over draws of the training digits. Weights of the penalties, or the size of the moves, are chosen by the
likelihood of digits held out inside the training part (four folds up to 320 digits, a quarter of more). Image tangents
are all seven of `sparsam.images.image_tangents`, on the log-odds; learned ones the eight leading singular vectors of
the encoder of a sparse autoencoder of 400 units that saw {N_UNLABELED:,} digits without their labels (its parameters
were chosen by hand, at draw 0 of 320 digits). Moved copies:
{N_COPIES} of each digit, shifted, turned, scaled and sheared at random, in the wall time that the training with image
tangents took.

![Test error against the number of training digits, for the four methods.](tangents.png)

![Five digits, their seven image tangents, and their first three learned ones.](tangent-vectors.png)

How often 2,000 test digits are recognized when they really are moved, with 1,000 digits to train on
(`invariance_report`):

![Accuracy against the amount of each transform, with and without tangents.](invariance.png)

## Test error / %

{table(head, errors)}

## Share of the errors without that is gone

{table(head, cuts)}

## Seconds of the final training

On a machine that had other work: to compare roughly only.

{table(head, seconds)}

## What was chosen: (alpha, tangent_weight or size of the moves), draw by draw

{table(head, chosen)}
""")
    _plot(rows, plot)
    files = [page, plot]
    if reports := records.of("invariance"):
        file = folder / "invariance.png"
        plot_invariance(pd.DataFrame(reports[0]["report"]), quantity="score", save=file)
        files.append(file)
    return files


def draw_tangents(folder: Path) -> None:
    """Digits, their image tangents, and three of their learned ones."""
    X = mnist()["X"][:5]
    tangents = np.concatenate([image_tangents(X, SHAPE), encoder_tangents(X, autoencoder(), 3)], axis=1)
    names = [*TRANSFORMS, "learned 1", "learned 2", "learned 3"]
    plot_tangents(X, tangents, SHAPE, names=names, save=folder / "tangent-vectors.png")


def _plot(rows: list[dict[str, Any]], file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    for method, color, marker in zip(METHODS, COLORS, MARKERS, strict=True):
        points = [(row["n"], 100 * row["error"]) for row in rows if row["method"] == method]
        sizes = sorted({n for n, _ in points})
        means = [np.mean([error for n, error in points if n == size]) for size in sizes]
        if not points:
            continue
        ax.plot(*zip(*points, strict=True), marker, color=color, markersize=3.5, alpha=0.4, linewidth=0)
        ax.plot(sizes, means, f"-{marker}", color=color, markersize=5, linewidth=1.2, label=method)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks(SIZES, [f"{n:,}" for n in SIZES])
    ax.set_yticks([3, 5, 10, 20, 30], ["3", "5", "10", "20", "30"])
    ax.minorticks_off()
    ax.set_xlabel("digits to train on")
    ax.set_ylabel("test error / %")
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(fontsize="small", frameon=False)
    figure.savefig(file, dpi=150)
    plt.close(figure)
