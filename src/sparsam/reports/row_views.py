"""Show rows, and weights from their features, as images, as bars with names, or as curves.

The numbers do not reveal whether a row is an image: 64 numbers may be 8 x 8 pixels or a piece of sound. So a row is
shown as an image if a shape is given, as bars if its features have names, and otherwise as a curve.
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
N_NAMED = 3  # features named in the description of a filter


class RowView(Protocol):
    """Draws rows and filters as images in the page."""

    @property
    def kind(self) -> Literal["picture", "bars", "curve"]:
        """Kind of drawing, for the page's text and style sheet."""

    def filter(self, weights: Array) -> str:
        """Show the weights from the features to a unit."""

    def filter_thumbnail(self, weights: Array) -> str:
        """Show the weights as a thumbnail."""

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show a row, or the reconstruction of one."""

    def row_thumbnail(self, values: Array) -> str:
        """Show a row as a thumbnail."""

    def rows(self, values: Array) -> str:
        """Show several rows together."""

    def words(self, weights: Array) -> str:
        """Name the features of a filter's largest weights; empty if features have no names."""


def view_of(X: Array, names: Sequence[str] | None, image_shape: Any) -> RowView:
    """Choose the view for rows like these.

    Raises
    ------
    ValueError
        If image_shape is not a shape, or does not fit the rows.
    """
    shape = picture_shape(X.shape[1], image_shape)
    if shape is not None:
        return PictureView(shape, limits_of(X))
    if names is not None:
        varies = np.ptp(X, axis=0) > 0  # the deviation of a constant column can be rounding
        return BarView(list(names), X.mean(axis=0), np.where(varies, X.std(axis=0), np.inf))
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
        """Whether pixels have the three colors red, green and blue."""
        return len(self.shape) == 3

    def filter(self, weights: Array) -> str:
        """Show the weights in their own range."""
        return embedded_images.filter_picture(weights, self.shape)

    def filter_thumbnail(self, weights: Array) -> str:
        """Return the same image: the page scales it."""
        return self.filter(weights)

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show the row; the page shows the original beside it."""
        return embedded_images.patch_picture(values, self.shape, self.limits)

    def row_thumbnail(self, values: Array) -> str:
        """Return the same image: the page scales it."""
        return self.row(values)

    def rows(self, values: Array) -> str:
        """Show the rows side by side."""
        return embedded_images.mosaic_picture(values, self.shape, self.limits, N_COLUMNS)

    def words(self, weights: Array) -> str:
        """Return an empty text: pixels have no names."""
        return ""


@dataclass(frozen=True)
class CurveView:
    """Numbers in an order, such as samples of sound.

    Attributes
    ----------
    limits : (float, float)
        Limits of the axis for rows.
    """

    limits: tuple[float, float]
    kind: Literal["curve"] = "curve"

    def filter(self, weights: Array) -> str:
        """Show the weights in their own range, with 0 in the middle."""
        return embedded_charts.curve_chart(weights[np.newaxis], _about_zero(weights))

    def filter_thumbnail(self, weights: Array) -> str:
        """Show the same without numbers."""
        return embedded_charts.thumbnail_curve(weights, _about_zero(weights))

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show the row, or the reconstruction in front of the original."""
        return embedded_charts.curve_chart(np.asarray(values, np.float64)[np.newaxis], self.limits, original)

    def row_thumbnail(self, values: Array) -> str:
        """Show the row without numbers."""
        return embedded_charts.thumbnail_curve(np.asarray(values, np.float64), self.limits)

    def rows(self, values: Array) -> str:
        """Show the rows overlaid."""
        return embedded_charts.curve_chart(values, self.limits)

    def words(self, weights: Array) -> str:
        """Return an empty text: the features have no names."""
        return ""


@dataclass(frozen=True)
class BarView:
    """Named features in different units: rows are shown in standard deviations from the mean of all rows.

    Attributes
    ----------
    names : list of str
    mean, deviation : arrays of shape (n_features,)
        The deviation of a constant feature is infinite: it is shown as 0.
    """

    names: list[str]
    mean: Array
    deviation: Array
    kind: Literal["bars"] = "bars"

    def filter(self, weights: Array) -> str:
        """Show the weights in their own range."""
        return embedded_charts.named_bars(weights, self.names, _largest(weights))

    def filter_thumbnail(self, weights: Array) -> str:
        """Show the same without names."""
        return embedded_charts.thumbnail_bars(weights, _largest(weights))

    def row(self, values: Array, original: Array | None = None) -> str:
        """Show the row, or the reconstruction with a mark of the original across each bar."""
        z = self._standardized(values)
        reference = z if original is None else self._standardized(original)
        shown = embedded_charts.strongest(reference)
        marks = None if original is None else reference
        return embedded_charts.named_bars(z, self.names, _largest(reference), to_meet=marks, shown=shown)

    def row_thumbnail(self, values: Array) -> str:
        """Show the row without names."""
        z = self._standardized(values)
        return embedded_charts.thumbnail_bars(z, _largest(z))

    def rows(self, values: Array) -> str:
        """Show the mean of the rows."""
        return self.row(values.mean(axis=0))

    def words(self, weights: Array) -> str:
        """Name the features of the largest weights, and these weights."""
        first = np.argsort(-np.abs(weights), kind="stable")[:N_NAMED]
        return ", ".join(f"{self.names[j]} {weights[j]:+.2g}" for j in first)

    def _standardized(self, values: Array) -> Array:
        z: Array = (np.asarray(values, np.float64) - self.mean) / self.deviation
        return z


def _largest(values: Array) -> float:
    return float(np.abs(values).max()) or 1.0


def _about_zero(values: Array) -> tuple[float, float]:
    largest = _largest(values)
    return -largest, largest


def possible_shapes(n_features: int) -> list[Shape]:
    """Return the shapes of square images, gray or in color, with this number of features."""
    shapes: list[Shape] = []
    for channels in (1, 3):
        side = isqrt(n_features // channels)
        if side > 1 and side**2 * channels == n_features:
            shapes.append((side, side) if channels == 1 else (side, side, channels))
    return shapes
