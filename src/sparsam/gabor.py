"""How much filters look like Gabor functions: oriented edges and bars, as primary visual cortex has them.

The fit is separable least squares (variable projection; Golub and Pereyra, 1973): amplitude, phase and offset are
linear and solved for at every step, the six others move by Levenberg and Marquardt's steps. All filters and
all starts are fitted at once, as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["GaborFits", "fit_gabors"]

Array = NDArray[np.float64]

LEAST_CYCLES = 0.5  # of the carrier within the envelope, from -2 to +2 of its standard deviations
LEAST_WIDTH = 0.5  # pixels; a narrower envelope is a single pixel, of which every frequency is true
LEAST_SIDE = 4  # pixels; of less a Gabor function, which has nine parameters, explains anything

# At random places and sizes in 8 x 8 pixels 98.7 % of round blobs, cut by the patch or not, and all centers with round
# surrounds are below, 99.2 % of Gabor functions with 0.8 to 2.4 cycles above.
LEAST_SELECTIVITY = 0.4
FINER_SPECTRUM = 4  # times as many frequencies as pixels: those in between, too

# Where the fit starts: the best of these in each group of one orientation and one frequency, for the best groups.
N_ORIENTATIONS, N_FREQUENCIES, N_CENTERS = 12, 5, 5
CYCLES_IN_WIDTH = (0.2, 0.45)  # frequency times width across the stripes
ELONGATIONS = (1.0, 2.0)
N_STARTS, N_FINALISTS = 5, 2
FIRST_STEPS, MOST_STEPS = 10, 150
AT_ONCE = 256  # filters, for the sake of memory
SETTLED = 1e-10  # relative to the filter's variance, the decrease of the squared error in a step


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
    >>> fits.orientation.round().tolist(), fits.frequency.round(2).tolist()
    ([90.0, 0.0, nan], [0.15, 0.15, nan])
    >>> round(fits.quality(), 2)
    0.67
    """
    filters = _checked(components, image_shape)
    n_filters, height, width = filters.shape
    grid = _Grid.of(height, width)
    values = filters.reshape(n_filters, -1)
    # In units of its largest value a filter of 1e-200 or 1e200 is squared without loss.
    scale = np.abs(values).max(axis=1, initial=0.0, keepdims=True)
    scaled = values / np.where(scale > 0, scale, 1.0)
    mean = scaled.mean(axis=1, keepdims=True)
    v = scaled - mean
    alive = np.abs(v).max(axis=1, initial=0.0) > 8 * np.finfo(np.float64).eps  # else the rounding of a constant
    p = np.full((n_filters, 6), np.nan)
    which = np.flatnonzero(alive)
    for start in range(0, len(which), AT_ONCE):
        some = which[start : start + AT_ONCE]
        p[some] = _fitted(v[some], grid)

    phi = _basis(p, grid)
    coefficients, residual = _projected(phi - phi.mean(axis=1, keepdims=True), v)
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
    if len(image_shape) != 2 or int(np.prod(image_shape)) != n_pixels:
        raise ValueError(f"filters of {n_pixels} pixels are not of image_shape {tuple(image_shape)}: give their shape")
    if min(image_shape) < LEAST_SIDE:
        raise ValueError(f"filters must be at least {LEAST_SIDE} pixels high and wide, got {tuple(image_shape)}")
    if not np.isfinite(filters).all():
        bad = np.flatnonzero(~np.isfinite(filters).reshape(len(filters), -1).all(axis=1))
        raise ValueError(f"components has NaN or infinity in {len(bad)} filters, first in components[{bad[0]}]")
    return filters.reshape(len(filters), *image_shape)


class _Grid(NamedTuple):
    """The pixels of a patch: coordinates (n_pixels,), and its sides."""

    x: Array
    y: Array
    height: int
    width: int

    @classmethod
    def of(cls, height: int, width: int) -> _Grid:
        y, x = np.mgrid[:height, :width].astype(np.float64)
        return cls(x.ravel(), y.ravel(), height, width)


# A row of parameters p is (center x, center y, theta, ln f, ln(f s_x), ln s_y), theta the angle of x' from x to y.


def _fitted(v: Array, grid: _Grid) -> Array:
    """Parameters (n_filters, 6) nearest to the filters v (n_filters, n_pixels), whose means are 0."""
    starts = _starts(v, grid)
    n_filters, n_starts, _ = starts.shape
    p, left = _refined(np.repeat(v, n_starts, axis=0), starts.reshape(-1, 6), grid, FIRST_STEPS)
    best = np.argsort(left.reshape(n_filters, n_starts), axis=1)[:, :N_FINALISTS]
    p = np.take_along_axis(p.reshape(starts.shape), best[..., None], axis=1)
    p, left = _refined(np.repeat(v, N_FINALISTS, axis=0), p.reshape(-1, 6), grid, MOST_STEPS)
    first = np.argmin(left.reshape(n_filters, N_FINALISTS), axis=1)
    return p.reshape(n_filters, N_FINALISTS, 6)[np.arange(n_filters), first]


