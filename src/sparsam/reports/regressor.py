"""Content of the page of a regression with a noise covariance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from sparsam._utils.multivariate_normal import in_mean_deviations
from sparsam.display.residuals import SHARES, correlations, covariance_ellipse
from sparsam.reports import charts
from sparsam.reports import diagnostics as findings
from sparsam.reports.coverage import Coverage, diagnose_coverage
from sparsam.reports.page import Page
from sparsam.reports.rows import Rows
from sparsam.reports.training import parameters_of, training_facts

__all__ = ["regressor_page"]

Array = NDArray[np.float64]

MOST_PAIRS = 6
MOST_POINTS = 600  # in the chart of a pair


def regressor_page(network: Any, training: Rows, held_out: Rows | None, names: Sequence[str] | None) -> Page:
    """Gather the content of a regression's page, about the held-out rows if there are any."""
    shown = held_out or training
    Y = _targets(shown)
    names = _names(network, shown.targets if names is None else None, names)
    means = _matrix(network.predict(shown.inputs))
    residuals = Y - means
    depends_on_input = network.covariance_factor_ is not None
    if depends_on_input:
        C, C_of_rows = network.predictive_covariance_, network.predict_covariance(shown.inputs)
        residuals = in_mean_deviations(residuals, C_of_rows, C)
    else:
        # Training residuals follow the fitted covariance; those of new rows also contain the error of the predictions.
        C = C_of_rows = network.covariance_ if held_out is None else network.predictive_covariance_
    coverage = Coverage.of(Y, means, C_of_rows)
    correlation = correlations(C)
    specs = {"cost": charts.cost_curve(network.history_), "coverage": charts.coverage(*coverage.curve())}
    if len(C) > 1:
        specs["correlations"] = charts.heatmap(
            correlation,
            _without_units(names),
            rows=None,
            columns=None,
            signed=True,
            description="Correlation matrix of the noise; " + _strongest(correlation, names),
        )
    pictures = _residual_charts(residuals, C, correlation, names)
    return Page(
        template="regressor.html",
        content={
            "part": shown.part,
            "n_rows": len(Y),
            "outputs": _outputs(Y, means, C_of_rows, names),
            "depends_on_input": depends_on_input,
            "likelihoods": [
                (rows.part, len(rows.inputs), network.mean_log_likelihood(rows.inputs, rows.targets))
                for rows in (training, held_out)
                if rows is not None
            ],
            "covariance": [[f"{value:.4g}" for value in row] for row in C],
            "names": names,
            "coverage": coverage,
            "residual_charts": list(pictures),
            "n_pairs": len(C) * (len(C) - 1) // 2,
        },
        charts=specs | pictures,
        facts=[
            ("features", str(network.n_features_in_)),
            ("targets", str(len(C))),
            ("training rows", f"{len(training.inputs):,}"),
            *([] if held_out is None else [("held-out rows", f"{len(held_out.inputs):,}")]),
            *training_facts(network),
        ],
        findings=[
            findings.diagnose_training(network),
            *findings.diagnose_covariance(network, _targets(training), names),
            diagnose_coverage(coverage, shown.part, depends_on_input=depends_on_input),
        ],
        parameters=parameters_of(network),
    )


def _matrix(values: Any) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return array.reshape(len(array), -1)


def _targets(rows: Rows) -> Array:
    return _matrix(rows.targets)


def _names(network: Any, targets: Any, names: Sequence[str] | None) -> list[str]:
    n = len(network.covariance_)
    if names is None:
        names = [str(name) for name in getattr(targets, "columns", [f"output {k}" for k in range(n)])]
    if len(names) != n:
        raise ValueError(f"names must hold {n} names, one per target, got {len(names)}")
    return [str(name) for name in names]


def _without_units(names: list[str]) -> list[str]:
    """Drop the units after the slash, since correlations have none; keep them if names would become equal."""
    stems = [name.split(" / ")[0] for name in names]
    return stems if len(set(stems)) == len(set(names)) else names


def _outputs(Y: Array, means: Array, C: Array, names: list[str]) -> list[dict[str, str]]:
    """Summarize the residuals of each target in numbers; C is the covariance of all rows, or of each."""
    table = []
    deviations = np.broadcast_to(np.sqrt(np.diagonal(C, axis1=-2, axis2=-1)), Y.shape)
    for k, name in enumerate(names):
        seen = ~np.isnan(Y[:, k])
        r = Y[seen, k] - means[seen, k]
        low, high = np.quantile(deviations[:, k], (0.05, 0.95))
        deviation = f"{low:.4g}" if C.ndim == 2 else f"{low:.3g} to {high:.3g}"
        row = {"name": name, "seen": str(int(seen.sum())), "deviation": deviation}
        if len(r) > 1:
            row |= {
                "r2": f"{r2_score(Y[seen, k], means[seen, k]):.4f}",
                "mean": f"{r.mean():.3g}",
                "rms": f"{np.sqrt(np.mean(r**2)):.4g}",
                "outside": f"{100 * np.mean(np.abs(r) > 1.96 * deviations[seen, k]):.1f} %",
            }
        table.append(row)
    return table


def _residual_charts(residuals: Array, C: Array, correlation: Array, names: list[str]) -> dict[str, dict[str, Any]]:
    """Specify a chart for each pair of targets, at most the most correlated ones; or a histogram of a single target."""
    r = residuals[:: -(-len(residuals) // MOST_POINTS)]
    if len(C) == 1:
        seen = residuals[~np.isnan(residuals[:, 0]), 0]
        return {"residuals-0": charts.residual_histogram(seen, float(np.sqrt(C[0, 0])), names[0])}
    pairs = sorted(combinations(range(len(C)), 2), key=lambda pair: -abs(correlation[pair]))[:MOST_PAIRS]
    specs = {}
    for i, j in pairs:
        both = r[:, [i, j]]
        block = C[np.ix_([i, j], [i, j])]
        specs[f"residuals-{i}-{j}"] = charts.residual_pair(
            both[~np.isnan(both).any(axis=1)],
            {share: covariance_ellipse(block, share, 61) for share in SHARES},
            (names[i], names[j]),
            (4 * float(np.sqrt(C[i, i])), 4 * float(np.sqrt(C[j, j]))),
        )
    return specs


def _strongest(correlation: Array, names: list[str]) -> str:
    i, j = max(combinations(range(len(names)), 2), key=lambda pair: abs(correlation[pair]))
    return f"the strongest is {correlation[i, j]:.2f}, between {names[i]} and {names[j]}"
