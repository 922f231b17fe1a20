"""How much filters look like Gabor functions: oriented edges and bars, as primary visual cortex has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.inspection.gabor_fitting import Grid, basis, nearest, projected

__all__ = ["GaborFits", "fit_gabors"]

Array = NDArray[np.float64]

LEAST_SIDE = 4  # pixels; of less a Gabor function, which has nine parameters, explains anything

# At random places and sizes in 8 x 8 pixels 98.7 % of round blobs, cut by the patch or not, and all centers with round
# surrounds are below, 99.2 % of Gabor functions with 0.8 to 2.4 cycles above.
LEAST_SELECTIVITY = 0.4
FINER_SPECTRUM = 4  # times as many frequencies as pixels: those in between, too


@dataclass(frozen=True)
class GaborFits:
    """The Gabor functions nearest to filters, an entry a filter.

    Coordinates are in pixels, x to the right and y downward from the middle of the first pixel. Where a filter is
    constant, `r2`, `amplitude` and `selectivity` are 0, and what describes the stripes is NaN.

    Attributes
    ----------
    r2 : array of shape (n_filters,)
        Share of the filter's variance over its pixels that the fit explains, in [0, 1].
    orientation : array of shape (n_filters,)
        Direction of the stripes in degrees, counterclockwise from the horizontal, in [0, 180): 90 is upright.
    frequency : array of shape (n_filters,)
        Of the carrier, across the stripes, in cycles per pixel.
    phase : array of shape (n_filters,)
        Of the carrier at the center in radians, in [-pi, pi]: 0 is a bright bar there, +-pi a dark one, pi/2 an edge
        that falls off to the right (of horizontal stripes downward), -pi/2 one that rises.
    center : array of shape (n_filters, 2)
        x and y of the envelope's center, within the patch.
    widths : array of shape (n_filters, 2)
        Standard deviations of the envelope in pixels, across the stripes and along them; at least half a pixel and at
        most the patch's longer side.
    amplitude, offset : arrays of shape (n_filters,)
        Of the carrier, not negative; and the constant, both in the filter's unit.
    selectivity : array of shape (n_filters,)
        Mean of cos 2(angle - orientation) over the spectrum of the filter itself (not of its fit), weighed by power: 1
        if it responds to gratings of one orientation only, 0 if to all alike; 1 minus the circular variance.
    image : array of shape (n_filters, height, width)
        The fits as pictures.
    """

    r2: Array
    orientation: Array
    frequency: Array
    phase: Array
    center: Array
    widths: Array
    amplitude: Array
    offset: Array
    selectivity: Array
    image: Array

    @property
    def oriented(self) -> NDArray[np.bool_]:
        """Which filters have an orientation at all: a selectivity of at least 0.4.

        A blob, a single pixel, a center with a round surround or a checkerboard responds to all orientations alike,
        however well one of many Gabor functions may fit it.
        """
        return self.selectivity >= LEAST_SELECTIVITY

    def quality(self, threshold: float = 0.7) -> float:
        """Share of the filters that are oriented and whose R^2 exceeds the threshold."""
        return float(np.mean(self.oriented & (self.r2 > threshold)))


def fit_gabors(components: ArrayLike, image_shape: tuple[int, int] | None = None) -> GaborFits:
    """Fit an oriented Gabor function to each filter by least squares.

    Parameters
    ----------
    components : array-like of shape (n_filters, n_pixels) or (n_filters, height, width)
        The filters, ``components_`` of an autoencoder, in any unit.
    image_shape : (height, width), optional
        Of a filter with n_pixels. Default: a square. Each side has at least 4 pixels.

    Returns
    -------
    GaborFits
        With R^2, orientation, frequency, phase, center, widths and the fitted image of each filter;
        ``fits.quality()`` is the share of oriented filters with R^2 > 0.7.

    Raises
    ------
    ValueError
        If there is no filter, or they are not numeric, not finite, or do not have that shape.

    Notes
    -----
    With x' across the stripes (to the right, of horizontal ones downward) and y' along them, from the center ::

        amplitude * exp(-x'^2 / (2 s_x^2) - y'^2 / (2 s_y^2)) * cos(2 pi f x' + phase) + offset

    Of the carrier at least half a cycle lies within the envelope, 4 s_x f >= 1/2 (its width taken from -2 to +2
    standard deviations), and f is at most half a cycle per pixel along either axis. With less than half a cycle nothing
    is left of the carrier but a slope, whose amplitude and frequency the data would not tell apart.

    The offset is there because patches whose mean has been removed say nothing about a filter's own: it acts like a
    bias. R^2 is therefore about the filter's mean, and neither an offset nor a factor, of either sign, changes it.

    Every filter is first compared with a bank of some thousand Gabor functions; the fit starts from the five best that
    differ in orientation or frequency. White noise of 8 x 8 pixels comes to an R^2 of 0.26 in the median and 0.47 at
    most (of 400), of 16 x 16 pixels to 0.08 and 0.14.

    References
    ----------
    J. P. Jones and L. A. Palmer, "An evaluation of the two-dimensional Gabor filter model of simple receptive fields in
    cat striate cortex", J. Neurophysiology 58 (1987); D. L. Ringach, R. M. Shapley and M. J. Hawken, "Orientation
    selectivity in macaque V1: diversity and laminar dependence", J. Neuroscience 22 (2002), on circular variance;
    G. H. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
    variables separate", SIAM J. Numerical Analysis 10 (1973).

    Examples
    --------
    An edge that falls off to the right, upright, and its negative turned by 90 degrees:

    >>> y, x = np.mgrid[:8, :8] - 3.5
    >>> edge = np.exp(-(x**2 + y**2) / 8) * np.sin(-2 * np.pi * 0.15 * x)
    >>> fits = fit_gabors([edge, -np.rot90(edge), np.ones((8, 8))])
    >>> fits.r2.round(3).tolist(), fits.oriented.tolist()
    ([1.0, 1.0, 0.0], [True, True, False])
    >>> (fits.orientation.round() % 180).tolist(), fits.frequency.round(2).tolist()  # 180 degrees are 0
    ([90.0, 0.0, nan], [0.15, 0.15, nan])
    >>> round(fits.quality(), 2)
    0.67
    """
    filters = _checked(components, image_shape)
    n_filters, height, width = filters.shape
    grid = Grid.of(height, width)
    values = filters.reshape(n_filters, -1)
    # In units of its largest value a filter of 1e-200 or 1e200 is squared without loss.
    scale = np.abs(values).max(axis=1, initial=0.0, keepdims=True)
    scaled = values / np.where(scale > 0, scale, 1.0)
    mean = scaled.mean(axis=1, keepdims=True)
    v = scaled - mean
    alive = np.abs(v).max(axis=1, initial=0.0) > 8 * np.finfo(np.float64).eps  # else the rounding of a constant
    p = np.full((n_filters, 6), np.nan)
    p[alive] = nearest(v[alive], grid)

    phi = basis(p, grid)
    coefficients, residual = projected(phi - phi.mean(axis=1, keepdims=True), v)
    image = np.einsum("bpk,bk->bp", phi, coefficients)
    offset = mean[:, 0] - image.mean(axis=1)
    image += offset[:, None]
    left = np.sum(residual**2, axis=1)

    theta, frequency = p[:, 2], np.exp(p[:, 3])
    orientation = (90 - np.degrees(theta)) % 180 % 180  # twice: the first may round a tiny negative up to 180
    # theta + pi is the same function with x' and the phase turned round.
    turned = np.round((90 - np.degrees(theta) - orientation) / 180) % 2 == 1
    phase = np.arctan2(-coefficients[:, 1], coefficients[:, 0])
    scale = scale[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return GaborFits(
            r2=np.where(alive, 1 - left / np.sum(v**2, axis=1), 0.0),
            orientation=orientation,
            frequency=frequency,
            phase=np.where(turned, -phase, phase),
            center=p[:, :2],
            widths=np.stack([np.exp(p[:, 4] - p[:, 3]), np.exp(p[:, 5])], axis=1),
            amplitude=np.where(alive, scale * np.hypot(*coefficients.T), 0.0),
            offset=np.where(alive, scale * offset, values.mean(axis=1)),
            selectivity=np.where(alive, _selectivity(v, theta, grid), 0.0),
            image=np.where(alive[:, None], scale[:, None] * image, values).reshape(filters.shape),
        )


def _checked(components: ArrayLike, image_shape: tuple[int, int] | None) -> Array:
    try:
        filters = np.asarray(components).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ValueError(f"components must be an array of real numbers: {error}") from error
    if filters.ndim not in (2, 3):
        raise ValueError(
            f"components must be (n_filters, n_pixels) or (n_filters, height, width), got the shape {filters.shape}; "
            "of filters in color fit the mean over the colors"
        )
    if not len(filters):
        raise ValueError("components holds no filter")
    if image_shape is None:
        side = round(np.sqrt(filters.shape[1]))
        image_shape = filters.shape[1:] if filters.ndim == 3 else (side, side)
    n_pixels = int(np.prod(filters.shape[1:]))
    if filters.ndim == 3 and tuple(image_shape) != filters.shape[1:]:
        raise ValueError(
            f"filters of shape {filters.shape[1:]} are not of image_shape {tuple(image_shape)}: leave it out"
        )
    if len(image_shape) != 2 or int(np.prod(image_shape)) != n_pixels:
        raise ValueError(f"filters of {n_pixels} pixels are not of image_shape {tuple(image_shape)}: give their shape")
    if min(image_shape) < LEAST_SIDE:
        raise ValueError(f"filters must be at least {LEAST_SIDE} pixels high and wide, got {tuple(image_shape)}")
    if not np.isfinite(filters).all():
        bad = np.flatnonzero(~np.isfinite(filters).reshape(len(filters), -1).all(axis=1))
        raise ValueError(f"components has NaN or infinity in {len(bad)} filters, first in components[{bad[0]}]")
    return filters.reshape(len(filters), *image_shape)


def _selectivity(v: Array, theta: Array, grid: Grid) -> Array:
    """Mean of cos 2(angle - theta) over the spectrum, angle that of the frequency, each weighing by its power."""
    size = FINER_SPECTRUM * max(grid.height, grid.width)
    power = np.abs(np.fft.fft2(v.reshape(-1, grid.height, grid.width), s=(size, size))) ** 2
    f = np.fft.fftfreq(size)
    power *= np.hypot(f, f[:, None]) <= 0.5  # the square's corners would favor diagonals
    double = 2 * np.arctan2(f[:, None], f)
    cos, sin = (np.sum(power * part(double), axis=(1, 2)) for part in (np.cos, np.sin))
    return (cos * np.cos(2 * theta) + sin * np.sin(2 * theta)) / np.sum(power, axis=(1, 2))