def _starts(v: Array, grid: _Grid) -> Array:
    """Of the bank, the best of each of the best groups: (n_filters, N_STARTS, 6)."""
    best, explained = [], []
    for group in _bank(grid):
        phi = _basis(group, grid)
        phi -= phi.mean(axis=1, keepdims=True)
        gram = _gram(phi)
        b = np.moveaxis(phi, 2, 1) @ v.T  # (bank, 2, n_filters)
        energy = np.sum(b * np.linalg.solve(gram, b), axis=1)  # of v's projection onto the two
        best.append(group[np.argmax(energy, axis=0)])
        explained.append(energy.max(axis=0))
    order = np.argsort(np.stack(explained), axis=0)[: -N_STARTS - 1 : -1]
    return np.take_along_axis(np.stack(best), order[..., None], axis=0).swapaxes(0, 1)


def _bank(grid: _Grid) -> Iterator[Array]:
    """Give parameters (n, 6) that cover the patch, a group for each orientation and frequency."""
    longer = max(grid.height, grid.width)
    centers = [(np.arange(N_CENTERS) + 0.5) / N_CENTERS * side - 0.5 for side in (grid.width, grid.height)]
    for theta in np.arange(N_ORIENTATIONS) * np.pi / N_ORIENTATIONS:
        for f in np.geomspace(0.5 / longer, 0.4, N_FREQUENCIES):
            mesh = np.meshgrid(*centers, CYCLES_IN_WIDTH, ELONGATIONS)
            x, y, cycles, elongation = (array.ravel() for array in mesh)
            p = [
                x,
                y,
                np.full_like(x, theta),
                np.full_like(x, np.log(f)),
                np.log(cycles),
                np.log(elongation * cycles / f),
            ]
            group = np.stack(p, axis=1)
            yield np.clip(group, *_bounds(group, grid))


def _bounds(p: Array, grid: _Grid) -> tuple[Array, Array]:
    """Lower and upper bounds of each parameter, where they depend on each other in the order of the parameters."""
    longer = max(grid.height, grid.width)
    low, high = np.empty_like(p), np.empty_like(p)
    low[:, :2], high[:, :2] = -0.5, (grid.width - 0.5, grid.height - 0.5)
    low[:, 2], high[:, 2] = -np.inf, np.inf
    # Beyond half a cycle per pixel along either axis the pixels show a lower frequency.
    low[:, 3] = np.log(LEAST_CYCLES / 4 / longer)
    high[:, 3] = np.log(0.5 / np.maximum(np.abs(np.cos(p[:, 2])), np.abs(np.sin(p[:, 2]))))
    ln_f = np.clip(p[:, 3], low[:, 3], high[:, 3])
    low[:, 4] = np.maximum(np.log(LEAST_CYCLES / 4), ln_f + np.log(LEAST_WIDTH))
    high[:, 4] = ln_f + np.log(longer)
    low[:, 5], high[:, 5] = np.log(LEAST_WIDTH), np.log(longer)
    return low, high


class _Parts(NamedTuple):
    """What function and derivatives share, each (n, n_pixels) or (n, 1)."""

    cos: Array
    sin: Array
    f: Array
    sx: Array
    sy: Array
    u: Array  # x'
    w: Array  # y'
    envelope: Array


def _parts(p: Array, grid: _Grid) -> _Parts:
    x, y, theta, ln_f, ln_cycles, ln_sy = (column[:, None] for column in p.T)
    cos, sin = np.cos(theta), np.sin(theta)
    u = (grid.x - x) * cos + (grid.y - y) * sin
    w = (grid.y - y) * cos - (grid.x - x) * sin
    sx, sy = np.exp(ln_cycles - ln_f), np.exp(ln_sy)
    return _Parts(cos, sin, np.exp(ln_f), sx, sy, u, w, np.exp(-0.5 * ((u / sx) ** 2 + (w / sy) ** 2)))


def _basis(p: Array, grid: _Grid) -> Array:
    """The two functions whose combinations are all phases: (n, n_pixels, 2)."""
    parts = _parts(p, grid)
    angle = 2 * np.pi * parts.f * parts.u
    return np.stack([parts.envelope * np.cos(angle), parts.envelope * np.sin(angle)], axis=2)


def _gram(phi: Array) -> Array:
    gram = np.moveaxis(phi, 2, 1) @ phi
    # Where the two hardly differ within the patch, nearly the same fit with small coefficients.
    return gram + 1e-13 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(2) + 1e-300 * np.eye(2)


def _projected(phi: Array, v: Array) -> tuple[Array, Array]:
    """Coefficients (n, 2) of v on the basis, and what it leaves (n, n_pixels)."""
    b = np.einsum("bpk,bp->bk", phi, v)
    coefficients = np.linalg.solve(_gram(phi), b[..., None])[..., 0]
    return coefficients, v - np.einsum("bpk,bk->bp", phi, coefficients)


