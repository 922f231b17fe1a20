"""Numerical gradients, and the comparison of a gradient with them.

It works for any function of a NumPy vector, independently of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["GradientCheck", "check_gradient", "numerical_gradient", "relative_difference"]

Array = NDArray[np.float64]

STENCILS = {2: ((1, 0.5),), 4: ((1, 2 / 3), (2, -1 / 12))}
"""(offset, weight) pairs of the central differences of second and fourth order: f' is about
sum_k weight_k (f(x + k step) - f(x - k step)) / step."""


def numerical_gradient(
    f: Callable[[Array], float | Array], theta: ArrayLike, step: float = 1e-4, *, order: int = 2
) -> Array:
    """Compute the gradient of a scalar function, or of several at once, by central differences of one coordinate each.

    ::

        order 2:  (f(x + step) - f(x - step)) / (2 step)
        order 4:  (8 (f(x + step) - f(x - step)) - (f(x + 2 step) - f(x - 2 step))) / (12 step)

    The truncation errors are about step^2 f'''/6 and step^4 f'''''/30.

    Parameters
    ----------
    f : callable
        Takes a float64 array of theta's shape, returns a float, or an array of the values of several functions.
    theta : array of any shape
        Point at which to differentiate.
    step : float, default 1e-4
        The notes' step: in float64, for functions of order 1, its truncation error is about as large as the rounding
        error of f. Use 1e-3 with ``order=4``.
    order : {2, 4}, default 2
        Use 4 if the third derivatives are large, as in tangent propagation.

    Returns
    -------
    gradient : array of the shape of theta, float64
        Of several functions with further axes behind, those of the array that f returns.

    Raises
    ------
    ValueError
        If step is not positive or there is no stencil of that order.

    References
    ----------
    A. Ng, *CS294A Lecture notes: Sparse autoencoder*, section 2.3; PRML eq. 5.69.

    Examples
    --------
    >>> from sparsam.reference import quadratic
    >>> numerical_gradient(lambda x: quadratic(x)[0], [4.0, 10.0]).round(6).tolist()
    [38.0, 12.0]
    """
    if not step > 0:
        raise ValueError(f"step must be positive, got {step}")
    if order not in STENCILS:
        raise ValueError(f"order must be one of {sorted(STENCILS)}, got {order}")
    point = np.array(theta, dtype=np.float64)
    slopes: list[float | Array] = []
    for index in np.ndindex(point.shape):
        here = point[index]
        slope: float | Array = 0.0
        for offset, weight in STENCILS[order]:
            point[index] = here + offset * step
            above = f(point)
            point[index] = here - offset * step
            slope = slope + weight * (above - f(point)) / step
        point[index] = here
        slopes.append(slope)
    gradient = np.array(slopes, dtype=np.float64)
    return gradient.reshape(point.shape + gradient.shape[1:])


def relative_difference(one: ArrayLike, other: ArrayLike) -> float:
    """Compute |one - other| / |one + other| in the Euclidean norm, the notes' measure; 0 if both are 0.

    Examples
    --------
    >>> relative_difference([1.0, 1.0], [1.0, 1.0])
    0.0
    """
    return _relative(np.asarray(one, dtype=float), np.asarray(other, dtype=float), 0.0)


@dataclass(frozen=True)
class GradientCheck:
    """Result of `check_gradient`.

    Attributes
    ----------
    relative_errors : dict of str to float
        For each block, |n - g| over the larger of |n + g| and 1e-3 of the whole vector's |n + g|, so that a block with
        an almost zero gradient is judged by the scale of the whole vector.
    relative_error : float
        |n - g| / |n + g| of the whole vector.
    gradient, numerical : arrays
        g, the gradient that was checked, and n, the numerical one.
    """

    relative_errors: Mapping[str, float]
    relative_error: float
    gradient: Array
    numerical: Array

    @property
    def largest(self) -> float:
        """The largest error of all blocks and of the whole vector."""
        return max(self.relative_error, *self.relative_errors.values())


def check_gradient(
    value_and_gradient: Callable[[Array], tuple[float, ArrayLike]],
    theta: ArrayLike,
    step: float = 1e-4,
    *,
    order: int = 2,
    blocks: Mapping[str, slice] | None = None,
) -> GradientCheck:
    """Compare a gradient with the numerical one.

    Parameters
    ----------
    value_and_gradient : callable
        Takes a float64 array of theta's shape, returns the value and the gradient.
    theta : array
        Point at which to compare; not a minimum, where the gradient is zero and a relative error is meaningless.
    step, order
        See `numerical_gradient`.
    blocks : dict of str to slice, optional
        Named parts of the raveled theta, such as `Network.blocks`, that are judged separately, so that the correct
        gradient of a weight matrix cannot hide the wrong one of a bias.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ValueError
        If the gradient does not have theta's shape or is not finite, or as in `numerical_gradient`.

    Examples
    --------
    >>> from sparsam.reference import quadratic
    >>> check = check_gradient(quadratic, [4.0, 10.0])
    >>> check.relative_error < 1e-11
    True
    """
    theta = np.array(theta, dtype=np.float64)
    gradient = np.asarray(value_and_gradient(theta)[1], dtype=np.float64)
    if gradient.shape != theta.shape:
        raise ValueError(f"the gradient has shape {gradient.shape}, theta {theta.shape}: they must be the same")
    if not np.all(np.isfinite(gradient)):
        raise ValueError("the gradient is not finite at theta: choose a theta at which the function is finite")
    numerical = numerical_gradient(lambda point: float(value_and_gradient(point)[0]), theta, step, order=order)
    return GradientCheck(
        relative_errors=blockwise_differences(gradient, numerical, blocks or {"theta": slice(None)}),
        relative_error=relative_difference(gradient, numerical),
        gradient=gradient,
        numerical=numerical,
    )


def blockwise_differences(one: ArrayLike, other: ArrayLike, blocks: Mapping[str, slice]) -> dict[str, float]:
    """Compute the relative difference of each block, as `GradientCheck` defines it."""
    one, other = np.ravel(np.asarray(one, dtype=float)), np.ravel(np.asarray(other, dtype=float))
    floor = 1e-3 * float(np.linalg.norm(one + other))
    return {name: _relative(one[block], other[block], floor) for name, block in blocks.items()}


def _relative(one: Array, other: Array, floor: float) -> float:
    difference = float(np.linalg.norm(one - other))
    scale = max(float(np.linalg.norm(one + other)), floor)
    return difference / scale if difference != 0 else 0.0  # NaN stays NaN, so that no check passes
