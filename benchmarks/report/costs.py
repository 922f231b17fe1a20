"""Sections on one evaluation and on scaling with N, D and M."""

from __future__ import annotations

import numpy as np

from benchmarks.records import Records
from benchmarks.report.markdown import mebibytes, milliseconds, seconds, table, times

__all__ = ["evaluation_section", "scaling_section", "slope"]

FLOOR = "floor: "


def evaluation_section(records: Records) -> str:
    """Return a table of this library and the floor for each shape, and the sources of the floor."""
    rows, sources = [], []
    for row in records.of("evaluation"):
        measured = row["seconds"]
        shape = "({:,}, {}, {})".format(*row["shape"])
        products = _cheapest(measured, "products/")
        logistics = _cheapest(measured, "logistics/")
        floor = products[0] + logistics[0]
        evaluations = {
            (name if what == "evaluation" else what): value
            for name, of in measured.items()
            if not name.startswith(FLOOR)
            for what, value in of.items()
        }
        ours = evaluations.pop("sparsam")
        others = "; ".join(f"{name} {milliseconds(value)}" for name, value in evaluations.items())
        rows.append(
            [
                shape,
                f"**{milliseconds(ours)}**",
                milliseconds(floor),
                milliseconds(products[0]),
                milliseconds(logistics[0]),
                f"**{times(ours / floor)}**",
            ]
        )
        sources.append(f"- {shape}: products from {products[1]}; exponentials from {logistics[1]}. Others: {others}.")
    if not rows:
        return "Not run."
    header = ["(N, D, M)", "this library", "floor", "= five products", "+ exponentials", "ratio to the floor"]
    return "\n\n".join(
        [table(header, rows), "\n".join(sources), "The fastest way in each library:", _by_library(records)]
    )


def _cheapest(measured: dict[str, dict[str, float]], prefix: str) -> tuple[float, str]:
    found = [
        (value, f"{name.removeprefix(FLOOR)}, {_way(what)}")
        for name, of in measured.items()
        if name.startswith(FLOOR)
        for what, value in of.items()
        if what.startswith(prefix)
    ]
    return min(found)


def _way(what: str) -> str:
    way = what.split("/", 1)[1]
    return f"{int(way):,} rows at once" if way.isdigit() else way


def _by_library(records: Records) -> str:
    shapes = records.of("evaluation")
    names = [name for name in shapes[0]["seconds"] if name.startswith(FLOOR)]
    rows = []
    for name in names:
        for prefix in ("products/", "logistics/"):
            cells = []
            for row in shapes:
                only = {name: row["seconds"][name]}
                has = any(what.startswith(prefix) for what in only[name])
                value, way = _cheapest(only, prefix) if has else (None, "")
                cells.append(f"{milliseconds(value)} ({way.rsplit(', ', 1)[-1]})" if has else "-")
            if any(cell != "-" for cell in cells):
                rows.append([f"{name.removeprefix(FLOOR)}: {prefix[:-1]}", *cells])
    return table(["", *("({:,}, {}, {})".format(*row["shape"]) for row in shapes)], rows)


def scaling_section(records: Records, platform: str) -> str:
    """Return the table of a platform's points, and the exponents fitted to them."""
    points = [row for row in records.of("scaling") if row["platform"] == platform]
    if not points:
        return ""
    rows = [
        [
            row["sweep"],
            "{:,} | {} | {}".format(*row["shape"]),
            milliseconds(row["evaluation_seconds"]),
            f"{1e9 * row['evaluation_seconds'] / np.prod(row['shape']):.3f} ns",
            seconds(row["fit_seconds"]),
            str(row["fit_evaluations"]),
            mebibytes(row["data_bytes"]),
            mebibytes(row["fit_bytes"]),
        ]
        for row in points
    ]
    iterations = points[0]["iterations"]
    header = [
        "sweep", "N | D | M", "evaluation", "per N D M", f"fit of {iterations} iterations", "evaluations of the fit",
        "data", "memory of the fit",
    ]  # fmt: skip
    header[1:2], split = ["N", "D", "M"], [[row[0], *row[1].split(" | "), *row[2:]] for row in rows]
    slopes = [
        f"{sweep}: time {_slope_text(points, sweep, 'evaluation_seconds')}, "
        f"fit {_slope_text(points, sweep, 'fit_seconds')}, memory {_slope_text(points, sweep, 'fit_bytes')}"
        for sweep in dict.fromkeys(row["sweep"] for row in points)
    ]
    return table(header, split) + (
        "\n\nFitted exponents (1 is linear; N from 10,000 on, since fixed costs dominate below): "
        + "; ".join(slopes)
        + "."
    )


def slope(points: list[dict], sweep: str, what: str) -> float | None:
    """Fit the exponent of a power law to a sweep; for N, to the points from 10,000 on."""
    column = "NDM".index(sweep)
    pairs = [
        (row["shape"][column], row[what])
        for row in points
        if row["sweep"] == sweep and row[what] and row[what] > 0 and not (sweep == "N" and row["shape"][0] < 10_000)
    ]
    if len(pairs) < 2:
        return None
    x, y = np.log(np.array(pairs)).T
    return float(np.polyfit(x, y, 1)[0])


def _slope_text(points: list[dict], sweep: str, what: str) -> str:
    value = slope(points, sweep, what)
    return "-" if value is None else f"{value:.2f}"
