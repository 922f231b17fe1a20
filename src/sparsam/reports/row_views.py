"""How rows, and the weights from their features, are shown: as pictures, as bars with names, or as curves.

Whether a row is a picture cannot be seen in it: 64 numbers may be 8 x 8 pixels or a piece of sound. So it is a picture
where a shape is given, a table's row where its features have names, and else a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsam.reports import embedded_charts, embedded_images
from sparsam.reports.embedded_images import Shape, limits_of, picture_shape

__all__ = ["BarView", "CurveView", "PictureView", "RowView", "possible_shapes", "view_of"]

Array = NDArray[np.float64]

N_COLUMNS = 8  # of a mosaic of rows
N_NAMED = 3  # features that are named in words


class RowView(Protocol):
    """Shows rows, and filters, as pictures within the page."""

    @property
    def kind(self) -> Literal["picture", "bars", "curve"]:
        """What they are, for the page's words and its style sheet."""

    def filter(self, weights: Array) -> str:
        """Show the weights from the features to a unit."""

    def filter_thumbnail(self, weights: Array) -> str:
        """Show them small, among others."""

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show a row, or the reconstruction of one."""

    def row_thumbnail(self, values: Array) -> str:
        """Show a row small, among others."""

    def rows(self, values: Array) -> str:
        """Show what rows have in common."""

    def words(self, weights: Array) -> str:
        """Say what a filter is strongest on; nothing where features have no names."""


def view_of(X: Array, names: Sequence[str] | None, image_shape: Any) -> RowView:
    """Choose how rows like these are shown.

    Raises
    ------
    ValueError
        If image_shape is none, or does not fit.
    """
    shape = picture_shape(X.shape[1], image_shape)
    if shape is not None:
        return PictureView(shape, limits_of(X))
    if names is not None:
        return BarView(list(names), X.mean(axis=0), X.std(axis=0))
    return CurveView(limits_of(X))


@dataclass(frozen=True)
class PictureView:
    """Pixels, gray or in color.

    Attributes
    ----------
    shape : tuple of int
    limits : (float, float)
        Values of black and white.
    """

    shape: Shape
    limits: tuple[float, float]
    kind: Literal["picture"] = "picture"

    @property
    def is_color(self) -> bool:
        """Whether pixels are red, green and blue."""
        return len(self.shape) == 3

    def filter(self, weights: Array) -> str:
        """Show the weights in a range of their own."""
        return embedded_images.filter_picture(weights, self.shape)

    def filter_thumbnail(self, weights: Array) -> str:
        """Show the same: the page enlarges pixels."""
        return self.filter(weights)

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show the row; the original stands beside it."""
        return embedded_images.patch_picture(values, self.shape, self.limits)

    def row_thumbnail(self, values: Array) -> str:
        """Show the same: the page enlarges pixels."""
        return self.row(values)

    def rows(self, values: Array) -> str:
        """Show the rows side by side."""
        return embedded_images.mosaic_picture(values, self.shape, self.limits, N_COLUMNS)

    def words(self, weights: Array) -> str:
        """Say nothing: pixels have no names."""
        return ""


@dataclass(frozen=True)
class CurveView:
    """Numbers in an order, such as samples of sound.

    Attributes
    ----------
    limits : (float, float)
        Of the axis for rows.
    """

    limits: tuple[float, float]
    kind: Literal["curve"] = "curve"

    def filter(self, weights: Array) -> str:
        """Show the weights in a range of their own, in which 0 is the middle."""
        return embedded_charts.curve_chart(weights[np.newaxis], _about_zero(weights))

    def filter_thumbnail(self, weights: Array) -> str:
        """Show the same without numbers."""
        return embedded_charts.thumbnail_curve(weights, _about_zero(weights))

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show the row, or the reconstruction before the original."""
        return embedded_charts.curve_chart(np.asarray(values, np.float64)[np.newaxis], self.limits, original)

    def row_thumbnail(self, values: Array) -> str:
        """Show the row without numbers."""
        return embedded_charts.thumbnail_curve(np.asarray(values, np.float64), self.limits)

    def rows(self, values: Array) -> str:
        """Show the rows over each other."""
        return embedded_charts.curve_chart(values, self.limits)

    def words(self, weights: Array) -> str:
        """Say nothing: the features have no names."""
        return ""


@dataclass(frozen=True)
class BarView:
    """Features with names, in units of their own: rows are shown in standard deviations from the mean of all rows.

    Attributes
    ----------
    names : list of str
    mean, deviation : arrays of shape (n_features,)
    """

    names: list[str]
    mean: Array
    deviation: Array
    kind: Literal["bars"] = "bars"

    def filter(self, weights: Array) -> str:
        """Show the weights in a range of their own."""
        return embedded_charts.named_bars(weights, self.names, _largest(weights))

    def filter_thumbnail(self, weights: Array) -> str:
        """Show the same without names."""
        return embedded_charts.thumbnail_bars(weights, _largest(weights))

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show the row, or the reconstruction, each bar with a mark where the original is."""
        z = self._standardized(values)
        goal = z if original is None else self._standardized(original)
        shown = embedded_charts.strongest(goal)
        marks = None if original is None else goal
        return embedded_charts.named_bars(z, self.names, _largest(goal), to_meet=marks, shown=shown)

    def row_thumbnail(self, values: Array) -> str:
        """Show the row without names."""
        z = self._standardized(values)
        return embedded_charts.thumbnail_bars(z, _largest(z))

    def rows(self, values: Array) -> str:
        """Show the mean of the rows."""
        return self.row(values.mean(axis=0))

    def words(self, weights: Array) -> str:
        """Name the features of the largest weights, with these."""
        first = np.argsort(-np.abs(weights), kind="stable")[:N_NAMED]
        return ", ".join(f"{self.names[j]} {weights[j]:+.2g}" for j in first)

    def _standardized(self, values: Array) -> Array:
        z: Array = (np.asarray(values, np.float64) - self.mean) / np.where(self.deviation > 0, self.deviation, 1.0)
        return z


def _largest(values: Array) -> float:
    return float(np.abs(values).max()) or 1.0


def _about_zero(values: Array) -> tuple[float, float]:
    largest = _largest(values)
    return -largest, largest


def possible_shapes(n_features: int) -> list[Shape]:
    """Return squares that rows of so many features may be, gray or in color."""
    shapes: list[Shape] = []
    for channels in (1, 3):
        side = isqrt(n_features // channels)
        if side > 1 and side**2 * channels == n_features:
            shapes.append((side, side) if channels == 1 else (side, side, channels))
    return shapes
