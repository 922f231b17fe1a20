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

EQUAL_SHARES = """
The column "spherical" is of version 0.1.0, where it meant equal shares of each target's own variance. Since then it is
one variance in the units of the targets, which these figures say nothing of.
"""
METHODS = {
    "plain": "plain cross-entropy",
    "known": "known T",
    "estimate": 'epsilon="estimate"',
    "estimate_matrix": 'epsilon="estimate_matrix"',
    "cleanlab": "cleanlab CleanLearning",
}
COLORS = ("#555555", "#E69F00", "#009E73", "#D55E00", "#0072B2")
MARKERS = "s^ovD"
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
    likelihoods, gains = [], []
    for name in DATASETS:
        of_data = [row for row in rows if row["data"] == name]
        if not of_data:
            continue
        of_peer = {row["seed"]: row["log_likelihood"] for row in peers if row["data"] == name}

        def of(structure: str, of_data: list[dict[str, Any]] = of_data) -> list[float]:
            return [row[structure]["log_likelihood"] for row in of_data]

        paired = [row["full"]["log_likelihood"] - of_peer[row["seed"]] for row in of_data if row["seed"] in of_peer]
        title = f"{name} ({len(of_data)})"
        likelihoods.append(
            [
                title,
                *(_spread(of(structure)) for structure in ("full", "diag", "spherical")),
                _spread(list(of_peer.values())),
                _spread(paired),
                f"{np.median(paired):.3f}" if paired else "-",
            ]
        )
        worth = [row["worth"] for row in of_data]
        between = np.subtract(of("full"), of("diag"))
        within = np.subtract(of("full"), [row["same_net_diag"] for row in of_data])
        shares = [f"{np.mean(gain) / np.mean(worth):.0%}" for gain in (within, between)]
        gains.append([title, _spread(worth), _spread(list(within)), shares[0], _spread(list(between)), shares[1]])
    head = ["data (splits)", "full", "diag", "spherical", "NGBoost", "full - NGBoost", "its median"]
    head_of_gains = [
        "data (splits)",
        "-1/2 ln\\|R\\|",
        "full - its own diagonal",
        "share",
        "full - diag, network of its own",
        "share",
    ]
    return f"""## A noise covariance between outputs (PRML exercise 5.3)

Held-out log-likelihood, nats a sample in the units of the targets: mean and standard deviation over random splits, 80 %
to train on. Each structure has its own network, trained on all of the training part; its hidden layers and alpha are
chosen by the likelihood of a fifth of that (three times a fifth for scpf). NGBoost's MultivariateNormal in an
environment of its own, trees (at most 500) and learning rate (0.03 or 0.1) chosen by a quarter held out. Its covariance
depends on the inputs, which ours does not. The targets of scpf are counts of up to 938, with outliers that no normal
distribution of one covariance expects; "log scpf" are ln(1 + t).

{table(head, likelihoods)}
{"" if all("sparsam" in row for row in rows) else EQUAL_SHARES}
R is the correlation of the held-out residuals of the network with the full covariance; knowing it is worth
-1/2 ln|R|. The same network with the off-diagonal elements of its C left out shows how much of that C alone brings. A
network that was tuned and trained with "diag" fits each output better by itself, which gives some of it back.

{table(head_of_gains, gains)}
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
true labels; mean and standard deviation over seeds. These are estimates as version 0.1.0 made them, one probability
from a held-out tenth and the matrix from all labels held out; they have not been run with those of today.

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

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for k, value in enumerate(("accuracy", "log_loss")):
        for offset, (method, label) in enumerate(METHODS.items()):
            x, y = [], []
            for position, noise in enumerate(NOISES):
                for row in rows:
                    if row["noise"] == noise and row["method"] == method:
                        x.append(position + 0.12 * (offset - 2))
                        y.append(row[value])
            axes[k].plot(x, y, MARKERS[offset], color=COLORS[offset], markersize=4.5, alpha=0.8, label=label)
        kinds = [noise.split() for noise in NOISES]
        axes[k].set_xticks(range(len(NOISES)), [f"{float(rate):.0%}\n{kind}" for kind, rate in kinds], fontsize=8)
        axes[k].grid(axis="y", color="0.9", linewidth=0.6)
        axes[k].set_xlabel("wrong labels")
    axes[0].set_ylabel("test accuracy")
    axes[1].set_ylabel("test log-loss / nats")
    axes[1].set_yscale("log")
    axes[1].set_yticks([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
    axes[1].minorticks_off()
    axes[0].legend(fontsize="small", frameon=False)
    figure.savefig(file, dpi=150)
    plt.close(figure)
    return file
