"""The page of a classification whose labels may be wrong."""

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
MOST_COLUMNS = 6  # of a suspect's row in the table
MOST_CLASSES = 30  # whose matrix is drawn
N_BINS = 10


def classifier_page(network: Any, training: Rows, held_out: Rows | None, image_shape: Any) -> Page:
    """Gather what the page of a classification shows."""
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
            columns="label as given",
            signed=False,
            description="Probability of each given label (columns) for each true label (rows); on the diagonal, of "
            f"right labels, from {T.diagonal().min():.3f} to {T.diagonal().max():.3f}",
        )
    if profile is not None:
        specs["profile"] = charts.likelihood_profile(profile)
    return Page(
        template="classifier.html",
        content={
            "part": shown.part,
            "n_rows": sum(len(rows.inputs) for rows in parts),
            "n_shown": len(shown.inputs),
            "epsilon": float(network.epsilon_),
            "interval": None if profile is None else profile.interval,
            "n_held_out": None if profile is None else f"{profile.n_held_out:,}",
            "shows_noise": profile is not None and profile.shows_noise,
            "n_classes": len(classes),
            "scores": [
                (
                    rows.part,
                    len(rows.inputs),
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
            ("rows trained on", f"{len(training.inputs):,}"),
            *([] if held_out is None else [("rows held out", f"{len(held_out.inputs):,}")]),
            *training_facts(network),
        ],
        findings=[findings.diagnose_training(network), *findings.diagnose_classifier(network)],
        parameters=parameters_of(network),
    )


def _view(raw: Any, image_shape: Any) -> RowView | None:
    """How rows are shown: as pictures where asked for; many numbers without names as curves; None is in a table."""
    is_table = hasattr(raw, "columns") or np.shape(raw)[1] <= MOST_COLUMNS or np.asarray(raw).dtype.kind not in "biuf"
    if image_shape is None and is_table:
        return None
    return view_of(np.asarray(raw, dtype=np.float64), None, image_shape)


def _labels(rows: Rows) -> NDArray[Any]:
    """Labels as given, a column too, which compared with a row would make a table."""
    return np.asarray(rows.targets).reshape(-1)


def _suspects(network: Any, parts: list[Rows], view: RowView | None) -> tuple[list[dict[str, Any]], int]:
    """Labels that are more probably wrong than right, the most probable first; and how many there are."""
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
    """How often the most probable label was the one given, against the probability said, in groups of rows alike."""
    p = network.predict_noisy_proba(rows.inputs)
    said = p.max(axis=1)
    came_true = network.classes_[p.argmax(axis=1)] == _labels(rows)
    groups = [group for group in np.array_split(np.argsort(said, kind="stable"), N_BINS) if len(group)]
    counts = np.array([len(group) for group in groups])
    observed = np.array([came_true[group].mean() for group in groups])
    predicted = np.array([said[group].mean() for group in groups])
    return predicted, observed, np.sqrt(predicted * (1 - predicted) / counts), counts


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
