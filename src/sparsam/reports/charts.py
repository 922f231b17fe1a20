"""Specify charts in Vega-Altair.

The colors are in the page's style sheet, for light and dark mode; the page's script passes them to Vega.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from sparsam.display.colors import SIGNED, color_table
from sparsam.display.cost_curve import NO_TERMS

__all__ = [
    "activation_histogram",
    "calibration",
    "coherence_histogram",
    "cost_curve",
    "coverage",
    "density_histogram",
    "error_histogram",
    "heatmap",
    "likelihood_profile",
    "mean_activations",
    "residual_histogram",
    "residual_pair",
]

Spec = dict[str, Any]
Array = NDArray[np.float64]

MOST_ITERATIONS = 300  # points of a curve of J
HEIGHT, SQUARE = 260, 320
DIGITS = 5
N_COLORS = 11  # of the scale of signed numbers; Vega interpolates between them


def _rows(**columns: Iterable[Any]) -> alt.InlineData:
    """Make the table of a chart; numbers are rounded, and those that JSON cannot hold become None."""
    table = zip(*columns.values(), strict=True)
    return alt.InlineData(values=[dict(zip(columns, map(_to_jsonable, row), strict=True)) for row in table])


def _to_jsonable(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _spec(chart: Any, description: str, height: int = HEIGHT) -> Spec:
    spec: Spec = chart.properties(width="container", height=height, description=description).to_dict()
    return spec


def cost_curve(history: Any) -> Spec:
    """Plot J and its terms against the iteration."""
    shown = np.unique(np.linspace(0, len(history) - 1, MOST_ITERATIONS).astype(int))
    terms = ["J", *(name for name in history.columns if name not in NO_TERMS)]
    values = history[terms].to_numpy(dtype=float)[shown]
    logarithmic = not (values < 0).any()
    values[(values <= 0) & logarithmic] = np.nan
    names = [term.replace("_", " ") for term in terms]
    data = _rows(
        iteration=np.tile(history["iteration"].to_numpy()[shown], len(terms)),
        term=np.repeat(names, len(shown)).tolist(),
        value=values.T.ravel(),
    )
    chart = (
        alt.Chart(data)
        .mark_line(clip=True)
        .encode(
            x=alt.X(
                "iteration:Q", title="iteration", scale=alt.Scale(nice=False), axis=alt.Axis(tickMinStep=1, format="d")
            ),
            y=alt.Y(
                "value:Q",
                title="J and its terms" + (", logarithmic" if logarithmic else ""),
                scale=alt.Scale(type="log") if logarithmic else alt.Scale(zero=False),
                axis=alt.Axis(tickCount=5, format="~g"),
            ),
            color=alt.Color("term:N", scale=alt.Scale(domain=names), title=None),
            strokeDash=alt.StrokeDash("term:N", scale=alt.Scale(domain=names), title=None),
            tooltip=["term:N", "iteration:Q", alt.Tooltip("value:Q", format=".5g")],
        )
    )
    last = history.iloc[-1]
    return _spec(
        chart,
        f"Lines of J and its terms over {int(last['iteration'])} iterations; at the end "
        + ", ".join(f"{name} is {last[term]:.4g}" for term, name in zip(terms, names, strict=True)),
    )


def mean_activations(mean: Array, rho: float | None) -> Spec:
    """Plot rho_hat of each unit, and rho."""
    points = (
        alt.Chart(_rows(unit=range(len(mean)), mean=mean))
        .mark_point(filled=True, size=60)
        .encode(
            x=alt.X("unit:Q", title="unit", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("mean:Q", title="mean activation", scale=alt.Scale(zero=True)),
            tooltip=["unit:Q", alt.Tooltip("mean:Q", title="mean activation", format=".5g")],
        )
    )
    description = f"Mean activation of each of {len(mean)} units, from {mean.min():.4g} to {mean.max():.4g}"
    if rho is None:
        return _spec(points, description)
    line = alt.Chart(_rows(rho=[rho])).mark_rule(strokeDash=[6, 4]).encode(y="rho:Q")
    return _spec(line + points, f"{description}; a line at the target rho = {rho:g}")


def activation_histogram(n_samples: int) -> Spec:
    """Plot a histogram of a unit's activation; the page fills in the bins of each unit: low, high, count."""
    # Logarithmic, because a sparse unit is inactive on nearly all rows. Bars start at half a row: there is no 0.
    chart = (
        alt.Chart(_rows(low=[], high=[], count=[]))
        .transform_filter("datum.count > 0")
        .mark_bar()
        .encode(
            x=alt.X("low:Q", title="activation", scale=alt.Scale(zero=False, nice=False)),
            x2="high:Q",
            y=alt.Y(
                "count:Q",
                title="rows, logarithmic",
                scale=alt.Scale(type="log", domain=[0.5, n_samples]),
                axis=alt.Axis(tickCount=4, format="~s"),
            ),
            y2=alt.datum(0.5),
            tooltip=[alt.Tooltip("low:Q", format=".3g"), alt.Tooltip("high:Q", format=".3g"), "count:Q"],
        )
    )
    return _spec(chart, "Histogram of the activation", height=150)


