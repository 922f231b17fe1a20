"""Settings of a study: every combination of the values of some hyperparameters, each with several seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from sklearn.base import clone

from sparsam.estimators import NO_INFLUENCE
from sparsam.io.schemas import LAYOUTS

__all__ = ["Setting", "check_estimator", "checked_seeds", "settings_of"]

NOT_VARIED = NO_INFLUENCE - {"time_budget"} | {"random_state"}
"""Hyperparameters that cannot be an axis of a grid."""


@dataclass(frozen=True)
class Setting:
    """One fit of a study.

    Attributes
    ----------
    values : dict
        Values of the grid's hyperparameters, in its order.
    seed : int
        Value of random_state.
    """

    values: Mapping[str, Any]
    seed: int

    def estimator(self, like: Any) -> Any:
        """Clone the estimator `like` with these hyperparameters."""
        return clone(like).set_params(**self.values, random_state=self.seed)

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value!r}" for name, value in self.values.items()) or "the only setting"


def check_estimator(estimator: Any) -> None:
    """Raise TypeError unless a study can save the estimator."""
    networks = {name: layout.estimator for name, layout in LAYOUTS.items() if layout.is_network}
    if type(estimator) not in networks.values():
        raise TypeError(f"a study takes one of {', '.join(networks)}; got {estimator!r}")


def settings_of(estimator: Any, grid: Mapping[str, Iterable[Any]], seeds: Sequence[int]) -> list[Setting]:
    """Combine all values of the grid and all seeds; the seeds vary fastest, then the last axis.

    Raises
    ------
    ValueError, TypeError
        If a name is not a hyperparameter, or has no values or the same value twice; or if a combination cannot be
        fitted. The message names it.
    """
    if not isinstance(grid, Mapping):
        raise TypeError(f"the grid must be a dict of names and lists of values, got {type(grid).__name__}")
    possible = [name for name in estimator.get_params(deep=False) if name not in NOT_VARIED]
    axes = {}
    for name, values in grid.items():
        if name == "random_state":
            raise ValueError("random_state cannot be an axis of the grid: use seeds")
        if name not in possible:
            raise ValueError(
                f"{name!r} cannot be an axis of the grid for {type(estimator).__name__}; choose from "
                f"{', '.join(possible)}"
            )
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise TypeError(f"the grid needs a list of values of {name}, got {values!r}")
        axes[name] = list(values)
        if not axes[name]:
            raise ValueError(f"the grid has no values of {name}")
        if len({_identity(value) for value in axes[name]}) < len(axes[name]):
            raise ValueError(f"the grid has a value of {name} twice: {', '.join(map(repr, axes[name]))}")
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    settings = [Setting(values, seed) for values in combinations for seed in seeds]
    for setting in settings[:: len(seeds)]:
        try:
            setting.estimator(estimator).check_hyperparameters()
        except (TypeError, ValueError) as error:
            raise type(error)(f"{setting}: {error}") from error
    return settings


def _identity(value: Any) -> Any:
    """Return a key that is equal for equal values; also for 0 and 0.0, which look the same in the table."""
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else repr(value)


def checked_seeds(seeds: Any) -> list[int]:
    """Return the seeds as a list: the given ones, or 0, 1, ... for a number of seeds.

    Raises
    ------
    TypeError, ValueError
        If `seeds` is neither a number of seeds nor a sequence of different ones.
    """
    if isinstance(seeds, Integral) and not isinstance(seeds, bool):
        if int(seeds) < 1:
            raise ValueError(f"seeds must be at least 1, or a sequence of seeds; got {seeds}")
        return list(range(int(seeds)))
    given: list[Any] = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str) else [None]
    if not given or not all(isinstance(seed, Integral) and 0 <= int(seed) < 2**32 for seed in given):
        raise TypeError(f"seeds must be a number of seeds, or a sequence of integers in [0, 2**32); got {seeds!r}")
    if len(set(given)) < len(given):
        raise ValueError(f"seeds has a seed twice: {seeds!r}")
    return [int(seed) for seed in given]
