"""Statistics of hidden units over the data: which are dead, saturated, or constant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RANGES", "UnitStatistics", "ends_of", "unit_statistics"]

Array = NDArray[np.float64]

RANGES = {"logistic": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, np.inf), "satlin": (0.0, 1.0)}
ROWS = 8192  # rows converted to float64 at a time
LEAST_DEVIATION = 1e-3  # of the range; a unit that fires on one sample in a hundred thousand has three times that
END = 0.01  # share of the range at either end, where a logistic unit's slope is at most a 25th of its maximum
NEAR_RHO = 0.25  # relative; hidden units of trained autoencoders are nearer


@dataclass(frozen=True)
class UnitStatistics:
    """Statistics of the activations of hidden units over the data, with an entry per unit.

    Attributes
    ----------
    n_samples : int
    mean, deviation : arrays of shape (n_units,)
        Mean activation and its standard deviation over the samples, in the unit of the activation.
    at_low, between, at_high : arrays of shape (n_units,)
        Shares of the samples with an activation in the lowest 1 % of the range, in between, and in the highest 1 %.
    dead : boolean array of shape (n_units,)
        The activation hardly varies: its standard deviation is below 0.001 of the range. Whatever its value, the unit
        carries no information about the sample.
    saturated : boolean array of shape (n_units,)
        The activation is at one of its ends on most samples, and at the upper end at least as often as in between: the
        unit is always on, or a switch. A unit that is merely sparse is at its lower end on most samples too, but its
        other activations are graded.
    constant : boolean array of shape (n_units,), or None without rho, or if units have no bounded range
        Dead, with a mean activation within 25 % of rho: the bias alone satisfies the sparsity penalty.
    """

    n_samples: int
    mean: Array
    deviation: Array
    at_low: Array
    between: Array
    at_high: Array
    dead: NDArray[np.bool_]
    saturated: NDArray[np.bool_]
    constant: NDArray[np.bool_] | None

    @classmethod
    def of_moments(
        cls,
        n_samples: int,
        mean: Array,
        deviation: Array,
        at_low: Array,
        at_high: Array,
        *,
        hidden_activation: str = "logistic",
        rho: float | None = None,
    ) -> UnitStatistics:
        """Classify units by the first two moments and by the shares at the ends (see `ends_of`).

        ``rho`` is as in `unit_statistics`.
        """
        low, high = RANGES[hidden_activation]
        between = 1 - at_low - at_high
        span = high - low if high < np.inf else deviation.max(initial=0.0)
        dead = (deviation < LEAST_DEVIATION * span) | (deviation == 0)
        saturated = (at_high > 0) & (at_high >= between) & (between < 0.5)
        constant = None
        if rho is not None and high < np.inf:
            constant = dead & (np.abs((mean - low) / (high - low) - rho) <= NEAR_RHO * rho)
        return cls(n_samples, mean, deviation, at_low, between, at_high, dead, saturated, constant)

    @property
    def uninformative(self) -> NDArray[np.bool_]:
        """Mask of the units that are dead (including constant ones) or saturated."""
        return self.dead | self.saturated

    def shares(self) -> dict[str, float]:
        """Compute the shares of units that are dead, saturated and, if rho was given, constant."""
        kinds = {"dead": self.dead, "saturated": self.saturated, "constant": self.constant}
        return {name: float(np.mean(which)) for name, which in kinds.items() if which is not None}


def unit_statistics(
    activations: ArrayLike | Iterable[ArrayLike],
    *,
    hidden_activation: str = "logistic",
    rho: float | None = None,
) -> UnitStatistics:
    """Find the units that are dead, saturated or constant, in one pass over their activations.

    Parameters
    ----------
    activations : array-like of shape (n_samples, n_units), or an iterable of such chunks
        ``autoencoder.transform(X)``; for more rows than fit into memory, an array on disk or a generator of chunks.
    hidden_activation : {"logistic", "tanh", "relu", "satlin"}, default "logistic"
        Activation of the units, which determines their range. ReLU units have no upper end: none is saturated, and the
        largest standard deviation among them replaces their range.
    rho : float, optional
        Target of the mean activation, in (0, 1), as in `SparseAutoencoder`; for tanh units that of (z + 1)/2.

    Returns
    -------
    UnitStatistics
        ``shares()`` returns the share of each kind. A unit may be both dead and saturated; constant ones are all dead.

    Raises
    ------
    ValueError
        If there are no samples, chunks have different numbers of units, a value is not finite or outside of the range,
        the activation is unknown, or rho is not in (0, 1).

    Notes
    -----
    Means and squared deviations of chunks are combined as in T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for
    computing the sample variance", The American Statistician 37 (1983), which stays precise if the mean is large.

    Examples
    --------
    A graded sparse unit, a switch, and a unit whose bias alone gives rho:

    >>> rng = np.random.default_rng(0)
    >>> rest = np.full(950, 0.001)
    >>> Z = np.stack([np.r_[rest, rng.uniform(0, 0.9, 50)], np.r_[rest, np.ones(50)], np.full(1000, 0.02)], axis=1)
    >>> statistics = unit_statistics(Z, rho=0.02)
    >>> statistics.dead.tolist(), statistics.saturated.tolist(), statistics.constant.tolist()
    ([False, False, True], [False, True, False], [False, False, True])
    >>> {kind: round(share, 2) for kind, share in statistics.shares().items()}
    {'dead': 0.33, 'saturated': 0.33, 'constant': 0.33}
    """
    if hidden_activation not in RANGES:
        raise ValueError(f"hidden_activation must be one of {', '.join(map(repr, RANGES))}, got {hidden_activation!r}")
    if rho is not None and not 0 < rho < 1:
        raise ValueError(f"rho must be in (0, 1), got {rho!r}")
    low, high = RANGES[hidden_activation]
    low_end, high_end = ends_of(hidden_activation)

    n, mean, squares = 0, np.zeros(0), np.zeros(0)
    at_low, at_high = np.zeros(0), np.zeros(0)
    for z in _chunks(activations):
        if n == 0:
            mean, squares, at_low, at_high = np.zeros((4, z.shape[1]))
        if z.shape[1] != len(mean):
            raise ValueError(f"activations has chunks of {len(mean)} and of {z.shape[1]} units")
        if not np.isfinite(z).all():
            raise ValueError("activations has NaN or infinity")
        if z.min() < low or z.max() > high:
            raise ValueError(
                f"activations has values outside of [{low:g}, {high:g}], the range of {hidden_activation} units: pass "
                "the right hidden_activation"
            )
        m, chunk_mean = len(z), z.mean(axis=0)
        difference = chunk_mean - mean
        squares += np.sum((z - chunk_mean) ** 2, axis=0) + difference**2 * n * m / (n + m)
        mean += difference * m / (n + m)
        n += m
        at_low += np.sum(z <= low_end, axis=0)
        at_high += np.sum(z >= high_end, axis=0)
    if n == 0:
        raise ValueError("activations has no samples")

    return UnitStatistics.of_moments(
        n, mean, np.sqrt(squares / n), at_low / n, at_high / n, hidden_activation=hidden_activation, rho=rho
    )


def ends_of(hidden_activation: str) -> tuple[float, float]:
    """Return the limits of the ends: the largest activation at the lower end, the smallest at the upper end."""
    low, high = RANGES[hidden_activation]
    margin = END * (high - low) if high < np.inf else 0.0
    return low + margin, high - margin


def _chunks(activations: Any) -> Iterator[Array]:
    """Yield the rows in float64, some at a time."""
    if isinstance(activations, list | tuple):
        try:
            activations = np.asarray(activations, dtype=np.float64)
        except ValueError:  # chunks of different lengths
            activations = list(activations)
    arrays = [activations] if getattr(activations, "ndim", None) == 2 else activations
    for array in arrays:
        if len(np.shape(array)) != 2:
            raise ValueError(
                f"activations must be (n_samples, n_units), or chunks of that form, got one of shape {np.shape(array)}"
            )
        for start in range(0, len(array), ROWS):
            yield np.asarray(array[start : start + ROWS], dtype=np.float64)