def coherence_histogram(coherence: Array, at_random: float) -> Spec:
    """Plot a histogram of the coherence of units, with a line at that of rows drawn at random."""
    known = coherence[np.isfinite(coherence)]
    edges = np.linspace(min(-0.2, np.floor(10 * known.min(initial=0)) / 10), 1, 31)
    bars = _histogram(known, edges, alt.X("low:Q", title="coherence", scale=alt.Scale(domain=[edges[0], 1])), ".2f")
    description = f"Histogram of the coherence of {len(known)} units"
    if len(known):
        description += f", with median {np.median(known):.2f}"
    if not np.isfinite(at_random):
        return _spec(bars, description, height=160)
    line = alt.Chart(_rows(low=[at_random])).mark_rule(strokeDash=[6, 4]).encode(x="low:Q")
    return _spec(bars + line, f"{description}; a line at that of rows drawn at random, {at_random:.2f}", height=160)


def density_histogram(density: Array) -> Spec:
    """Plot a histogram of the share of rows on which units are active, on a logarithmic axis."""
    active = density[density > 0]
    low = np.floor(np.log10(active.min(initial=0.1)))
    x = alt.X(
        "low:Q",
        title="share of rows on which a unit is active, logarithmic",
        scale=alt.Scale(type="log", domain=[10**low, 1]),
        axis=alt.Axis(format="~%", tickCount=6),
    )
    bars = _histogram(active, np.logspace(low, 0, 31), x, ".2%")
    description = f"Histogram of the density of {len(active)} units that are active on some row"
    if len(active):
        description += f", with median {np.median(active):.2%}"
    return _spec(bars, description, height=160)


def _histogram(values: Array, edges: Array, x: alt.X, format: str) -> Any:
    counts, _ = np.histogram(values, edges)
    return (
        alt.Chart(_rows(low=edges[:-1], high=edges[1:], count=counts))
        .transform_filter("datum.count > 0")
        .mark_bar()
        .encode(
            x=x,
            x2="high:Q",
            y=alt.Y("count:Q", title="units", axis=alt.Axis(tickMinStep=1, tickCount=4)),
            y2=alt.datum(0),
            tooltip=[
                alt.Tooltip("low:Q", title="from", format=format),
                alt.Tooltip("high:Q", title="to", format=format),
                alt.Tooltip("count:Q", title="units"),
            ],
        )
    )


def heatmap(
    matrix: Array, names: Sequence[str], *, rows: str | None, columns: str | None, signed: bool, description: str
) -> Spec:
    """Draw a matrix as colored cells, with its values if there is room."""
    n, names = len(names), _distinct(names)
    data = _rows(
        row=np.repeat(list(names), n).tolist(), column=np.tile(list(names), n).tolist(), value=np.ravel(matrix)
    )
    scale = _signed_scale() if signed else alt.Scale(scheme="blues", domain=[0, 1])
    cells = (
        alt.Chart(data)
        .mark_rect()
        .encode(
            x=alt.X("column:N", sort=list(names), title=columns, axis=alt.Axis(labelAngle=0 if n < 6 else -45)),
            y=alt.Y("row:N", sort=list(names), title=rows),
            color=alt.Color("value:Q", scale=scale, title=None),
            tooltip=["row:N", "column:N", alt.Tooltip("value:Q", format=".3f")],
        )
    )
    if n > 12:
        return _spec(cells, description, SQUARE)
    dark = "abs(datum.value) > 0.6" if signed else "datum.value > 0.55"
    text = (
        alt.Chart(data)
        .mark_text(fontSize=12 if n < 8 else 9)
        .encode(
            x=alt.X("column:N", sort=list(names)),
            y=alt.Y("row:N", sort=list(names)),
            text=alt.Text("value:Q", format=".2f"),
            color=alt.condition(dark, alt.value("white"), alt.value("black")),
        )
    )
    return _spec(cells + text, description, SQUARE)


