"""Content of the page of an outlier detector."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from sparsam.estimators.encoders import last_step
from sparsam.inspection.contributions import LEAST_SHARE
from sparsam.reports import charts
from sparsam.reports import diagnostics as findings
from sparsam.reports.diagnostics import Finding
from sparsam.reports.page import Page
from sparsam.reports.row_views import RowView, view_of
from sparsam.reports.rows import numbers_of_rows
from sparsam.reports.training import parameters_of, training_facts

__all__ = ["detector_page"]

MOST_ROWS = 50
N_NAMED = 3
MANY = 0.2  # share of outliers that calls for an explanation


def detector_page(
    model: Any, detector: Any, raw: Any, inputs: Any, image_shape: Any, row_names: list[str] | None = None
) -> Page:
    """Gather the content of the page.

    Parameters
    ----------
    model : AutoencoderOutlierDetector, Pipeline or search
        What the user passed.
    detector : AutoencoderOutlierDetector
        The detector in it.
    raw, inputs : array-like or DataFrame
        The rows, before and after the transformers of the pipeline.
    image_shape : tuple or None
    row_names : list of str, optional
        Default: the labels of a DataFrame, or numbers.
    """
    scores = detector.score_samples(inputs)
    is_outlier = scores < detector.offset_
    n_outliers = int(is_outlier.sum())
    shown = np.argsort(scores, kind="stable")[:MOST_ROWS]
    numbers = numbers_of_rows(raw) if row_names is None else row_names
    reasons = _reasons(model, detector, raw, inputs, shown)
    view = None if image_shape is None else view_of(np.asarray(raw, dtype=np.float64), None, image_shape)
    rows = [
        {
            "row": numbers[row],
            "error": f"{-scores[row]:.4g}",
            "is_outlier": bool(is_outlier[row]),
            "picture": _picture(view, raw, row),
            "reasons": reasons[place],
        }
        for place, row in enumerate(shown)
    ]
    last = last_step(detector.autoencoder_)
    first_named = Counter(row["reasons"][0]["column"] for row in rows if row["is_outlier"])
    first_named.pop("", None)
    return Page(
        template="detector.html",
        content={
            "n_rows": len(scores),
            "n_outliers": n_outliers,
            "rows": rows,
            "view": None if view is None else view.kind,
            "first_named": first_named.most_common(10),
            "n_named": sum(first_named.values()),
        },
        charts={
            "cost": charts.cost_curve(last.history_),
            "errors": charts.error_histogram(-scores, -detector.offset_),
        },
        facts=[
            ("features", str(detector.n_features_in_)),
            ("rows", f"{len(scores):,}"),
            ("outliers", f"{n_outliers:,}"),
            ("threshold", f"{-detector.offset_:.4g}"),
            ("explained variance", f"{last.explained_variance_ratio_:.1%}".replace("%", " %")),
            *training_facts(last),
        ],
        findings=[findings.diagnose_training(last), *_findings(n_outliers, len(scores))],
        parameters=parameters_of(detector),
    )


def _findings(n_outliers: int, n_rows: int) -> list[Finding]:
    if n_outliers <= MANY * n_rows:
        return []
    text = (
        f"{n_outliers / n_rows:.0%} of these rows are outliers. If they are not the rows of the fit, their errors are "
        "larger than those of rows that the network has seen: set the threshold from held-out rows, with "
        "validation_fraction."
    )
    return [Finding("warning", text.replace("%", " %"))]


def _reasons(model: Any, detector: Any, raw: Any, inputs: Any, shown: NDArray[np.intp]) -> list[list[dict[str, str]]]:
    """Name the columns that contribute most to the error of each row, with value, expected value and share."""
    pipeline = getattr(model, "best_estimator_", model)
    first = pipeline[0] if hasattr(pipeline, "steps") else None
    if isinstance(first, ColumnTransformer) and hasattr(raw, "iloc") and not hasattr(detector.autoencoder_, "steps"):
        from sparsam.io.pipelines import TableModel
        from sparsam.io.reasons import reasons

        table = reasons(TableModel(pipeline, list(raw), []), raw.iloc[shown], N_NAMED)
        n_named = len(table.columns) // 4
        return [
            [
                _reason(row[f"column_{k}"], row[f"value_{k}"], row[f"expected_{k}"], row[f"share_{k}"])
                for k in range(1, n_named + 1)
            ]
            for _, row in table.iterrows()
        ]
    chosen = inputs.iloc[shown] if hasattr(inputs, "iloc") else np.asarray(inputs)[shown]
    n_named = min(N_NAMED, detector.reconstruction_errors(chosen[:1]).shape[1])
    found = detector.explain(chosen, n_named)
    lines = [
        _reason(line.feature, line.value, line.expected, line.contribution) for line in found.itertuples(index=False)
    ]
    return [lines[start : start + n_named] for start in range(0, len(lines), n_named)]


def _reason(column: Any, value: Any, expected: Any, share: float | None) -> dict[str, str]:
    if share is None or share < LEAST_SHARE:
        return dict.fromkeys(("column", "value", "expected", "share"), "")
    return {"column": str(column), "value": _short(value), "expected": _short(expected), "share": f"{share:.0%}"}


def _short(value: Any) -> str:
    if pd.isna(value):
        return "missing"
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _picture(view: RowView | None, raw: Any, row: int) -> str:
    if view is None:
        return ""
    values = raw.iloc[row] if hasattr(raw, "iloc") else np.asarray(raw[row])
    return view.row_thumbnail(np.asarray(values, dtype=np.float64))
