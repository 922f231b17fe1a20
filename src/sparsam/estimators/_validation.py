"""Input validation of all estimators: hyperparameters, data, sample weights. The code behind it trusts its inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from sparsam._utils.fork_guard import refuse_after_fork
from sparsam._utils.listed import listed
from sparsam._utils.unit_range import UNIT_RANGE_SLACK, outside_unit_range
from sparsam.engine.data.devices import default_mesh, local_devices, n_processes
from sparsam.engine.training.train import SOLVERS
from sparsam.estimators.checkpoint import as_checkpoint

__all__ = [
    "as_numpy",
    "check_batch",
    "check_choice",
    "check_early_stopping",
    "check_finite",
    "check_flag",
    "check_hyperparameters",
    "check_number",
    "check_sample_weight",
    "check_share",
    "check_supervised_hyperparameters",
    "check_unit_range",
    "check_weight",
    "check_width",
    "checked_mesh",
    "layer_sizes",
    "refuse_other_columns",
    "restore_features_on_failure",
    "validate_inputs",
]

P = ParamSpec("P")
R = TypeVar("R")

LARGEST_WEIGHT = 1e30  # of a penalty, so that J and its gradient do not overflow in float32


def check_number(
    name: str,
    value: Any,
    kind: Any = Real,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    interval: str | None = None,
) -> None:
    """Raise TypeError or ValueError unless value is a finite number of the given kind in [low, high].

    ``interval`` describes the interval in the error message.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {'an integer' if kind is Integral else 'a number'}, got {value!r}")
    if not (low <= value <= high and abs(value) < np.inf):
        allowed = interval or (f"in [{low:.10g}, {high:.10g}]" if high < np.inf else f"finite and at least {low:.6g}")
        raise ValueError(f"{name} must be {allowed}, got {value!r}")


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Raise ValueError unless value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_hyperparameters(estimator: Any) -> None:
    """Check the hyperparameters that all estimators share, except alpha."""
    check_choice("solver", estimator.solver, SOLVERS)
    check_choice("dtype", estimator.dtype, ("float32", "float64"))
    check_number("max_iter", estimator.max_iter, Integral, low=1, high=2**31 - 1)  # the engine counts in int32
    check_number("tol", estimator.tol, low=0)
    if estimator.time_budget is not None:
        check_number("time_budget", estimator.time_budget, low=np.finfo(float).tiny, interval="positive and finite")
    if estimator.chunk_size is not None:
        check_number("chunk_size", estimator.chunk_size, Integral, low=1)
    as_checkpoint(estimator.checkpoint)
    for name in ("polish", "start_on_sample", "warm_start"):
        check_flag(name, getattr(estimator, name, False))
    checked_mesh(estimator.mesh)
    if estimator.callback is not None and not callable(estimator.callback):
        raise TypeError(f"callback must be callable or None, got {estimator.callback!r}")
    if not isinstance(estimator.verbose, Integral | np.bool_):
        raise TypeError(f"verbose must be an integer, got {estimator.verbose!r}")


def check_supervised_hyperparameters(estimator: Any) -> None:
    """Check the hyperparameters that networks with targets share, except alpha."""
    check_hyperparameters(estimator)
    layer_sizes(estimator.hidden_layer_sizes)
    check_choice("hidden_activation", estimator.hidden_activation, ("tanh", "logistic", "relu"))
    check_early_stopping(estimator, can_be_automatic=True)


def check_early_stopping(estimator: Any, *, can_be_automatic: bool = False) -> None:
    """Check the hyperparameters of early stopping; ``can_be_automatic`` is whether it may be "auto"."""
    automatic = isinstance(estimator.early_stopping, str) and estimator.early_stopping == "auto"
    if not (can_be_automatic and automatic):
        check_flag("early_stopping", estimator.early_stopping)
    check_share("validation_fraction", estimator.validation_fraction)
    check_number("n_iter_no_change", estimator.n_iter_no_change, Integral, low=1)


def check_share(name: str, value: Any) -> None:
    """Check a part of a whole."""
    check_number(name, value, low=np.finfo(float).tiny, high=1 - 1e-9, interval="in (0, 1)")


def check_weight(name: str, value: Any) -> None:
    """Check the weight of a penalty."""
    check_number(name, value, low=0, high=LARGEST_WEIGHT)


def checked_mesh(mesh: Any) -> Mesh | None:
    """Return the mesh to train on; None stands for all devices of this process.

    Raises
    ------
    TypeError, ValueError
        If it is not a mesh, or contains devices of some but not all processes of a distributed run.
    """
    refuse_after_fork()
    if mesh is None:
        return default_mesh()
    if not isinstance(mesh, Mesh):
        raise TypeError(f"mesh must be None or a jax.sharding.Mesh, got {type(mesh).__name__}")
    count = n_processes(mesh)
    if not local_devices(mesh) or count not in (1, jax.process_count()):
        raise ValueError(
            f"mesh has devices of {count} of {jax.process_count()} processes: use only devices of this process, or the "
            "devices of all processes (sparsam.engine.all_devices())"
        )
    return mesh


def check_flag(name: str, value: Any) -> None:
    """Raise TypeError unless value is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def layer_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the sizes of the hidden layers as a tuple; a single size may be a number."""
    sizes = (hidden_layer_sizes,) if isinstance(hidden_layer_sizes, Integral) else hidden_layer_sizes
    if not isinstance(sizes, tuple | list | np.ndarray):
        raise TypeError(f"hidden_layer_sizes must be a tuple of integers, got {hidden_layer_sizes!r}")
    for size in sizes:
        check_number("hidden_layer_sizes", size, Integral, low=1)
    return tuple(int(size) for size in sizes)


