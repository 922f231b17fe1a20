"""The command: ``python -m benchmarks.anomalies``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler

from benchmarks import machine
from benchmarks.problems import data_folder
from benchmarks.progress import say
from benchmarks.records import Records
from benchmarks.report.markdown import table
from sparsam import AutoencoderOutlierDetector

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

Array = NDArray[np.float64]

N_SEEDS, N_NAMED = 5, 3
SHARE = 0.1  # of rows with a replaced value
MOST_ROWS = 2000  # of a table
NEIGHBORS = (10, 20, 35, 50)


@dataclass
class Problem:
    """Rows to learn from, rows to rank, and which of these are normal."""

    name: str
    train: Array
    test: Array
    is_normal: NDArray[np.bool_]
    replaced: dict[int, int] | None = None  # column of the replaced value, by row; the rows are those learned from


@app.command()
def main(
    quick: Annotated[bool, typer.Option("--quick", help="One seed, in benchmarks/quick/.")] = False,
    render_only: Annotated[bool, typer.Option("--render-only", help="Write the page from the records alone.")] = False,
) -> None:
    """Rank anomalies with sparsam's, scikit-learn's and simple detectors, and name the columns; write ANOMALIES.md.

    Results are saved in anomalies.jsonl; an interrupted benchmark continues where it stopped.
    """
    folder = Path(__file__).parents[1] / ("quick" if quick else "")
    folder.mkdir(exist_ok=True)
    records = Records(folder / "anomalies.jsonl")
    if not render_only:
        used = machine.use_cores(2)
        if "machine" not in records:
            records.add("machine", section="machine", **machine.describe(used))
        warnings.simplefilter("ignore")
        for seed in range(1 if quick else N_SEEDS):
            for problem in problems(seed):
                key = f"{problem.name}/{seed}"
                if key not in records:
                    found = measure(problem, seed)
                    say(f"{key}: " + ", ".join(f"{name} {value:.3f}" for name, value in found["areas"].items()))
                    records.add(key, section="runs", problem=problem.name, seed=seed, **found)
    page = folder / "ANOMALIES.md"
    page.write_text(report(records))
    say(f"wrote {page}")


def problems(seed: int) -> Iterator[Problem]:
    """Yield the problems of a seed: one class is known, or one value of a row is that of another row."""
    X, y = load_breast_cancer(return_X_y=True)
    yield _one_class("breast cancer: benign known", X, y == 1, seed)
    X, y = load_digits(return_X_y=True)
    yield _one_class("digits: one known", X, y == seed % 10, seed)
    yield _replaced("breast cancer: a value replaced", load_breast_cancer().data, seed)
    yield _replaced("diabetes: a value replaced", load_diabetes(scaled=False).data, seed)
    home = data_folder()
    if home is not None:
        abalone = pd.get_dummies(pd.read_csv(home / "abalone.csv")).to_numpy(float)
        yield _replaced("abalone: a value replaced", abalone, seed)


def _one_class(name: str, X: Array, normal: NDArray[np.bool_], seed: int) -> Problem:
    known = np.random.default_rng(seed).permutation(np.flatnonzero(normal))[::2]
    test = np.setdiff1d(np.arange(len(X)), known)
    return Problem(name, X[known], X[test], normal[test])


def _replaced(name: str, table: Array, seed: int) -> Problem:
    """Replace a value in a tenth of the rows by that of another row: each column keeps its distribution."""
    rng = np.random.default_rng(seed)
    changed = table[rng.permutation(len(table))[:MOST_ROWS]]
    original = changed.copy()
    rows = rng.choice(len(changed), int(SHARE * len(changed)), replace=False)
    columns = rng.integers(changed.shape[1], size=len(rows))
    changed[rows, columns] = original[rng.integers(len(changed), size=len(rows)), columns]
    is_normal = ~np.isin(np.arange(len(changed)), rows)
    return Problem(name, changed, changed, is_normal, dict(zip(rows.tolist(), columns.tolist(), strict=True)))


def measure(problem: Problem, seed: int) -> dict[str, Any]:
    """Compute areas under ROC, and how often the replaced column is named."""
    start = time.perf_counter()
    model = AutoencoderOutlierDetector(contamination=SHARE, random_state=seed).fit(problem.train)
    seconds = time.perf_counter() - start
    areas = {"sparsam": model.score_samples(problem.test), **_peers(problem, seed)}
    found = {
        "seconds": seconds,
        "areas": {name: float(roc_auc_score(problem.is_normal, scores)) for name, scores in areas.items()},
    }
    if problem.replaced is None:
        return found
    outliers = [row for row in np.flatnonzero(model.predict(problem.test) == -1) if row in problem.replaced]
    named = model.explain(problem.test[outliers], N_NAMED)["feature"].to_numpy().reshape(-1, N_NAMED)
    errors = np.argsort(-model.reconstruction_errors(problem.test[outliers]), axis=1)[:, :N_NAMED]
    right = {
        how: sum(problem.replaced[row] in columns for row, columns in zip(outliers, by_row, strict=True))
        for how, by_row in (("named", named), ("largest_errors", errors))
    }
    return found | {"n_replaced": len(problem.replaced), "n_found": len(outliers), **right}


def _peers(problem: Problem, seed: int) -> dict[str, Array]:
    scaler = StandardScaler().fit(problem.train)
    train, test = scaler.transform(problem.train), scaler.transform(problem.test)
    scores = {
        "isolation forest": IsolationForest(n_estimators=500, random_state=seed)
        .fit(problem.train)
        .score_samples(problem.test)
    }
    for n in NEIGHBORS:
        if problem.replaced is None:
            scores[f"LOF {n}"] = LocalOutlierFactor(n, novelty=True).fit(train).score_samples(test)
        else:
            scores[f"LOF {n}"] = LocalOutlierFactor(n).fit(train).negative_outlier_factor_
    return scores


def report(records: Records) -> str:
    """Return ANOMALIES.md."""
    about, runs = records.rows["machine"], records.of("runs")
    names = list(dict.fromkeys(run["problem"] for run in runs))
    areas, reasons = [], []
    for name in names:
        of_problem = [run for run in runs if run["problem"] == name]
        mean = {peer: np.mean([run["areas"][peer] for run in of_problem]) for peer in of_problem[0]["areas"]}
        neighbors = {peer: value for peer, value in mean.items() if peer.startswith("LOF")}
        best = max(neighbors, key=lambda peer: neighbors[peer])
        seconds = np.median([run["seconds"] for run in of_problem])
        areas.append(
            [
                name,
                f"{mean['sparsam']:.3f}",
                f"{mean['isolation forest']:.3f}",
                f"{mean['LOF 20']:.3f}",
                f"{neighbors[best]:.3f} ({best.split()[1]})",
                f"{seconds:.1f} s",
            ]
        )
        if "n_found" in of_problem[0]:
            total = {key: sum(run[key] for run in of_problem) for key in ("n_found", "n_replaced")}
            share = {key: sum(run[key] for run in of_problem) / total["n_found"] for key in ("named", "largest_errors")}
            reasons.append(
                [
                    name,
                    f"{total['n_found']} of {total['n_replaced']}",
                    f"{share['named']:.0%}".replace("%", " %"),
                    f"{share['largest_errors']:.0%}".replace("%", " %"),
                ]
            )
    return PAGE.format(
        cores=about["cores_used"],
        processor=about["processor"],
        n_seeds=len({run["seed"] for run in runs}),
        areas=table(["problem", "sparsam", "isolation forest", "LOF", "LOF, best of four", "fit"], areas),
        reasons=table(["problem", "found", "named by `explain`", "among the three largest errors"], reasons),
    )


PAGE = """# Anomalies

Generated by `python -m benchmarks.anomalies`; do not edit.

Either one class is known: half of its rows are to learn from, and the other half are to be told from other classes.
Or one value in a tenth of the rows is replaced by that of another row, so that every column keeps its distribution,
and the detector learns from the same rows that it ranks. Means of the area under the ROC curve over {n_seeds} seeds
(for digits a class each), on {cores} cores of {processor}. `AutoencoderOutlierDetector` has its defaults, and so has
LOF (local outlier factor, of standardized columns, with 20 neighbors); beside it the best of 10, 20, 35 and 50
neighbors, chosen by the area itself, which nobody could do without labels. The isolation forest has 500 trees.

{areas}

## Reasons

Of the rows with a replaced value that are among the tenth called outliers, how often is the replaced column among the
three that are named?

{reasons}
"""


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.anomalies")
