"""VALIDITY.md, from the records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.records import Records
from benchmarks.report.markdown import table
from benchmarks.validity.cells import Subject
from benchmarks.validity.limits import FAMILY, contradicts, level_of_each, mean_limits
from benchmarks.validity.run import recorded

__all__ = ["report", "verdict"]

HEADER = ("data", "truth", "mean over draws of", "draws", "mean", "limits", "claimed", "verdict")


def report(subjects: Sequence[Subject], records: Records) -> str:
    """VALIDITY.md."""
    found = {cell.name: recorded(records, cell) for subject in subjects for cell in subject.cells}
    n_limits = sum(len(numbers) for numbers in found.values()) + sum(len(subject.pooled) for subject in subjects)
    level = level_of_each(n_limits)
    revisions = sorted({str(row["revision"]) for name in found for row in records.of(name)})
    parts = [
        f"""# What is claimed, over draws

Written by `python -m benchmarks.validity` from `validity.jsonl`; not to be edited.

Data are drawn from a truth, so that what a method claims can be counted. The seed of a draw follows from the name of
its row and its number alone: it was fixed before the first run. Limits are those of the mean that the draws estimate,
by Clopper and Pearson for rates of what happens or not, by Student's t for other numbers: all {n_limits} of this page
hold at once with probability {FAMILY:.2f} (Bonferroni). A claim is met where the mean is within its range, contradicted
where no mean within the range is within the limits, and else undecided.

Revisions of the library: {", ".join(revisions)}.
"""
    ]
    for subject in subjects:
        rows = [
            _row(cell.name, cell.truth, number, values, cell.claims.get(number), level)
            for cell in subject.cells
            for number, values in found[cell.name].items()
        ]
        for number, claimed in subject.pooled.items():
            values = [value for cell in subject.cells for value in found[cell.name].get(number, [])]
            rows += [_row("all of these", "", number, values, claimed, level)] if values else []
        if rows:
            parts.append(f"## {subject.title}\n\n{subject.about}\n\n{table(HEADER, rows)}\n")
    return "\n".join(parts)


def _row(
    name: str, truth: str, number: str, values: Sequence[float], claimed: tuple[float, float] | None, level: float
) -> list[str]:
    low, high = mean_limits(values, level)
    return [
        name,
        truth,
        number,
        f"{len(values):,}",
        f"{np.mean(values):.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{claimed[0]:g} to {claimed[1]:g}" if claimed else "-",
        verdict(values, claimed, level) if claimed else "-",
    ]


def verdict(values: Sequence[float], claimed: tuple[float, float], level: float) -> str:
    """Say what the draws say of a claim."""
    if claimed[0] <= np.mean(values) <= claimed[1]:
        return "met"
    return "contradicted" if contradicts(values, claimed, level) else "undecided"