def _signed_scale() -> alt.Scale:
    """Return the color scale of numbers in [-1, 1], the same as in Matplotlib's pictures."""
    table = color_table(SIGNED)
    shown = np.linspace(0, len(table) - 1, N_COLORS).astype(int)
    colors = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in table[shown].tolist()]
    return alt.Scale(domain=np.linspace(-1, 1, N_COLORS).round(2).tolist(), range=colors)


def _distinct(names: Sequence[str]) -> list[str]:
    """Append the number to names that occur twice: Vega would merge their cells."""
    return [f"{name} ({k})" if list(names).count(name) > 1 else name for k, name in enumerate(names)]


def residual_pair(
    r: Array, ellipses: Mapping[float, Array], names: tuple[str, str], limits: tuple[float, float]
) -> Spec:
    """Plot residuals of two outputs, and the ellipses expected to contain shares of them."""
    x_scale, y_scale = (alt.Scale(domain=[-limit, limit]) for limit in limits)
    points = (
        alt.Chart(_rows(x=r[:, 0], y=r[:, 1]))
        .mark_circle(size=14, opacity=0.5, clip=True)
        .encode(
            x=alt.X("x:Q", title=f"residual of {names[0]}", scale=x_scale, axis=alt.Axis(tickCount=5)),
            y=alt.Y("y:Q", title=f"residual of {names[1]}", scale=y_scale, axis=alt.Axis(tickCount=5)),
        )
    )
    shares = [f"{100 * share:.0f} % expected inside" for share in ellipses]
    outline = np.concatenate([line.T for line in ellipses.values()])
    n_points = len(outline) // len(shares)
    lines = (
        alt.Chart(
            _rows(
                x=outline[:, 0],
                y=outline[:, 1],
                share=np.repeat(shares, n_points).tolist(),
                place=np.tile(np.arange(n_points), len(shares)),
            )
        )
        .mark_line(clip=True)
        .encode(
            x=alt.X("x:Q", scale=x_scale),
            y=alt.Y("y:Q", scale=y_scale),
            order="place:O",
            detail="share:N",
            strokeDash=alt.StrokeDash("share:N", sort=shares, title=None),
        )
    )
    return _spec(
        points + lines,
        f"Residuals of {names[0]} and {names[1]} with ellipses: " + " and ".join(shares),
        SQUARE,
    )


def error_histogram(errors: Array, threshold: float) -> Spec:
    """Plot a histogram of errors on a logarithmic scale, and a threshold."""
    positive = errors[errors > 0]
    counts, edges = np.histogram(np.log10(positive), bins="auto")
    edges = 10.0**edges
    kept = counts > 0
    x = alt.X("low:Q", title="error, logarithmic", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format="~g"))
    bars = (
        alt.Chart(_rows(low=edges[:-1][kept], high=edges[1:][kept], rows=counts[kept]))
        .mark_bar()
        .encode(x=x, x2="high:Q", y=alt.Y("rows:Q", title="rows", scale=alt.Scale(type="symlog")), y2=alt.datum(0))
    )
    line = alt.Chart(_rows(low=[threshold])).mark_rule(strokeDash=[6, 4], strokeWidth=2).encode(x="low:Q")
    n_beyond = int(np.sum(errors > threshold))
    return _spec(
        bars + line if threshold > 0 else bars,
        f"Histogram of the errors of {len(errors)} rows, {n_beyond} of them beyond the threshold {threshold:.4g}",
    )


