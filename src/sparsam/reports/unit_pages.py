"""Describe each hidden unit of an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsam.inspection.units import RANGES, UnitStatistics
from sparsam.reports.code import Code
from sparsam.reports.decoder import Decoder
from sparsam.reports.filter_gabors import FilterGabors
from sparsam.reports.row_views import PictureView, RowView

__all__ = ["N_EXCITING", "Unit", "losses_without", "squared_errors", "troubles_of", "unit_pages"]

Array = NDArray[np.float64]

N_EXCITING = 16
N_BINS = 24
MOST_VALUES = 50_000_000  # outputs to compute for the losses without each unit


@dataclass(frozen=True)
class Unit:
    """Content of a unit's page.

    Attributes
    ----------
    number : int
    thumbnail, filter, gabor, exciting : str
        Images: the filter, small and large; the nearest Gabor function (empty if there is none); the rows with the
        highest activation.
    alt : str
        Description of the filter in words.
    mean : float
        Mean activation.
    loss : float
        Increase of the mean E_n without the unit.
    r2, orientation, frequency : float or None
        Results of the Gabor fit.
    oriented : bool
    troubles : list of str
    histogram : list of dict
        Histogram of the activation over the rows: low, high, count.
    """

    number: int
    thumbnail: str
    filter: str
    gabor: str
    exciting: str
    alt: str
    mean: float
    loss: float
    r2: float | None
    orientation: float | None
    frequency: float | None
    oriented: bool
    troubles: list[str]
    histogram: list[dict[str, float]]


def unit_pages(
    filters: Array,
    rows: Array,
    Z: Array,
    view: RowView,
    statistics: UnitStatistics,
    losses: Array,
    hidden_activation: str,
) -> list[Unit]:
    """Describe each unit.

    Parameters
    ----------
    filters : array of shape (n_components, n_features)
    rows : array of shape (n_samples, n_features)
    Z : array of shape (n_samples, n_components)
        The activations.
    view : RowView
        Draws rows and filters.
    statistics : UnitStatistics
    losses : array of shape (n_components,)
        The losses from `losses_without`.
    hidden_activation : str
    """
    fits = FilterGabors.of(filters, view.shape) if isinstance(view, PictureView) else None
    exciting = np.argsort(-Z, axis=0, kind="stable")[:N_EXCITING]
    edges = _edges(Z, hidden_activation)
    pages = []
    for j, component in enumerate(filters):
        has_gabor = fits is not None and fits.r2[j] > 0
        oriented = bool(fits is not None and fits.oriented[j])
        orientation = float(fits.orientation[j]) if fits is not None and has_gabor else None
        frequency = float(fits.frequency[j]) if fits is not None and has_gabor else None
        words = view.words(component)
        counts, _ = np.histogram(Z[:, j], edges)
        pages.append(
            Unit(
                number=j,
                thumbnail=view.filter_thumbnail(component),
                filter=view.filter(component),
                gabor=view.filter(fits.image[j]) if fits is not None and has_gabor else "",
                exciting=view.rows(rows[exciting[:, j]]),
                alt=_describe_filter(j, oriented, orientation, frequency) + (f": {words}" if words else ""),
                mean=float(statistics.mean[j]),
                loss=float(losses[j]),
                r2=None if fits is None else float(fits.r2[j]),
                orientation=orientation,
                frequency=frequency,
                oriented=oriented,
                troubles=troubles_of(statistics, j),
                histogram=[
                    {"low": float(f"{low:.4g}"), "high": float(f"{high:.4g}"), "count": int(count)}
                    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
                    if count
                ],
            )
        )
    return pages


def losses_without(network: Any, X: Array, Z: Array) -> tuple[Array, int]:
    """Compute the increase of the mean of E_n = 1/2 |y_n - x_n|^2 if a unit always has its mean activation.

    The mean and not 0, because a bias could replace the constant part of a unit. The loss is the unit's information
    about individual rows.

    Returns
    -------
    losses : array of shape (n_components,)
    n_rows : int
        Number of rows used, from the first on: all if the outputs are linear in the code.
    """
    decoder, mean = Decoder.of(Code.of(network)), Z.mean(axis=0)
    n_rows = len(X) if decoder.is_linear else max(1, min(len(X), MOST_VALUES // (X.shape[1] * Z.shape[1])))
    return decoder.increases_without(X[:n_rows], Z[:n_rows], mean), n_rows


def squared_errors(network: Any, X: Array, Z: Array) -> Array:
    """Compute E_n of the reconstructions from these activations."""
    residuals: Array = network.inverse_transform(Z) - X
    return 0.5 * np.einsum("nk,nk->n", residuals, residuals)


def _edges(Z: Array, hidden_activation: str) -> Array:
    low, high = RANGES[hidden_activation]
    if np.isinf(high):
        high = float(Z.max()) or 1.0
    return np.linspace(low, high, N_BINS + 1)


def _describe_filter(number: int, oriented: bool, orientation: float | None, frequency: float | None) -> str:
    if not oriented or orientation is None or frequency is None:
        return f"Filter of unit {number}"
    return f"Filter of unit {number}: stripes at {orientation:.0f} degrees, {frequency:.2f} cycles per pixel"


def troubles_of(statistics: UnitStatistics, unit: int) -> list[str]:
    """Name what is wrong with a unit: whether it is dead, saturated or constant."""
    kinds = {"dead": statistics.dead, "saturated": statistics.saturated, "constant": statistics.constant}
    return [name for name, which in kinds.items() if which is not None and which[unit]]
