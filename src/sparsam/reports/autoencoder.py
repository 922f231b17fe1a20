"""Content of an autoencoder's page."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.inspection.fit_statistics import explained_variance, total_variance
from sparsam.inspection.units import RANGES, unit_statistics
from sparsam.inspection.weak_fit import examine_fit
from sparsam.reports import charts
from sparsam.reports import diagnostics as findings
from sparsam.reports.code import Code
from sparsam.reports.drawn_inputs import DrawnInputs
from sparsam.reports.embedded_charts import MOST_BARS
from sparsam.reports.named_rows import rests_at_zero
from sparsam.reports.named_units import NamedUnits, describe_named_units
from sparsam.reports.page import Page
from sparsam.reports.row_views import RowView, possible_shapes, view_of
from sparsam.reports.training import parameters_of, training_facts
from sparsam.reports.unit_pages import N_EXCITING, losses_without, squared_errors, unit_pages
from sparsam.verification.spot_check import spot_check

__all__ = ["autoencoder_page"]

Array = NDArray[np.float64]

NOT_CHANGED = DrawnInputs()

MOST_ROWS = 10_000
N_PATCHES = 8
MOST_STRONGEST = 30
CHECKED_ROWS = 10


def autoencoder_page(
    network: Any,
    X: Any,
    feature_names: list[str] | None,
    image_shape: Any,
    drawn: DrawnInputs = NOT_CHANGED,
    row_names: list[str] | None = None,
) -> Page:
    """Gather the content of an autoencoder's page.

    Parameters
    ----------
    network : SparseAutoencoder or StackedAutoencoder
    X : array-like
        Training rows; at most 10,000 of them are used, chosen at random, and more where they have names.
    feature_names : list of str, optional
        Names of the features that are drawn.
    image_shape : tuple of int, optional
        Shape of the rows that are drawn, if they are images.
    drawn : DrawnInputs
        How to draw rows and filters.
    row_names : list of str, optional
        A name for each row. Unless rows are images, units are then described by names, without pictures.
    """
    n_rows, all_rows = len(X), X
    if n_rows > MOST_ROWS:
        kept = np.sort(np.random.default_rng(0).choice(n_rows, MOST_ROWS, replace=False))
        X = X.iloc[kept] if hasattr(X, "iloc") else X[kept] if hasattr(X, "shape") else np.asarray(X)[kept]
    Z = np.asarray(network.transform(X), dtype=np.float64)  # before X loses its column names
    X = np.asarray(X, dtype=np.float64)
    rows = drawn.rows(X)
    view = view_of(rows, feature_names, image_shape)
    code = Code.of(network)
    rho, hidden_activation = code.rho, code.hidden_activation
    has_pictures = row_names is None or view.kind == "picture"
    statistics = unit_statistics(Z, hidden_activation=hidden_activation, rho=rho)
    losses, n_for_losses = losses_without(network, X, Z)
    filters = drawn.filters(code.filters)
    units = []
    if has_pictures:
        units = unit_pages(filters, rows, Z, view, statistics, losses, hidden_activation)
    named = None
    if row_names is not None:
        named = describe_named_units(
            code, all_rows, row_names, Z.mean(axis=0), statistics, losses, filters, feature_names
        )
    explained = [unit for unit in units if unit.oriented and unit.r2 is not None and unit.r2 > 0.7]
    mean = np.asarray(network.mean_activation_, dtype=np.float64)
    if np.isnan(mean).any():  # another program trained the weights
        mean = statistics.mean
    weak = examine_fit(network, X, statistics)
    error = float(squared_errors(network, X, Z).mean())
    check = None
    if not code.is_stack:
        check = spot_check(
            X[:CHECKED_ROWS],
            n_components=Z.shape[1],
            sparsity=network.sparsity,
            rho=float(network.rho),
            beta=float(network.beta_),
            alpha=float(network.alpha),
            hidden_activation=network.hidden_activation,
            output_activation=network.output_activation,
            tied=network.tied,
            error=network.error,
        )
    return Page(
        template="autoencoder.html",
        content={
            "n_units": Z.shape[1],
            "units": units,
            "named": named,
            "sparsity": code.sparsity,
            "rests_at_zero": rests_at_zero(hidden_activation),
            "has_gabors": any(unit.gabor for unit in units),
            "n_explained": len(explained),
            "patches": _reconstructions(code, X, Z, view, drawn) if has_pictures else [],
            "check": check,
            "n_layers": len(code.layers),
            "rho": rho,
            "activity": _describe_activity(mean, hidden_activation),
            "of_tanh": hidden_activation == "tanh",
            "error": error,
            "is_weak": weak is not None,
            "n_rows": n_rows,
            "n_looked_at": len(X),
            "n_for_losses": n_for_losses,
            "n_exciting": min(N_EXCITING, len(X)),
            "view": view.kind,
            "n_features": X.shape[1],
            "most_bars": MOST_BARS,
            "is_color": getattr(view, "is_color", False),
            "possible_shapes": possible_shapes(rows.shape[1]) if view.kind == "curve" else [],
        },
        charts={"cost": charts.cost_curve(network.history_)}
        | ({"activation": charts.activation_histogram(len(X))} if has_pictures else {})
        | ({"mean-activations": charts.mean_activations(mean, rho)} if has_pictures or rho is not None else {})
        | ({} if named is None else _charts_of_names(named, hidden_activation)),
        facts=[
            ("features", str(X.shape[1])),
            ("hidden units", str(Z.shape[1])),
            ("rows", f"{n_rows:,}"),
            *training_facts(network),
            ("variance explained", _format_explained_variance(error, X)),
        ],
        findings=[
            findings.diagnose_training(network, weak),
            *findings.diagnose_units(statistics, mean, rho if RANGES[hidden_activation][1] < np.inf else None),
            *findings.diagnose_inputs(X, code.output_activation),
        ],
        parameters=parameters_of(network),
        scripts=("report.js",) if named is None else ("report.js", "named_rows.js"),
        styles=("report.css",) if named is None else ("report.css", "named_rows.css"),
    )


def _charts_of_names(named: NamedUnits, hidden_activation: str) -> dict[str, dict[str, Any]]:
    coherence = charts.coherence_histogram(named.by_rows.coherence, named.by_rows.coherence_at_random)
    if not rests_at_zero(hidden_activation):
        return {"coherence": coherence}
    return {"coherence": coherence, "density": charts.density_histogram(named.by_rows.density)}


def _format_explained_variance(error: float, X: Array) -> str:
    share = explained_variance(error, total_variance(X))
    return "\N{EN DASH}" if np.isnan(share) else f"{100 * share:z.1f} %"


def _describe_activity(mean: Array, hidden_activation: str) -> str:
    """Describe the range of the mean activations."""
    low, median, high = (f"{value:.3g}" for value in (mean.min(), np.median(mean), mean.max()))
    quantity = "mean activations of (z + 1)/2" if hidden_activation == "tanh" else "mean activations"
    return f"{quantity} range from {low} to {high}, with median {median}"


def _reconstructions(code: Code, X: Array, Z: Array, view: RowView, drawn: DrawnInputs) -> list[dict[str, Any]]:
    """Reconstruct some patches from their k strongest units, with all other units at their mean activation.

    The strongest units move the pre-activations of the outputs the most: by |z_j - mean z_j| |w_j|, where w_j are the
    weights from the unit to the outputs.
    """
    network, mean = code.network, Z.mean(axis=0)
    strength = np.abs(Z - mean) * code.lengths
    gained = squared_errors(network, X, np.broadcast_to(mean, Z.shape)) - squared_errors(network, X, Z)
    patches = []
    for row, how in _choose_rows(gained, strength.argmax(axis=1)):
        order = np.argsort(-strength[row], kind="stable")[:MOST_STRONGEST]
        codes = np.tile(mean, (len(order) + 1, 1))
        for k, unit in enumerate(order):
            codes[k + 1 :, unit] = Z[row, unit]
        if len(order) < Z.shape[1]:
            codes = np.vstack([codes, Z[row]])
        frames = drawn.rows(network.inverse_transform(codes))
        [original] = drawn.rows(X[[row]])
        patches.append(
            {
                "row": int(row),
                "how": how,
                "thumbnail": view.row_thumbnail(original),
                "original": view.row(original),
                "frames": [view.row(frame, original) for frame in frames],
                "errors": [float(f"{error:.4g}") for error in squared_errors(network, X[[row]], codes)],
                "units": order.tolist(),
            }
        )
    return patches


def _choose_rows(gained: Array, strongest: NDArray[np.intp]) -> list[tuple[int, str]]:
    """Choose rows to show: half are explained best, each by a different strongest unit, and half are random."""
    best: dict[int, int] = {}
    for row in np.argsort(-gained, kind="stable"):
        best.setdefault(int(strongest[row]), int(row))
        if len(best) == N_PATCHES // 2:
            break
    others = np.setdiff1d(np.arange(len(gained)), list(best.values()))
    n_others = min(N_PATCHES - len(best), len(others))
    at_random = np.sort(np.random.default_rng(0).choice(others, n_others, replace=False))
    return [(row, "explained best") for row in best.values()] + [(int(row), "drawn at random") for row in at_random]
