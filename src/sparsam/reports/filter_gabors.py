"""Fit Gabor functions to filters, gray or in color."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam.inspection.gabor import LEAST_SIDE, fit_gabors
from sparsam.reports.embedded_images import Shape

__all__ = ["FilterGabors"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FilterGabors:
    """Results of `sparsam.inspection.fit_gabors`, one entry per filter.

    Let F of shape (pixels, 3) be a color filter minus the mean of each channel, and v its color of largest variance,
    the first right singular vector. A Gabor function G is fitted to the gray image F v, and is G v' in color. Since
    F v v' is the part of F in this color, |F - G v'|^2 = |F - F v v'|^2 + |F v - G|^2. Hence R^2 of the whole filter is
    R^2 of the gray image, times the share of the variance in this color.

    Attributes
    ----------
    r2, orientation, frequency : arrays of shape (n_filters,)
    oriented : boolean array of shape (n_filters,)
    image : array of shape (n_filters, n_features)
        The fitted functions, in the colors of the filters.
    """

    r2: Array
    orientation: Array
    frequency: Array
    oriented: NDArray[np.bool_]
    image: Array

    @classmethod
    def of(cls, components: Array, shape: Shape) -> FilterGabors | None:
        """Fit Gabor functions to filters of a shape; return None if they are too small."""
        size = (shape[0], shape[1])
        if min(size) < LEAST_SIDE:
            return None
        if len(shape) == 2:
            fits = fit_gabors(components, size)
            return cls(fits.r2, fits.orientation, fits.frequency, fits.oriented, fits.image.reshape(components.shape))
        F = components.reshape(len(components), -1, 3)
        F = F - F.mean(axis=1, keepdims=True)
        _, strengths, directions = np.linalg.svd(F, full_matrices=False)
        color = directions[:, 0]  # of unit length
        fits = fit_gabors(np.einsum("npc,nc->np", F, color), size)
        variance = np.sum(strengths**2, axis=1)
        share = strengths[:, 0] ** 2 / np.where(variance > 0, variance, 1.0)
        image = fits.image.reshape(len(F), -1, 1) * color[:, np.newaxis]
        return cls(share * fits.r2, fits.orientation, fits.frequency, fits.oriented, image.reshape(components.shape))
