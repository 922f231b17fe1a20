"""Content of the page of a classification with noisy labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.reports import charts
from sparsam.reports import diagnostics as findings
from sparsam.reports.page import Page
from sparsam.reports.row_views import RowView, possible_shapes, view_of
from sparsam.reports.rows import Rows, columns_of, numbers_of_rows
from sparsam.reports.training import parameters_of, training_facts

__all__ = ["classifier_page"]

Array = NDArray[np.float64]

MOST_SUSPECTS = 60
MOST_COLUMNS = 6  # shown of the row of a suspected label
MOST_CLASSES = 30  # with more, the matrix is not drawn
N_BINS = 10


def classifier_page(network: Any, training: Rows, held_out: Rows | None, image_shape: Any) -> Page:
    """Gather the content of a classification's page."""
    parts = [rows for rows in (training, held_out) if rows is not None]
    shown = held_out or training
    classes = [str(label) for label in network.classes_.tolist()]
    view = _view(training.raw, image_shape)
    T = network.transition_matrix_
    suspects, n_suspects = _suspects(network, parts, view)
    profile = network.likelihood_profile_
    predicted, observed, errors, counts = _calibration(network, shown)
    specs = {
        "cost": charts.cost_curve(network.history_),
        "calibration": charts.calibration(predicted, observed, errors, counts),
    }
    if len(classes) <= MOST_CLASSES:
        specs["noise"] = charts.heatmap(
            T,
            classes,
            rows="true label",
            columns="given label",
            signed=False,
            description="Probability of each given label (columns) for each true label (rows); the diagonal, the "
            f"probability of a correct label, ranges from {T.diagonal().min():.3f} to {T.diagonal().max():.3f}",
        )
    if profile is not None:
        specs["profile"] = charts.likelihood_profile(profile)
    return Page(
        template="classifier.html",
        content={
            "part": shown.part,
            "n_rows": sum(int(_has_label(network, rows).sum()) for rows in parts),
            "n_shown": int(counts.sum()),
            "epsilon": float(network.epsilon_),
            "interval": None if profile is None else profile.interval,
            "n_held_out": None if profile is None else f"{profile.n_held_out:,}",
            "shows_noise": profile is not None and profile.shows_noise,
            "n_classes": len(classes),
            "scores": [
                (
                    rows.part,
                    int(_has_label(network, rows).sum()),
                    float(network.score(rows.inputs, rows.targets)),
                    network.mean_log_likelihood(rows.inputs, rows.targets),
                )
                for rows in parts
            ],
            "suspects": suspects,
            "n_suspects": n_suspects,
            "view": None if view is None else view.kind,
            "possible_shapes": possible_shapes(np.shape(training.raw)[1]) if view and view.kind == "curve" else [],
            "columns": columns_of(training.raw)[:MOST_COLUMNS],
            "n_columns": np.shape(training.raw)[1],
        },
        charts=specs,
        facts=[
            ("features", str(network.n_features_in_)),
            ("classes", str(len(classes))),
            ("epsilon", f"{network.epsilon_:.3f}"),
            ("training rows", f"{len(training.inputs):,}"),
            *([] if held_out is None else [("held-out rows", f"{len(held_out.inputs):,}")]),
            *training_facts(network),
        ],
        findings=[findings.diagnose_training(network), *findings.diagnose_classifier(network)],
        parameters=parameters_of(network),
    )


def _view(raw: Any, image_shape: Any) -> RowView | None:
    """Choose how to show rows: as images if given a shape, many unnamed numbers as curves; None for a table."""
    is_table = hasattr(raw, "columns") or np.shape(raw)[1] <= MOST_COLUMNS or np.asarray(raw).dtype.kind not in "biuf"
    if image_shape is None and is_table:
        return None
    return view_of(np.asarray(raw, dtype=np.float64), None, image_shape)


def _labels(rows: Rows) -> NDArray[Any]:
    """Return the given labels as one dimension, even if they are a column."""
    return np.asarray(rows.targets).reshape(-1)


def _has_label(network: Any, rows: Rows) -> NDArray[np.bool_]:
    """Return which rows have a label."""
    return ~np.isnan(network.label_error_proba(rows.inputs, rows.targets))


def _suspects(network: Any, parts: list[Rows], view: RowView | None) -> tuple[list[dict[str, Any]], int]:
    """List the labels most probably wrong, most probable first, and count those more probably wrong than right."""
    found = []
    for rows in parts:
        wrong = network.label_error_proba(rows.inputs, rows.targets)
        most_probable = network.predict(rows.inputs)
        labels, numbers = _labels(rows), numbers_of_rows(rows.raw)
        for row in network.find_label_errors(rows.inputs, rows.targets):
            found.append((float(wrong[row]), rows, int(row), numbers[row], labels[row], most_probable[row]))
    found.sort(key=lambda suspect: -suspect[0])
    suspects = []
    for probability, rows, row, number, given, probably in found[:MOST_SUSPECTS]:
        values = rows.raw.iloc[row] if hasattr(rows.raw, "iloc") else np.asarray(rows.raw[row])
        suspects.append(
            {
                "row": number,
                "part": rows.part,
                "given": str(given),
                "probably": str(probably),
                "probability": probability,
                "picture": view.row_thumbnail(np.asarray(values, dtype=np.float64)) if view else "",
                "values": [] if view else [_short(value) for value in list(values)[:MOST_COLUMNS]],
            }
        )
    return suspects, len(found)


def _calibration(network: Any, rows: Rows) -> tuple[Array, Array, Array, NDArray[np.intp]]:
    """Compare the probability of the most probable label with its frequency, in bins of equally many rows."""
    labeled = _has_label(network, rows)
    p = network.predict_noisy_proba(rows.inputs)[labeled]
    confidence = p.max(axis=1)
    correct = network.classes_[p.argmax(axis=1)] == _labels(rows)[labeled]
    bins = [members for members in np.array_split(np.argsort(confidence, kind="stable"), N_BINS) if len(members)]
    counts = np.array([len(members) for members in bins])
    observed = np.array([correct[members].mean() for members in bins])
    predicted = np.array([confidence[members].mean() for members in bins])
    return predicted, observed, np.sqrt(predicted * (1 - predicted) / counts), counts


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
