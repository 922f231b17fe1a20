"""Sections on races: the main ratios, then all systems."""

from __future__ import annotations

from statistics import median

from benchmarks import problems
from benchmarks.records import Records
from benchmarks.report.markdown import mebibytes, number, seconds, table, times
from benchmarks.report.summaries import Summary, best_library, fastest, ratio, summaries

__all__ = ["cold_section", "headlines", "plain_note", "race_table"]


ROLES = {
    "reference": "reference program",
    "in place": "the same, its cost rewritten in place",
    "peer": "best other peer",
}


def headlines(records: Records) -> str:
    """Return the table of the main ratios."""
    rows = []
    for section in ("notes", "mnist"):
        all_ = summaries(records, section)
        target = problems.PROBLEMS[section].target if not _quick(records) else problems.load(section, True).target
        tasks = [("seconds_to_target", f"to J <= {target:g}")]
        if section == "notes":
            tasks.insert(0, ("seconds", f"to a gradient of at most {_tol(records)}"))
        for measure, what in tasks:
            library = best_library(all_, measure)
            for role, name in ROLES.items():
                other = fastest([summary for summary in all_ if summary.role == role], measure)
                if library is None or other is None:
                    missing = "this library" if library is None else f"the {name}"
                    if all_:
                        rows.append([f"{section}, {what}, warm", "-", f"{missing}: no median", "-", "-"])
                    continue
                rows.append(
                    [
                        f"{section}, {what}, warm",
                        seconds(library.median_time(measure)),
                        f"{name}: {other.label}",
                        seconds(other.median_time(measure)),
                        f"**{times(ratio(other, library, measure))}**",
                    ]
                )
    if pairs := [row["pair"] for row in records.of("cold")]:
        *library, (label, theirs) = _cold_columns(pairs).items()
        for own_label, ours in library:
            ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=True)]
            rows.append(
                [
                    f"notes, whole process ({own_label})",
                    seconds(median(run["seconds"] for run in ours)),
                    f"reference program: {label}",
                    seconds(median(run["seconds"] for run in theirs)),
                    f"**{times(median(ratios))}**",
                ]
            )
    header = ["task", "this library", "compared with", "its time", "median of paired ratios"]
    return table(header, rows) if rows else "Nothing was run yet."


def race_table(records: Records, section: str) -> str:
    """Return the table of all systems in a race."""
    all_ = summaries(records, section)
    if not all_:
        return "Not run."
    library = best_library(all_)
    has_target = any(run["seconds_to_target"] is not None for summary in all_ for run in summary.runs.values())
    rows = [_row(summary, library, all_, has_target, section) for summary in all_]
    header = ["system", "runs", "time to converge", "ratio to ours", "evaluations", "J (lowest ... highest)"]
    header += ["gradient", *(["time to target", "ratio to ours"] if has_target else [])]
    return table(header, rows)


def _row(summary: Summary, library: Summary | None, all_: list[Summary], has_target: bool, section: str) -> list[str]:
    J = [run["J"] for run in summary.runs.values()]
    row = [
        f"**{summary.label}**" if summary.role == "library" else _with_settings(summary),
        summary.verdicts,
        seconds(summary.median_time("seconds")),
        times(ratio(summary, library)) if library else "-",
        number(summary.median("evaluations"), ".0f"),
        f"{median(J):.5f} ({min(J):.5f} ... {max(J):.5f})",
        number(summary.median("gradient_norm"), ".1e"),
    ]
    if has_target:
        first = best_library(all_, "seconds_to_target")
        reached = summary.times("seconds_to_target")
        some = f" ({len(reached)} of {len(summary.runs)})" if len(reached) < len(summary.runs) else ""
        row += [
            seconds(median(reached.values()) if reached else None) + some,
            times(ratio(summary, first, "seconds_to_target")) if first else "-",
        ]
    return row


def _with_settings(summary: Summary) -> str:
    options = next(iter(summary.runs.values()))["options"]
    shown = {
        name: value
        for name, value in options.items()
        if name not in ("dtype", "cost") and f"{name}=" not in summary.label
    }
    return summary.label + (f" ({', '.join(f'{name}={value:g}' for name, value in shown.items())})" if shown else "")


def cold_section(records: Records) -> str:
    """Return the table of whole processes."""
    pairs = [row["pair"] for row in records.of("cold")]
    if not pairs:
        return "Not run."
    rows = [
        [
            label,
            str(runs[0]["threads"]),
            seconds(median(run["seconds"] for run in runs)),
            f"{min(run['seconds'] for run in runs):.2f} ... {max(run['seconds'] for run in runs):.2f} s",
            mebibytes(median(run["peak_bytes"] for run in runs)),
            number(median(run["J"] for run in runs), ".5f"),
            number(max(run["gradient_norm"] for run in runs), ".1e"),
        ]
        for label, runs in _cold_columns(pairs).items()
    ]
    header = ["process", "threads", "median time", "fastest ... slowest", "peak memory", "J", "largest gradient"]
    return table(header, rows) + _commands(records)


def _commands(records: Records) -> str:
    runs = records.of("command")
    if not runs:
        return ""
    first, again = (seconds(median(run[name] for run in runs)) for name in ("first", "again"))
    return (
        f"\n\n`sparsam learn` with its defaults (10,000 patches; it writes a model and pictures) takes {first} the "
        f"first time, when it compiles, and {again} again (medians of {len(runs)})."
    )


def _cold_columns(pairs: list[dict]) -> dict[str, list[dict]]:
    return {label: [pair[label] for pair in pairs] for label in pairs[0]}


def plain_note(records: Records) -> str:
    """Describe the result of the check of scikit-learn's cost."""
    found = records.rows.get("plain-check")
    if found is None:
        return ""
    return (
        "At the initial weights, the gradient of MLPRegressor equals that of our J (with its alpha our alpha times N) "
        f"to a relative {found['gradient_difference']:.1e}, so both have the same minima. Its *value* differs: it is "
        f"{found['their_value']:.6g} and J is {found['J']:.6g}, since its value also averages the squared error over "
        f"the {found['n_outputs']} outputs, but its gradient does not; averaging J's error over outputs gives "
        f"{found['value_averaged']:.6g}. So the value and the slope in its line search do not match. It has no option "
        "for the relative decrease of J at which SciPy stops (2.2e-9), so it stops when a decrease is smaller."
    )


def _quick(records: Records) -> bool:
    return any(row["quick"] for row in records.of("machine"))


def _tol(records: Records) -> str:
    return "1e-3" if _quick(records) else next((f"{row['tol']:g}" for row in records.of("machine")), "1e-5")
