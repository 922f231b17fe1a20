"""Least squares fits of Gabor functions.

The problem is separable (variable projection; Golub and Pereyra, 1973): amplitude, phase and offset are linear, and
solved for at every step; the other six parameters are found by Levenberg and Marquardt's method. All filters and all
starts are computed as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid", "basis", "bounds", "linearized", "nearest", "projected"]

Array = NDArray[np.float64]

LEAST_CYCLES = 0.5  # of the carrier within the envelope, from -2 to +2 of its standard deviations
LEAST_WIDTH = 0.5  # pixels; a narrower envelope is a single pixel, which any frequency fits

# The bank of starts: each group has one orientation and one frequency; a fit starts from the best of the best groups.
N_ORIENTATIONS, N_FREQUENCIES, N_CENTERS = 12, 5, 5
CYCLES_IN_WIDTH = (0.2, 0.45)  # frequency times width across the stripes
ELONGATIONS = (1.0, 2.0)
N_STARTS, N_FINALISTS = 5, 2
FIRST_STEPS, MAX_STEPS = 10, 150
AT_ONCE = 256  # filters fitted at a time, to limit memory
SETTLED = 1e-10  # smallest decrease of the squared error in a step, relative to the filter's variance


class Grid(NamedTuple):
    """The pixels of a patch: coordinates (n_pixels,), and its sides."""

    x: Array
    y: Array
    height: int
    width: int

    @classmethod
    def of(cls, height: int, width: int) -> Grid:
        """Make the grid of a patch."""
        y, x = np.mgrid[:height, :width].astype(np.float64)
        return cls(x.ravel(), y.ravel(), height, width)


# A row of parameters p is (center x, center y, theta, ln f, ln(f s_x), ln s_y), theta the angle of x' from x to y.


def nearest(v: Array, grid: Grid) -> Array:
    """Find the parameters (n_filters, 6) of the best fits to filters v (n_filters, n_pixels) with mean 0."""
    at_once = [_nearest(v[start : start + AT_ONCE], grid) for start in range(0, len(v), AT_ONCE)]
    return np.concatenate([np.empty((0, 6)), *at_once])


def _nearest(v: Array, grid: Grid) -> Array:
    starts = _starts(v, grid)
    n_filters, n_starts, _ = starts.shape
    p, left = _refined(np.repeat(v, n_starts, axis=0), starts.reshape(-1, 6), grid, FIRST_STEPS)
    best = np.argsort(left.reshape(n_filters, n_starts), axis=1)[:, :N_FINALISTS]
    p = np.take_along_axis(p.reshape(starts.shape), best[..., None], axis=1)
    p, left = _refined(np.repeat(v, N_FINALISTS, axis=0), p.reshape(-1, 6), grid, MAX_STEPS)
    first = np.argmin(left.reshape(n_filters, N_FINALISTS), axis=1)
    return p.reshape(n_filters, N_FINALISTS, 6)[np.arange(n_filters), first]


def _starts(v: Array, grid: Grid) -> Array:
    """Choose the starts from the bank, the best of each of the best groups: (n_filters, N_STARTS, 6)."""
    best, explained = [], []
    for group in _bank(grid):
        phi = basis(group, grid)
        phi -= phi.mean(axis=1, keepdims=True)
        gram = _gram(phi)
        b = np.moveaxis(phi, 2, 1) @ v.T  # (bank, 2, n_filters)
        energy = np.sum(b * np.linalg.solve(gram, b), axis=1)  # of v's projection onto the two functions
        best.append(group[np.argmax(energy, axis=0)])
        explained.append(energy.max(axis=0))
    order = np.argsort(np.stack(explained), axis=0)[: -N_STARTS - 1 : -1]
    return np.take_along_axis(np.stack(best), order[..., None], axis=0).swapaxes(0, 1)


def _bank(grid: Grid) -> Iterator[Array]:
    """Yield parameters (n, 6) that cover the patch, a group for each orientation and frequency."""
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
            yield np.clip(group, *bounds(group, grid))


def bounds(p: Array, grid: Grid) -> tuple[Array, Array]:
    """Compute lower and upper bounds of each parameter, which may depend on the parameters before it."""
    longer = max(grid.height, grid.width)
    low, high = np.empty_like(p), np.empty_like(p)
    low[:, :2], high[:, :2] = -0.5, (grid.width - 0.5, grid.height - 0.5)
    low[:, 2], high[:, 2] = -np.inf, np.inf
    # Beyond half a cycle per pixel along either axis, sampling at the pixels shows a lower frequency.
    low[:, 3] = np.log(LEAST_CYCLES / 4 / longer)
    high[:, 3] = np.log(0.5 / np.maximum(np.abs(np.cos(p[:, 2])), np.abs(np.sin(p[:, 2]))))
    ln_f = np.clip(p[:, 3], low[:, 3], high[:, 3])
    low[:, 4] = np.maximum(np.log(LEAST_CYCLES / 4), ln_f + np.log(LEAST_WIDTH))
    high[:, 4] = ln_f + np.log(longer)
    low[:, 5], high[:, 5] = np.log(LEAST_WIDTH), np.log(longer)
    return low, high


class _Parts(NamedTuple):
    """Values that the function and its slopes share, each (n, n_pixels) or (n, 1)."""

    cos: Array
    sin: Array
    f: Array
    sx: Array
    sy: Array
    u: Array  # x'
    w: Array  # y'
    g_cos: Array  # envelope times cos(2 pi f x')
    g_sin: Array


def _parts(p: Array, grid: Grid) -> _Parts:
    x, y, theta, ln_f, ln_cycles, ln_sy = (column[:, None] for column in p.T)
    cos, sin = np.cos(theta), np.sin(theta)
    u = (grid.x - x) * cos + (grid.y - y) * sin
    w = (grid.y - y) * cos - (grid.x - x) * sin
    sx, sy = np.exp(ln_cycles - ln_f), np.exp(ln_sy)
    envelope, angle = np.exp(-0.5 * ((u / sx) ** 2 + (w / sy) ** 2)), 2 * np.pi * np.exp(ln_f) * u
    return _Parts(cos, sin, np.exp(ln_f), sx, sy, u, w, envelope * np.cos(angle), envelope * np.sin(angle))


def basis(p: Array, grid: Grid) -> Array:
    """Compute the two functions whose linear combinations have all phases: (n, n_pixels, 2)."""
    parts = _parts(p, grid)
    return np.stack([parts.g_cos, parts.g_sin], axis=2)


def _gram(phi: Array) -> Array:
    gram = np.moveaxis(phi, 2, 1) @ phi
    # Regularized: if the two functions hardly differ within the patch, the coefficients stay small.
    return gram + 1e-13 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(2) + 1e-300 * np.eye(2)


def projected(phi: Array, v: Array) -> tuple[Array, Array]:
    """Compute the coefficients (n, 2) of v on the basis, and the residual (n, n_pixels)."""
    b = np.einsum("bpk,bp->bk", phi, v)
    coefficients = np.linalg.solve(_gram(phi), b[..., None])[..., 0]
    return coefficients, v - np.einsum("bpk,bk->bp", phi, coefficients)


def linearized(p: Array, v: Array, grid: Grid) -> tuple[Array, Array]:
    """Compute the residual r (n, n_pixels), and the slopes of the fit (n, n_pixels, 6) at the best coefficients.

    With m = g (a cos(psi) + b sin(psi)), psi = 2 pi f x', and d = dm/dpsi ::

        dm/dx' = 2 pi f d - x'/s_x^2 m        dm/dy' = -y'/s_y^2 m
        dx'/dtheta = y'                       dy'/dtheta = -x'
        dm/d(ln f) = 2 pi f x' d - x'^2/s_x^2 m       (at constant f s_x)
        dm/d(ln f s_x) = x'^2/s_x^2 m         dm/d(ln s_y) = y'^2/s_y^2 m

    The coefficients change with the parameters, so that only the part of each slope that is orthogonal to the basis
    counts (Kaufman's form of variable projection). The constant is a third function of the basis, so means are
    subtracted throughout.
    """
    cos, sin, f, sx, sy, u, w, g_cos, g_sin = _parts(p, grid)
    phi = np.stack([g_cos, g_sin], axis=2)
    phi -= phi.mean(axis=1, keepdims=True)
    coefficients, r = projected(phi, v)
    a, b = coefficients[:, :1], coefficients[:, 1:]
    m, d = a * g_cos + b * g_sin, b * g_cos - a * g_sin
    stretch_x, stretch_y = (u / sx) ** 2 * m, (w / sy) ** 2 * m
    by_u = 2 * np.pi * f * d - u / sx**2 * m
    by_w = -w / sy**2 * m
    slopes = np.stack(
        [
            sin * by_w - cos * by_u,
            -cos * by_w - sin * by_u,
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


def _refined(v: Array, p: Array, grid: Grid, max_steps: int) -> tuple[Array, Array]:
    """Take Levenberg and Marquardt's steps from p, separately for each filter; return parameters and squared errors."""
    total = np.sum(v**2, axis=1)
    p, left = p.copy(), np.full(len(p), np.inf)
    damping = np.full(len(p), 1e-2)
    open_ = np.arange(len(p))  # fits that have not converged
    for _ in range(max_steps):
        r, slopes = linearized(p[open_], v[open_], grid)
        left[open_] = np.sum(r**2, axis=1)
        low, high = bounds(p[open_], grid)
        normal = np.moveaxis(slopes, 2, 1) @ slopes
        downhill = np.einsum("bpk,bp->bk", slopes, r)
        # A parameter at its bound stays there if the error decreases only beyond it.
        free = ~(((p[open_] <= low) & (downhill < 0)) | ((p[open_] >= high) & (downhill > 0)))
        downhill = downhill * free
        normal = normal * free[:, :, None] * free[:, None, :]
        diagonal = np.einsum("bkk->bk", normal)
        least = 1e-9 * diagonal.max(axis=1, keepdims=True) + 1e-300
        added = damping[open_, None] * np.maximum(diagonal, least) + np.where(free, 0.0, 1.0)
        step = np.linalg.solve(normal + added[:, None, :] * np.eye(6), downhill[..., None])[..., 0]
        trial = p[open_] + step
        trial = np.clip(trial, *bounds(trial, grid))
        phi = basis(trial, grid)
        trial_error = np.sum(projected(phi - phi.mean(axis=1, keepdims=True), v[open_])[1] ** 2, axis=1)
        better = trial_error < left[open_]
        decrease = np.where(better, left[open_] - trial_error, 0.0)
        p[open_[better]], left[open_[better]] = trial[better], trial_error[better]
        damping[open_] *= np.where(better, 0.3, 4.0)
        damping = np.maximum(damping, 1e-8)
        going = np.where(better, decrease > SETTLED * total[open_], damping[open_] < 1e4)
        open_ = open_[going & (left[open_] > SETTLED * total[open_])]
        if not len(open_):
            break
    return p, left