def _linearized(p: Array, v: Array, grid: _Grid) -> tuple[Array, Array]:
    """Residual r (n, n_pixels), and the slopes of the fit (n, n_pixels, 6) at the best coefficients.

    With m = g (a cos(psi) + b sin(psi)), psi = 2 pi f x', and d = dm/dpsi ::

        dm/dx' = 2 pi f d - x'/s_x^2 m        dm/dy' = -y'/s_y^2 m
        dx'/dtheta = y'                       dy'/dtheta = -x'
        dm/d(ln f) = 2 pi f x' d - x'^2/s_x^2 m       (s_x is f s_x over f)
        dm/d(ln f s_x) = x'^2/s_x^2 m         dm/d(ln s_y) = y'^2/s_y^2 m

    The coefficients follow, so that of each slope only what is orthogonal to the basis counts (Kaufman's form of the
    variable projection). The constant is a third function of the basis: means are taken away throughout.
    """
    parts = _parts(p, grid)
    _, _, f, sx, sy, u, w, envelope = parts
    angle = 2 * np.pi * f * u
    g_cos, g_sin = envelope * np.cos(angle), envelope * np.sin(angle)
    phi = np.stack([g_cos, g_sin], axis=2)
    phi -= phi.mean(axis=1, keepdims=True)
    coefficients, r = _projected(phi, v)
    a, b = coefficients[:, :1], coefficients[:, 1:]
    m, d = a * g_cos + b * g_sin, b * g_cos - a * g_sin
    stretch_x, stretch_y = (u / sx) ** 2 * m, (w / sy) ** 2 * m
    by_u = 2 * np.pi * f * d - u / sx**2 * m
    by_w = -w / sy**2 * m
    slopes = np.stack(
        [
            parts.sin * by_w - parts.cos * by_u,
            -parts.cos * by_w - parts.sin * by_u,
            w * by_u - u * by_w,
            2 * np.pi * f * u * d - stretch_x,
            stretch_x,
            stretch_y,
        ],
        axis=2,
    )
    slopes -= slopes.mean(axis=1, keepdims=True)
    slopes -= phi @ np.linalg.solve(_gram(phi), np.moveaxis(phi, 2, 1) @ slopes)
    return r, slopes


def _refined(v: Array, p: Array, grid: _Grid, most_steps: int) -> tuple[Array, Array]:
    """Levenberg and Marquardt's steps from p, each filter by itself; parameters and squared errors."""
    total = np.sum(v**2, axis=1)
    p, left = p.copy(), np.full(len(p), np.inf)
    damping = np.full(len(p), 1e-2)
    open_ = np.arange(len(p))  # the others have settled
    for _ in range(most_steps):
        r, slopes = _linearized(p[open_], v[open_], grid)
        left[open_] = np.sum(r**2, axis=1)
        low, high = _bounds(p[open_], grid)
        normal = np.moveaxis(slopes, 2, 1) @ slopes
        downhill = np.einsum("bpk,bp->bk", slopes, r)
        # A parameter at its bound stays where the error falls beyond it only.
        free = ~(((p[open_] <= low) & (downhill < 0)) | ((p[open_] >= high) & (downhill > 0)))
        downhill = downhill * free
        normal = normal * free[:, :, None] * free[:, None, :]
        diagonal = np.einsum("bkk->bk", normal)
        least = 1e-9 * diagonal.max(axis=1, keepdims=True) + 1e-300
        added = damping[open_, None] * np.maximum(diagonal, least) + np.where(free, 0.0, 1.0)
        step = np.linalg.solve(normal + added[:, None, :] * np.eye(6), downhill[..., None])[..., 0]
        trial = p[open_] + step
        trial = np.clip(trial, *_bounds(trial, grid))
        phi = _basis(trial, grid)
        of_trial = np.sum(_projected(phi - phi.mean(axis=1, keepdims=True), v[open_])[1] ** 2, axis=1)
        better = of_trial < left[open_]
        decrease = np.where(better, left[open_] - of_trial, 0.0)
        p[open_[better]], left[open_[better]] = trial[better], of_trial[better]
        damping[open_] *= np.where(better, 0.3, 4.0)
        damping = np.maximum(damping, 1e-8)
        going = np.where(better, decrease > SETTLED * total[open_], damping[open_] < 1e4)
        open_ = open_[going & (left[open_] > SETTLED * total[open_])]
        if not len(open_):
            break
    return p, left


def _selectivity(v: Array, theta: Array, grid: _Grid) -> Array:
    """Mean of cos 2(angle - theta) over the spectrum, angle that of the frequency, each weighing by its power."""
    size = FINER_SPECTRUM * max(grid.height, grid.width)
    power = np.abs(np.fft.fft2(v.reshape(-1, grid.height, grid.width), s=(size, size))) ** 2
    f = np.fft.fftfreq(size)
    power *= np.hypot(f, f[:, None]) <= 0.5  # the square's corners would favor diagonals
    double = 2 * np.arctan2(f[:, None], f)
    cos, sin = (np.sum(power * part(double), axis=(1, 2)) for part in (np.cos, np.sin))
    return (cos * np.cos(2 * theta) + sin * np.sin(2 * theta)) / np.sum(power, axis=(1, 2))