def residual_histogram(r: Array, deviation: float, name: str) -> Spec:
    """Plot a histogram of the residuals of a single output, and the normal density."""
    density, edges = np.histogram(r, bins="auto", density=True)
    x = np.linspace(-4 * deviation, 4 * deviation, 121)
    normal = np.exp(-0.5 * (x / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    bars = (
        alt.Chart(_rows(low=edges[:-1], high=edges[1:], density=density))
        .mark_bar()
        .encode(
            x=alt.X("low:Q", title=f"residual of {name}"),
            x2="high:Q",
            y=alt.Y("density:Q", title="density"),
            y2=alt.datum(0),  # without it, Vega draws horizontal bars
        )
    )
    line = alt.Chart(_rows(low=x, density=normal)).mark_line().encode(x="low:Q", y="density:Q")
    return _spec(bars + line, f"Histogram of the residuals of {name}, with the fitted normal density")


def coverage(expected: Array, observed: Array, band: Array) -> Spec:
    """Plot observed against expected shares of rows inside regions, with a band for chance."""
    x = alt.X("expected:Q", title="share expected inside", scale=alt.Scale(domain=[0, 1]))
    area = (
        alt.Chart(_rows(expected=expected, low=np.clip(expected - band, 0, 1), high=np.clip(expected + band, 0, 1)))
        .mark_area(opacity=0.25)
        .encode(x=x, y=alt.Y("low:Q", title="share observed inside", scale=alt.Scale(domain=[0, 1])), y2="high:Q")
    )
    diagonal = alt.Chart(_rows(expected=[0.0, 1.0], observed=[0.0, 1.0])).mark_line(
        strokeDash=[6, 4], strokeWidth=1, style="quiet"
    )
    curve = (
        alt.Chart(_rows(expected=expected, observed=observed))
        .mark_line()
        .encode(
            x=x,
            y="observed:Q",
            tooltip=[alt.Tooltip("expected:Q", format=".2f"), alt.Tooltip("observed:Q", format=".3f")],
        )
    )
    worst = int(np.argmax(np.abs(observed - expected)))
    return _spec(
        area + diagonal.encode(x=x, y="observed:Q") + curve,
        "Observed against expected share of rows inside; the largest difference is "
        f"{100 * expected[worst]:.0f} % expected, {100 * observed[worst]:.0f} % observed",
        SQUARE,
    )


def calibration(predicted: Array, observed: Array, errors: Array, counts: NDArray[np.intp]) -> Spec:
    """Plot the observed frequency of predicted labels against their predicted probability."""
    x = alt.X("predicted:Q", title="predicted probability", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("observed:Q", title="observed frequency", scale=alt.Scale(domain=[0, 1]))
    diagonal = alt.Chart(_rows(predicted=[0.0, 1.0], observed=[0.0, 1.0])).mark_line(
        strokeDash=[6, 4], strokeWidth=1, style="quiet"
    )
    base = alt.Chart(
        _rows(
            predicted=predicted,
            observed=observed,
            low=np.clip(observed - 2 * errors, 0, 1),
            high=np.clip(observed + 2 * errors, 0, 1),
            rows=counts,
        )
    )
    bars = base.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q", title="observed frequency"), y2="high:Q")
    points = base.mark_point(filled=True, size=70).encode(
        x=x,
        y=y,
        tooltip=[alt.Tooltip("predicted:Q", format=".3f"), alt.Tooltip("observed:Q", format=".3f"), "rows:Q"],
    )
    return _spec(
        diagonal.encode(x=x, y=y) + bars + points,
        "Observed frequency against predicted probability: "
        + ", ".join(f"{q:.2f} for {p:.2f}" for p, q in zip(predicted, observed, strict=True)),
        SQUARE,
    )


def likelihood_profile(profile: Any) -> Spec:
    """Plot the likelihood of held-out labels at each epsilon."""
    low, high = profile.interval
    near = profile.near_best
    x = alt.X("epsilon:Q", title="epsilon, probability that a label is wrong")
    y = alt.Y("likelihood:Q", title="mean log-likelihood / nats", scale=alt.Scale(zero=False))
    band = alt.Chart(_rows(low=[low], high=[high])).mark_rect(opacity=0.25).encode(x=alt.X("low:Q"), x2="high:Q")
    best = alt.Chart(_rows(best=[profile.best])).mark_rule().encode(x="best:Q")
    curve = (
        alt.Chart(_rows(epsilon=profile.epsilon[near], likelihood=profile.held_out[near]))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=y,
            tooltip=[alt.Tooltip("epsilon:Q", format=".3f"), alt.Tooltip("likelihood:Q", format=".4f")],
        )
    )
    return _spec(
        band + best + curve,
        f"Mean log-likelihood of held-out labels against epsilon; the maximum is at {profile.best:.3f}, with a 95 % "
        f"interval from {low:.3f} to {high:.3f}",
    )
