"""Noise covariance of a regression: validate the parameters, make the error function, and check the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.batch import Batch
from sparsam.engine.jax_settings import precision
from sparsam.engine.objective.error_functions import GaussianError, ProfileGaussianError
from sparsam.engine.objective.error_functions.covariance import STRUCTURES
from sparsam.estimators._data.dataset import Dataset
from sparsam.estimators._validation import check_choice, check_number

__all__ = [
    "OF_INPUT",
    "DegenerateCovarianceWarning",
    "check_covariance",
    "check_fitted_covariance",
    "check_prior",
    "degeneracy_warning",
    "fitted_covariance",
    "has_one_variance",
    "make_error",
    "most_likely",
    "never_together_warning",
    "refuse_unknown_pairs",
]

OF_INPUT = "input"  # the covariance depends on the input, and its deviations from a full one are fitted

Array = NDArray[np.float64]
Prior = tuple[float, Array]


class DegenerateCovarianceWarning(UserWarning):
    """The noise covariance is singular, up to rounding, so that the likelihood has no maximum."""


def check_covariance(covariance: Any, n_outputs: int | None = None) -> str | Array:
    """Return a structure, or a known covariance as an array.

    Raises
    ------
    ValueError
        If it is neither a structure nor a symmetric, positive definite matrix (of n_outputs rows, if given).
    """
    if isinstance(covariance, str):
        check_choice("covariance", covariance, (*STRUCTURES, OF_INPUT))
        return covariance
    return _positive_definite("covariance", covariance, n_outputs)


def check_prior(prior: Any, n_outputs: int | None = None) -> Prior | None:
    """Return (nu, Psi) of an inverse-Wishart prior; a number for Psi is that multiple of the identity.

    Raises
    ------
    TypeError, ValueError
        If it is neither None nor such a pair.
    """
    if prior is None:
        return None
    if not isinstance(prior, tuple | list) or len(prior) != 2:
        raise TypeError(
            "covariance_prior must be None or a pair (nu, Psi) of degrees of freedom and a scale matrix (or a number, "
            f"for a multiple of the identity), got {prior!r}"
        )
    nu, psi = prior
    # The prior is proper for nu > K - 1; smaller values, down to 0, are usable as a penalty.
    check_number("nu of covariance_prior", nu, low=0)
    if np.ndim(psi) == 0:
        check_number("Psi of covariance_prior", psi, low=float(np.finfo(float).tiny), interval="positive and finite")
        psi = float(psi) * np.eye(n_outputs or 1)
    return float(nu), _positive_definite("Psi of covariance_prior", psi, n_outputs)


def has_one_variance(covariance: str | Array) -> bool:
    """Return whether C is sigma^2 I in the units of y; then all targets need the same scale."""
    return isinstance(covariance, str) and covariance == "spherical"


def make_error(
    covariance: str | Array, prior: Prior | None, scale: Array, observed: NDArray[np.bool_], total_weight: float
) -> GaussianError | ProfileGaussianError:
    """Make the error function for targets scaled by ``scale``, with the patterns in which they are observed."""
    patterns: Any = None if observed.all() else observed.astype(float)
    by_scale = np.outer(scale, scale)
    if not isinstance(covariance, str):
        return GaussianError(covariance / by_scale, patterns)  # type: ignore[arg-type]
    if prior is None:
        return ProfileGaussianError(covariance, patterns)
    nu, psi = prior
    # The Jacobian of scaling is constant, so the prior of the scaled covariance is the same with a scaled Psi.
    count = (nu + len(psi) + 1) / total_weight
    return ProfileGaussianError(covariance, patterns, count, psi / by_scale / total_weight)  # type: ignore[arg-type]


def fitted_covariance(
    error: GaussianError | ProfileGaussianError,
    residuals_of: Callable[[Batch], Array],
    dataset: Dataset,
    observed: NDArray[np.bool_],
) -> Array:
    """Compute C in float64 from residuals, with NaN for missing targets; ``observed`` are the patterns of all data."""
    if isinstance(error, GaussianError):
        return np.asarray(error.covariance)

    def moments(batch: Batch) -> tuple[Array, Array]:
        r, s = residuals_of(batch), batch.weights
        seen, filled = ~np.isnan(r), np.nan_to_num(r)
        of_pattern = [s * np.all(seen == pattern, axis=1) for pattern in observed]
        products = [(weights[:, None] * filled).T @ filled for weights in of_pattern]
        return np.array([weights.sum() for weights in of_pattern]), np.stack(products)

    counts, products = (total / dataset.total_weight for total in dataset.sum(moments))
    return most_likely(error, counts, products, observed)


def most_likely(error: ProfileGaussianError, counts: Array, products: Array, observed: NDArray[np.bool_]) -> Array:
    """Compute the maximum-likelihood C in float64 from the mean moments of the residuals of each pattern."""
    there = counts > 0  # some patterns may be missing in a part of the data
    patterns = observed[there]
    with precision(np.float64):
        patterns_here: Any = None if patterns.all() else patterns
        here = ProfileGaussianError(error.structure, patterns_here, error.prior_count, error.prior_product)
        here = jax.tree.map(lambda leaf: np.asarray(leaf, float), here)
        return np.asarray(_covariance(here, (counts[there], products[there])))


@quick_jit
def _covariance(error: ProfileGaussianError, mean: Any) -> jax.Array:
    return error.covariance(mean)


def check_fitted_covariance(C: Array) -> None:
    """Raise ValueError unless C can be a fitted covariance: maybe singular, NaN for pairs never observed together."""
    variances = np.diag(C)
    if not np.all(variances >= 0):
        raise ValueError("its noise covariance has negative variances")
    # Check the correlations: with very different units rounding can make C itself indefinite.
    some = variances > 0
    correlations = C[np.ix_(some, some)] / np.sqrt(np.outer(variances[some], variances[some]))
    unknown = np.isnan(correlations)
    if not np.allclose(correlations, correlations.T, rtol=1e-8, atol=0, equal_nan=True):
        raise ValueError("its noise covariance is not symmetric")
    if some.any() and not unknown.any() and np.linalg.eigvalsh(correlations)[0] < -1e-8:
        raise ValueError("its noise covariance is not positive semi-definite")


def degeneracy_warning(
    covariance: Array, numbers: NDArray[np.intp], dtype: str, *, stuck: bool, has_hidden_units: bool
) -> DegenerateCovarianceWarning | None:
    """Make a warning if the covariance of scaled targets is singular in the precision of the training.

    ``numbers`` are the outputs' numbers in y, for the message. ``stuck`` is whether the training ended because of the
    limited precision. The covariance is then singular if an eigenvalue is below the root of the precision, which is the
    smallest that the engine can invert (`objective.error_functions.covariance.invertible`).
    """
    eps = float(np.finfo(dtype).eps)
    variances = np.diag(covariance)
    advice = (
        "The likelihood has no maximum, and rounding ended the descent at the reported fit. Put a prior on the "
        "covariance (covariance_prior), hold data out (early_stopping=True), raise alpha, use "
        f"{'fewer hidden units' if has_hidden_units else 'fewer columns of X or more rows'}"
    )
    exact = np.flatnonzero(variances < 1e3 * eps**2)
    if len(exact):
        return DegenerateCovarianceWarning(
            f"The noise covariance is degenerate: the network fits the targets of output {numbers[exact[0]]} exactly, "
            f"up to rounding. {advice}, or remove the output."
        )
    deviations = np.sqrt(variances)
    values, vectors = np.linalg.eigh(covariance / np.outer(deviations, deviations))
    if values[0] < (np.sqrt(eps) if stuck else 100 * len(covariance) * eps):
        involved = ", ".join(map(str, numbers[np.abs(vectors[:, 0]) > 0.1]))
        return DegenerateCovarianceWarning(
            f"The noise covariance is degenerate: the residuals of the outputs {involved} are linearly dependent, up "
            f"to the rounding of {dtype}, or there are too few samples. {advice}, remove one of these outputs, or use "
            "covariance='diag'."
        )
    return None


def refuse_unknown_pairs(covariance: str | Array, prior: Prior | None, observed: NDArray[np.bool_]) -> None:
    """Raise ValueError if a covariance that depends on the input has outputs that are never observed together."""
    never = np.argwhere(~(observed.T.astype(float) @ observed > 0))
    if isinstance(covariance, str) and covariance == OF_INPUT and prior is None and len(never):
        i, j = never[0]
        raise ValueError(
            f"the outputs {i} and {j} of y are never observed together, so that their covariance cannot be estimated: "
            "use covariance='full' or 'diag' instead of 'input', or a covariance_prior"
        )


def never_together_warning(unknown: NDArray[np.bool_], numbers: NDArray[np.intp]) -> UserWarning | None:
    """Make a warning if pairs of outputs are never observed together; ``numbers`` are the outputs' numbers in y."""
    if not unknown.any():
        return None
    i, j = numbers[np.argwhere(unknown)[0]]
    return UserWarning(
        f"The outputs {i} and {j} of y are never observed together: their covariance cannot be estimated, and is NaN. "
        "Methods that need it raise an error, such as predict_conditional of one given the other. Use "
        "covariance='diag' if they are independent, or a covariance_prior, which determines their covariance."
    )


def _positive_definite(name: str, matrix: ArrayLike, n_rows: int | None) -> Array:
    try:
        array = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a square array of numbers, got {matrix!r}") from None
    if array.ndim != 2 or array.shape[0] != array.shape[1] or (n_rows is not None and len(array) != n_rows):
        expected = f"({n_rows}, {n_rows}), a row and a column for each output" if n_rows is not None else "square"
        raise ValueError(f"{name} must be {expected}, got an array of shape {array.shape}")
    if not np.all(np.isfinite(array)) or not np.allclose(array, array.T, rtol=1e-8, atol=0):
        raise ValueError(f"{name} must be finite and symmetric")
    least = float(np.linalg.eigvalsh(array)[0])
    if least <= 0:
        raise ValueError(
            f"{name} must be positive definite, but its least eigenvalue is {least:.3g}: without noise, a combination "
            "of outputs has no density"
        )
    return array