def as_numpy(check: Callable[P, R]) -> Callable[P, R]:
    """Decorate a check of arrays so that it converts other libraries' arrays to NumPy, even with array API dispatch."""
    decorated: Callable[P, R] = config_context(array_api_dispatch=False)(check)
    return decorated


@as_numpy
def validate_inputs(estimator: BaseEstimator, X: ArrayLike, *, reset: bool) -> NDArray[np.floating]:
    """Return X as a dense, finite float array (n_samples, n_features).

    With ``reset`` the number and names of the features are stored in the estimator; without, they must agree with the
    stored ones.
    """
    try:
        checked: NDArray[np.floating] = validate_data(
            estimator, X, dtype=(np.float64, np.float32), ensure_all_finite=False, reset=reset
        )
    except (TypeError, ValueError) as error:
        refuse_other_columns(X, error)
        raise
    check_finite(checked, "X")
    return checked


NUMBERS = re.compile(r"(u?int|float)\d|bool", re.IGNORECASE)
DATES = re.compile("date|time|period|duration", re.IGNORECASE)
"""Beginnings of the names of types, in pandas and in Polars."""


def refuse_other_columns(X: Any, error: Exception) -> None:
    """Raise ValueError from the error if a data frame has columns of text or dates, with their names and the cure."""
    if not hasattr(X, "columns") or not hasattr(X, "dtypes"):
        return
    found = [repr(name) for name, dtype in zip(X.columns, X.dtypes, strict=True) if not _is_number(X[name], str(dtype))]
    if found:
        raise ValueError(
            f"X has columns that are not numbers: {listed(found, most=5)}. Encode text and categories with "
            "sklearn.preprocessing.OneHotEncoder, in a ColumnTransformer before this estimator; make numbers of dates, "
            "such as days since the first; or drop these columns"
        ) from error


def _is_number(column: Any, dtype: str) -> bool:
    if NUMBERS.match(dtype):  # also those with missing values
        return True
    if DATES.match(dtype):
        return False
    try:
        np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


@contextmanager
def restore_features_on_failure(estimator: Any) -> Iterator[None]:
    """Restore the number and names of the features if a fit fails before it sets new weights."""
    names = ("n_features_in_", "feature_names_in_")
    before, weights = {name: getattr(estimator, name, None) for name in names}, getattr(estimator, "coefs_", None)
    try:
        yield
    except BaseException:
        if getattr(estimator, "coefs_", None) is weights:
            for name, value in before.items():
                vars(estimator).pop(name, None)
                if value is not None:
                    setattr(estimator, name, value)
        raise


def check_width(estimator: Any, n_features: int, *, reset: bool) -> None:
    """Store or compare the number of features, as `validate_inputs` does, for data without names.

    Raises
    ------
    ValueError
        Without ``reset``, if the number differs from that of the fit.
    """
    if not reset and n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_features} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} "
            "features as input"
        )
    if reset:
        estimator.n_features_in_ = n_features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_


@as_numpy
def check_batch(X: ArrayLike, row: int) -> NDArray[np.floating]:
    """Return a batch of samples, starting at row number ``row``, as a dense, finite float array."""
    checked: NDArray[np.floating] = check_array(
        X, dtype=(np.float64, np.float32), ensure_all_finite=False, input_name="X"
    )
    check_finite(checked, "X", row)
    return checked


def check_finite(X: NDArray[np.floating], name: str, first_row: int = 0) -> None:
    """Raise ValueError with the first row that contains NaN or infinity, if there is one."""
    # A finite sum has finite summands, and needs no array of flags. A sum that is not finite may have overflowed.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(X)):
            return
    rows, columns = np.nonzero(~np.isfinite(X))
    if len(rows):
        row, column = int(rows[0]), int(columns[0])
        kind = "NaN" if np.isnan(X[row, column]) else "infinity"
        raise ValueError(
            f"Input {name} contains {kind}: first in row {first_row + row}, column {column}; {len(np.unique(rows))} of "
            f"{len(X)} rows have NaN or infinity. Remove these rows or impute them (sklearn.impute)."
        )


@as_numpy
def check_sample_weight(
    sample_weight: ArrayLike | None, X: NDArray[np.floating], first_row: int = 0, *, some: bool = True
) -> NDArray[np.float64] | None:
    """Return the weights as float64 (n_samples,): finite, not negative, and, if ``some``, not all zero.

    ``first_row`` is the number of the first sample.
    """
    if sample_weight is None:
        return None
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.ndim != 1:
        raise ValueError(f"sample_weight must have one number per sample, got an array of shape {weights.shape}")
    check_consistent_length(X, weights)
    if np.any(weights < 0):
        row = int(np.argmax(weights < 0))
        raise ValueError(f"sample_weight must not be negative, got {weights[row]:g} in row {first_row + row}")
    if some and not weights.sum() > 0:
        raise ValueError("sample_weight is zero for every sample: there is nothing to fit")
    return np.asarray(weights)


def check_unit_range(X: NDArray[np.floating], first_row: int = 0) -> None:
    """Raise ValueError unless X is in [0, 1], the range of a logistic output, up to rounding."""
    low, high = float(X.min()), float(X.max())
    if low < -UNIT_RANGE_SLACK or high > 1 + UNIT_RANGE_SLACK:
        row = first_row + int(np.argmax(np.any(outside_unit_range(X), axis=1)))
        negative = "Negative values in data: " if low < 0 else ""  # as scikit-learn's estimators begin
        raise ValueError(
            f"{negative}X ranges from {low:.6g} to {high:.6g} (first outside [0, 1] in row {row}), but logistic "
            "outputs can only reach (0, 1). Normalize X (sparsam.images.normalize_patches for image patches, "
            "sklearn.preprocessing.MinMaxScaler for tables) or set output_activation='identity'."
        )
