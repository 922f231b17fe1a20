"""LIKELIHOODS.md and its plot, from the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.likelihoods.covariance import DATASETS
from benchmarks.likelihoods.labels import NOISES
from benchmarks.records import Records
from benchmarks.report.markdown import table

__all__ = ["write_report"]

METHODS = {
    "plain": "plain cross-entropy",
    "known": "known T",
    "estimate": 'epsilon="estimate"',
    "estimate_matrix": 'epsilon="estimate_matrix"',
    "cleanlab": "cleanlab CleanLearning",
}
HEAD = """# What the likelihoods are worth

Written by `python -m benchmarks.likelihoods` from `likelihoods.jsonl`; not to be edited.
"""


def write_report(records: Records, folder: Path) -> list[Path]:
    """Write what the records allow; return the files."""
    parts, files = [HEAD], []
    if rows := records.of("covariance"):
        parts.append(_covariance(rows, records.of("ngboost")))
    if rows := records.of("labels"):
        parts.append(_labels(rows))
        files.append(_plot(rows, folder / "labels.png"))
    page = folder / "LIKELIHOODS.md"
    page.write_text("\n".join(parts))
    return [page, *files]


def _spread(values: list[float], digits: int = 3) -> str:
    if not values:
        return "-"
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def _covariance(rows: list[dict[str, Any]], peers: list[dict[str, Any]]) -> str:
    lines = []
    for name in DATASETS:
        of_data = [row for row in rows if row["data"] == name]
        if not of_data:
            continue
        of_peer = {row["seed"]: row for row in peers if row["data"] == name}
        gains = [row["full"]["log_likelihood"] - row["diag"]["log_likelihood"] for row in of_data]
        worth = [row["worth"] for row in of_data]
        paired = [
            row["full"]["log_likelihood"] - of_peer[row["seed"]]["log_likelihood"]
            for row in of_data
            if row["seed"] in of_peer
        ]
        lines.append(
            [
                f"{name} ({len(of_data)})",
                *(
                    _spread([row[structure]["log_likelihood"] for row in of_data])
                    for structure in ("full", "diag", "spherical")
                ),
                _spread([row["log_likelihood"] for row in of_peer.values()]),
                _spread(gains),
                _spread(worth),
                f"{np.mean(gains) / np.mean(worth):.0%}",
                _spread(paired),
            ]
        )
    head = [
        "data (splits)",
        "full",
        "diag",
        "spherical",
        "NGBoost",
        "full - diag",
        "-1/2 ln\\|R\\|",
        "share",
        "full - NGBoost",
    ]
    return f"""## A noise covariance between outputs (PRML exercise 5.3)

Held-out log-likelihood, nats a sample in the units of the targets: mean and standard deviation over random splits, 80 %
to train on. Each structure has its own network, with early stopping by a fifth of the training part; hidden
layers and alpha are chosen by the likelihood of that.
R is the correlation of the held-out residuals of the network with the full covariance: -1/2 ln|R| is what knowing it is
worth. NGBoost's MultivariateNormal in an environment of its own, trees and learning rate chosen likewise.

{table(head, lines)}
"""


def _labels(rows: list[dict[str, Any]]) -> str:
    def cell(noise: str, method: str, value: str, digits: int) -> str:
        found = [row[value] for row in rows if row["noise"] == noise and row["method"] == method]
        return _spread([x for x in found if x is not None], digits)

    def of(value: str, digits: int, methods: list[str]) -> str:
        lines = [[METHODS[m], *(cell(noise, m, value, digits) for noise in NOISES)] for m in methods]
        return table(["", *NOISES], lines)

    every = list(METHODS)
    return f"""## Wrong labels (PRML exercise 5.4)

10,000 digits of MNIST, labels flipped to any other digit (symmetric) or to the next one (pairwise); a hidden layer of
200, early stopping by a tenth held out with its noisy labels, alpha chosen by the same; 10,000 test digits with their
true labels; mean and standard deviation over seeds.

![Test accuracy and log-loss of the methods against the noise.](labels.png)

### Accuracy on test digits

{of("accuracy", 4, every)}

### Log-loss of the true labels of test digits, nats

{of("log_loss", 3, every)}

### Area under ROC of the probability that a label is wrong, planted errors in the training digits

{of("auc", 4, every)}

### Estimated mean probability of a wrong label

{of("epsilon", 3, ["estimate", "estimate_matrix"])}

### Largest error of an element of T

{of("largest_error_of_T", 3, ["estimate", "estimate_matrix"])}
"""


def _plot(rows: list[dict[str, Any]], file: Path) -> Path:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for k, value in enumerate(("accuracy", "log_loss")):
        for offset, (method, label) in enumerate(METHODS.items()):
            x, y = [], []
            for position, noise in enumerate(NOISES):
                for row in rows:
                    if row["noise"] == noise and row["method"] == method:
                        x.append(position + 0.12 * (offset - 2))
                        y.append(row[value])
            axes[k].plot(x, y, "o", markersize=5, alpha=0.8, label=label)
        axes[k].set_xticks(range(len(NOISES)), [noise.replace(" ", "\n") for noise in NOISES])
        axes[k].grid(axis="y", color="0.9", linewidth=0.6)
    axes[0].set_ylabel("test accuracy")
    axes[1].set_ylabel("test log-loss / nats")
    axes[1].set_yscale("log")
    axes[0].legend(fontsize="small", frameon=False)
    figure.savefig(file, dpi=150)
    return file
