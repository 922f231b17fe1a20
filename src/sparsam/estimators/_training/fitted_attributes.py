"""From hyperparameters to a training, to fitted attributes, and from these back to the engine: what all share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jax.typing import DTypeLike
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sparsam.engine.data.samples import choose_chunk_size
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.training.polish import POLISHED_TOL
from sparsam.engine.training.state import Progress
from sparsam.engine.training.train import STOP_REASONS, Training, precision
from sparsam.estimators._data.dataset import Data
from sparsam.estimators._warnings import warn_user

__all__ = [
    "apply_in_chunks",
    "apply_to_data",
    "attributes_at",
    "filled",
    "fitted_parameters",
    "history_frame",
    "initial_weights",
    "last_terms",
    "set_fitted_attributes",
]


def initial_weights(estimator: Any, network: Network) -> NDArray[np.floating]:
    """Draw the initial weights, or with ``warm_start`` take the fitted ones."""
    if not (estimator.warm_start and hasattr(estimator, "coefs_")):
        return network.initialize(check_random_state(estimator.random_state))
    fitted = tuple(coef.shape for coef in estimator.coefs_)
    if fitted != network.shapes:

        def sizes(shapes: tuple[tuple[int, int], ...]) -> str:
            return "-".join(map(str, (shapes[0][0], *(n_out for _, n_out in shapes))))

        raise ValueError(
            f"warm_start=True goes on from the fitted weights, but these are of a network {sizes(fitted)}, and this "
            f"fit asks for {sizes(network.shapes)}: set warm_start=False, or fit a clone"
        )
    return np.concatenate([array.ravel() for array in (*estimator.coefs_, *estimator.intercepts_)])


class FittedNetwork(Protocol):
    """The attributes that every fitted estimator has, as `set_fitted_attributes` leaves them."""

    coefs_: list[NDArray[np.floating]]
    intercepts_: list[NDArray[np.floating]]
    cost_: float
    n_iter_: int
    n_evaluations_: int
    gradient_norm_: float
    converged_: bool
    stop_reason_: str
    loss_curve_: list[float]
    _history: dict[str, list[float]]


def set_fitted_attributes(
    estimator: FittedNetwork,
    network: Network,
    training: Training,
    units: Callable[[Parameters], Parameters] = lambda parameters: parameters,
) -> None:
    """Set what a training found on the estimator, its weights in other ``units``, then say where it did not converge.

    Raises
    ------
    FloatingPointError
        If J was not finite; the estimator then holds the last finite iterate, if there was one.
    """
    if training.history:  # else not one iterate was finite: the estimator stays as it was
        for name, value in attributes_at(network, training.history[-1], training.theta, units).items():
            setattr(estimator, name, value)
        estimator.converged_ = training.stop_reason == "converged"
        estimator.stop_reason_ = training.stop_reason
        estimator.loss_curve_ = [progress.J for progress in training.history]
        estimator._history = _columns(training.history)
    _speak_up(training)


def attributes_at(
    network: Network,
    progress: Progress,
    theta: NDArray[np.floating],
    units: Callable[[Parameters], Parameters] = lambda parameters: parameters,
) -> dict[str, Any]:
    """Fitted attributes that a training has at every iterate, its weights in other ``units``."""
    parameters = units(network.unravel(cast(jax.Array, theta)))  # slices and reshapes: NumPy in, NumPy out
    return {
        "coefs_": [np.array(coef) for coef in parameters.coefs],
        "intercepts_": [np.array(intercept) for intercept in parameters.intercepts],
        "cost_": progress.J,
        "n_iter_": progress.iteration,
        "n_evaluations_": progress.evaluations,
        "gradient_norm_": progress.gradient_norm,
    }


def _columns(history: list[Progress]) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {
        name: [getattr(progress, name) for progress in history] for name in ("iteration", "evaluations", "seconds", "J")
    }
    for term in history[0].terms:
        columns[term] = [progress.terms[term] for progress in history]
    columns["gradient_norm"] = [progress.gradient_norm for progress in history]
    if history[-1].resumed:
        columns["resumed"] = [progress.resumed for progress in history]
    return columns


def last_terms(estimator: FittedNetwork) -> dict[str, float]:
    """Terms of J at the end of the fit, by name."""
    of_progress = ("iteration", "evaluations", "seconds", "J", "gradient_norm", "resumed")
    return {name: float(values[-1]) for name, values in estimator._history.items() if name not in of_progress}


def history_frame(estimator: FittedNetwork) -> pd.DataFrame:
    """History of the fit as a data frame, a row an iteration."""
    return pd.DataFrame(estimator._history)


def _speak_up(training: Training) -> None:
    tol, dtype = training.tol, training.theta.dtype
    reason, where = STOP_REASONS[training.stop_reason], ""
    if training.history:
        last = training.history[-1]
        where = f" (iteration {last.iteration}, J = {last.J:.6g}, gradient's max-norm {last.gradient_norm:.2g})"
    match training.stop_reason:
        case "not_finite":
            terms = ", ".join(training.broken_terms) or "the gradient"
            kept = "The last finite weights are kept." if training.history else "It was so at the initial weights."
            wider = " or use dtype='float64'" if dtype == "float32" else ""
            raise FloatingPointError(
                f"{reason} in the term(s) {terms}{where}. Look for extreme values in X and standardize it{wider}. "
                f"{kept}"
            )
        case "interrupted":
            warn_user(f"Training {reason}{where}: the estimator holds these weights.", UserWarning)
        case "max_iter" | "time_budget":
            warn_user(
                f"Not converged: {reason}{where}, above tol = {tol:.2g}. Increase {training.stop_reason}, or go on "
                "from these weights with warm_start=True.",
                ConvergenceWarning,
            )
        case "precision":
            cure = "Use dtype='float64', or a larger tol." if dtype == "float32" else "Use a larger tol."
            if tol == POLISHED_TOL:  # which is not the user's
                cure = "More cannot be had; polish=False stops at tol, and without this warning."
            warn_user(f"Not converged: {reason} ({dtype}){where}, above tol = {tol:.2g}. {cure}", ConvergenceWarning)


def fitted_parameters(estimator: FittedNetwork) -> Parameters:
    """Return the fitted weights, as the engine takes them."""
    return Parameters(tuple(estimator.coefs_), tuple(estimator.intercepts_))  # type: ignore[arg-type]


def apply_in_chunks(
    function: Callable[..., jax.Array],
    network: Network,
    parameters: Parameters,
    *rows: NDArray[np.floating],
    dtype: DTypeLike,
    chunk_size: int | None = None,
) -> NDArray[np.floating]:
    """Apply a compiled function (network, parameters, *rows) to a chunk of rows at a time.

    Memory beyond the result stays flat, and the last chunk is filled up, so that one program serves any number of rows.
    """
    n_samples = len(rows[0])
    size = choose_chunk_size(max(n_samples, 1), network.layer_sizes, chunk_size)
    result: NDArray[np.floating] | None = None
    with precision(dtype):
        weights = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parameters)
        for start in range(0, max(n_samples, 1), size):  # of no rows too the result has its columns
            pieces = [filled(array[start : start + size], size, dtype) for array in rows]
            count = min(size, n_samples - start)
            piece = np.asarray(function(network, weights, *pieces))[:count]
            if result is None:
                result = np.empty((n_samples, *piece.shape[1:]), dtype=piece.dtype)
            result[start : start + count] = piece
    assert result is not None
    return result


def apply_to_data(
    function: Callable[..., jax.Array],
    network: Network,
    parameters: Parameters,
    data: Data,
    *,
    dtype: DTypeLike,
    chunk_size: int | None = None,
    then: Callable[[NDArray[np.floating]], NDArray[Any]] = lambda piece: piece,
    out: Any = None,
) -> Any:
    """Do `apply_in_chunks` for the inputs of data, in memory or not; the result goes into ``out``, where that is given.

    ``then`` makes what is returned of a piece of the function's results.

    Raises
    ------
    ValueError
        If ``out`` is of another shape than the result.
    """
    results, row, width = [], 0, None
    for rows in data.pieces():
        piece = then(apply_in_chunks(function, network, parameters, rows.X, dtype=dtype, chunk_size=chunk_size))
        if out is None:
            results.append(piece)
            continue
        if width is None:
            width = piece.shape[1:]
            if tuple(out.shape) != (data.n_rows, *width):
                raise ValueError(
                    f"out must be of shape {(data.n_rows, *width)}, got an array of shape {tuple(out.shape)}"
                )
        out[row : row + len(piece)] = piece
        row += len(piece)
    if out is not None:
        return out
    return results[0] if len(results) == 1 else np.concatenate(results)


def filled(rows: NDArray[np.floating], size: int, dtype: DTypeLike) -> NDArray[np.floating]:
    """Rows filled up with zeros to a chunk of the given size and type."""
    if len(rows) == size and rows.dtype == dtype:
        return rows
    filled = np.zeros((size, *rows.shape[1:]), dtype=dtype)
    filled[: len(rows)] = rows
    return filled
