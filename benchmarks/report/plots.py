"""Plot J against wall time, and the scaling with N, D and M."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import problems
from benchmarks.records import Records
from benchmarks.report.costs import slope
from benchmarks.report.summaries import Summary, fastest, summaries

__all__ = ["draw_race", "draw_scaling"]

# Okabe and Ito's colors, which color-blind readers can distinguish; one per family, dashes for its second member.
FAMILIES = {
    "sparsam": "#D55E00",
    "NumPy": "#000000",
    "JAX + optax": "#0072B2",
    "JAX": "#009E73",
    "PyTorch LBFGS": "#CC79A7",
    "PyTorch Adam": "#E69F00",
    "scikit-learn": "#56B4E9",
}
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "svg.hashsalt": "sparsam",
}
FLOOR_SHARE = 2e-5  # relative distance of the plot's zero below the lowest J


def draw_race(records: Records, section: str) -> Figure | None:
    """Draw J against seconds: for each system the run of median time, and the others as thin lines.

    A legend names the systems in the order in which their runs end: names beside the curves would cross them.
    Return None if there are no runs.
    """
    shown = _best_of_settings([summary for summary in summaries(records, section) if _drawable(summary)])
    if not shown:
        return None
    lowest = min(run["curve"][-1][2] for summary in shown for run in summary.runs.values())
    zero = lowest * (1 - FLOOR_SHARE) if section == "notes" else 0.0
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 5.8), layout="constrained")
        ends = []
        for summary, (color, dashes) in zip(shown, _styles(shown), strict=True):
            typical = summary.median_seed()
            for seed, run in summary.runs.items():
                seconds, _, J = np.array(run["curve"]).T
                chosen = seed == typical
                # A curve starts after the first evaluation; the last J is extended to the end of the run.
                seconds, J = np.append(seconds, run["seconds"]), np.append(J, J[-1])
                (curve,) = axes.plot(
                    seconds,
                    J - zero,
                    color=color,
                    linestyle=dashes,
                    linewidth=1.7 if chosen else 0.5,
                    alpha=1.0 if chosen else 0.35,
                    zorder=3 if summary.role == "library" else 2,
                )
                if chosen:
                    axes.plot(seconds[-1], J[-1] - zero, ".", color=color, markersize=6, zorder=4)
                    ends.append((seconds[-1], f"{_short(summary)}: {seconds[-1]:.3g} s", curve))
        axes.set_xscale("log")
        axes.set_yscale("log")
        _draw_target(axes, problems.PROBLEMS[section].target, zero)
        _frame(axes, section, zero, lowest)
        ends.sort(key=lambda end: end[0])
        _, names, curves = zip(*ends, strict=True)
        figure.legend(curves, names, loc="outside lower left", ncols=2, frameon=False, handlelength=2.6, fontsize=8.5)
    return figure


def _drawable(summary: Summary) -> bool:
    return all(run["curve"] for run in summary.runs.values())


def _best_of_settings(all_: list[Summary]) -> list[Summary]:
    """Keep the fastest of the systems that differ only in m or threads; without any time, that of the lowest J."""
    groups: dict[str, list[Summary]] = {}
    for summary in all_:
        name = "reference" if summary.role == "reference" else re.sub(r", \d threads?$", "", summary.label)
        groups.setdefault(name, []).append(summary)
    return [
        fastest(group) or fastest(group, "seconds_to_target") or min(group, key=lambda summary: summary.median("J"))
        for group in groups.values()
    ]


def _styles(shown: list[Summary]) -> list[tuple[str, str]]:
    styles, seen = [], set()
    for summary in shown:
        family = next(name for name in FAMILIES if summary.label.startswith(name))
        styles.append((FAMILIES[family], (0, (4, 1.5)) if family in seen else "-"))
        seen.add(family)
    return styles


def _short(summary: Summary) -> str:
    return summary.label.replace("float", "f").replace(" threads", " thr.").replace(" thread", " thr.")


def _draw_target(axes: Axes, target: float | None, zero: float) -> None:
    low, high = axes.get_ylim()
    if target is not None and low < target - zero < high:
        axes.axhline(target - zero, color="0.6", linewidth=0.8, zorder=1)
        axes.annotate(
            f"J = {target:g}",
            (0, target - zero),
            xycoords=("axes fraction", "data"),
            xytext=(4, 3),
            textcoords="offset points",
            color="0.4",
            fontsize=8,
        )


def _frame(axes: Axes, section: str, zero: float, lowest: float) -> None:
    axes.set_xlabel("wall time of a warm run, seconds")
    if zero:
        axes.set_ylabel(f"J - {zero:.5f}")
    else:
        axes.set_ylabel("J")
        axes.set_ylim(top=20 * lowest)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    job = problems.PROBLEMS[section]
    sizes = "-".join(map(str, job.layer_sizes))
    axes.set_title(f"{section}: {sizes} sparse autoencoder, {job.n_samples:,} rows", loc="left", fontsize=10)
    axes.grid(which="major", color="0.92", linewidth=0.6)


def draw_scaling(records: Records) -> Figure | None:
    """Draw time and memory against N, D and M, with the fitted exponents above; return None if there are no points."""
    points = records.of("scaling")
    if not points:
        return None
    platforms = {"cpu": ("#0072B2", "o", "left"), "cuda": ("#D55E00", "s", "right")}
    rows = {"evaluation_seconds": "an evaluation, seconds", "fit_bytes": "memory of the fit, bytes"}
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(2, 3, figsize=(7.2, 4.6), layout="constrained", sharex="col", sharey="row")
        for line, (what, ylabel) in zip(grid, rows.items(), strict=True):
            for axes, sweep in zip(line, "NDM", strict=True):
                for platform, (color, marker, side) in platforms.items():
                    rows_of_platform = [row for row in points if row["platform"] == platform]
                    _draw_sweep(axes, rows_of_platform, sweep, what, color, marker, side)
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.grid(which="major", color="0.92", linewidth=0.6)
            line[0].set_ylabel(ylabel)
        for axes, sweep, meaning in zip(grid[1], "NDM", ("samples", "inputs", "hidden units"), strict=True):
            axes.set_xlabel(f"{sweep}, {meaning}")
            columns = [row["shape"]["NDM".index(sweep)] for row in points if row["sweep"] == sweep]
            if sweep != "N" and columns:
                axes.set_xticks(sorted(set(columns)), [f"{column:g}" for column in sorted(set(columns))])
                axes.minorticks_off()
    return figure


def _draw_sweep(axes: Axes, points: list[dict], sweep: str, what: str, color: str, marker: str, side: str) -> None:
    column = "NDM".index(sweep)
    pairs = [(row["shape"][column], row[what]) for row in points if row["sweep"] == sweep and row[what]]
    if not pairs:
        return
    x, y = np.array(pairs).T
    axes.plot(x, y, marker=marker, color=color, markersize=4, linewidth=1.2)
    exponent = slope(points, sweep, what)
    if exponent is not None:
        axes.set_title(f"exponent {exponent:.2f}", loc=side, color=color, fontsize=8)
