"""Systems of linear equations with correlated errors: seemingly unrelated regression, as econometricians know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array

from sparsam.estimators import _validation as validation
from sparsam.estimators._regression.coefficient_mask import check_mask_names, free_coefficients
from sparsam.estimators._regression.coefficient_names import coefficient_names
from sparsam.estimators._regression.coefficient_scale import CoefficientScale
from sparsam.estimators._regression.generalized_least_squares import (
    GeneralizedLeastSquares,
    SingularCovarianceError,
    check_kind,
)
from sparsam.estimators._regression.restrictions import Restrictions
from sparsam.estimators._regression.stacked_equations import StackedEquations
from sparsam.estimators._regression.standard_errors import check_determined
from sparsam.estimators._regression.targets import validate_targets
from sparsam.estimators._warnings import warn_user

__all__ = ["LinearSystem", "fit_linear_system"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)  # == of arrays has no truth value
class LinearSystem:
    """Estimated system of linear equations; see `fit_linear_system`.

    Attributes
    ----------
    coef : array of shape (n_features, n_outputs)
        0 where the mask allows no coefficient. Predictions are ``X @ coef + intercept``.
    intercept : array of shape (n_outputs,)
    coefficients : Series of shape (n_coefficients,)
        All coefficients that are allowed, output by output, each with its inputs in the order of X and its intercept
        last. The index has pairs (output, input), and the name of the intercepts is "intercept".
    covariance : array of shape (n_outputs, n_outputs)
        C of the residuals of the estimate, in the squared units of y.
    weighting_covariance : array of shape (n_outputs, n_outputs)
        C of the residuals of the step before, which weights the equations in the last step. It equals ``covariance`` if
        the estimate is iterated.
    degrees_of_freedom : float
        n_outputs times the number of samples (the sum of the sample weights), minus the number of coefficients, plus
        the number of restrictions.
    small_sample : bool
        Whether the covariances are corrected for the degrees of freedom.
    n_steps : int
        Number of generalized least-squares steps.
    """

    coef: Array
    intercept: Array
    coefficients: pd.Series
    covariance: Array
    weighting_covariance: Array
    degrees_of_freedom: float
    small_sample: bool
    n_steps: int
    _coefficient_covariances: Mapping[str, pd.DataFrame] = field(repr=False)

    def coefficient_covariance(self, kind: str = "unadjusted") -> pd.DataFrame:
        """Return the covariance matrix of all coefficients.

        Parameters
        ----------
        kind : {"unadjusted", "robust"}, default "unadjusted"
            "unadjusted" assumes that all rows have the same noise covariance: H^-1. "robust" does not
            (heteroskedasticity-consistent, White 1980): H^-1 (sum_n s_n g_n g_n') H^-1. See `fit_linear_system`.

        Returns
        -------
        DataFrame of shape (n_coefficients, n_coefficients)
            Rows and columns as in ``coefficients``.

        Raises
        ------
        ValueError
            If the kind is unknown.
        """
        check_kind(kind)
        return self._coefficient_covariances[kind].copy()

    def summary(self, kind: str = "unadjusted") -> pd.DataFrame:
        """Tabulate estimates, standard errors and tests of each coefficient against 0.

        Parameters
        ----------
        kind : {"unadjusted", "robust"}, default "unadjusted"
            See `coefficient_covariance`.

        Returns
        -------
        DataFrame with the columns "coefficient", "standard_error", "statistic" and "p_value"
            The statistic is the ratio of the first two. The p-value is two-sided, of the normal distribution, or with
            ``small_sample`` of Student's t with ``degrees_of_freedom``. Both are NaN where restrictions fix a
            coefficient, whose standard error is 0.

        Raises
        ------
        ValueError
            If the kind is unknown.
        """
        errors = np.sqrt(np.diag(self.coefficient_covariance(kind)))
        statistics = np.divide(self.coefficients, errors, out=np.full(len(errors), np.nan), where=errors > 0)
        of_noise = stats.t(self.degrees_of_freedom) if self.small_sample else stats.norm()
        columns = {
            "coefficient": self.coefficients,
            "standard_error": errors,
            "statistic": statistics,
            "p_value": 2 * of_noise.sf(np.abs(statistics)),
        }
        return pd.DataFrame(columns, index=self.coefficients.index)


def fit_linear_system(
    X: ArrayLike,
    y: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    restrictions: ArrayLike | pd.DataFrame | None = None,
    restriction_values: ArrayLike | None = None,
    n_steps: int | None = None,
    small_sample: bool = False,
    sample_weight: ArrayLike | None = None,
) -> LinearSystem:
    """Estimate a system of linear equations with correlated errors: seemingly unrelated regression (SUR).

    Each output has its own inputs, and the noise of a row is correlated between outputs ::

        y_nk = x_n' beta_k + noise_nk,        noise_n ~ (0, C), independent of the other rows

    Least squares of each output gives residuals r_n and their covariance C = 1/S sum_n s_n r_n r_n', S = sum_n s_n.
    A step of generalized least squares minimizes sum_n s_n r_n' C^-1 r_n over the coefficients beta of all outputs
    (Zellner, 1962). Its residuals give a new C, and so on. Iterated to the end, this is the maximum of the likelihood
    of normal noise, the same as that of `MultivariateNormalRegressor` with ``hidden_layer_sizes=()`` and ``alpha=0``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Inputs of all outputs. A frame names them.
    y : array-like of shape (n_samples, n_outputs) or (n_samples,)
        Targets. A frame names the outputs. Every row must have all targets; `MultivariateNormalRegressor` takes rows
        with missing ones.
    mask : array-like of shape (n_features, n_outputs), optional
        True where an output depends on an input; None for all. Every output has an intercept.
    restrictions : array-like of shape (n_restrictions, n_coefficients) or DataFrame, optional
        R of linear restrictions R beta = q, within or across equations. The columns of an array are in the order of
        ``LinearSystem.coefficients``: output by output, inputs in the order of X, the intercept last. The columns of a
        frame are pairs (output, input); coefficients that it does not name, and NaN, count as 0.
    restriction_values : array-like of shape (n_restrictions,), optional
        q; None is 0.
    n_steps : int, optional
        Number of generalized least-squares steps. 1 is Zellner's two-step estimate. None iterates until C no longer
        changes: the estimate then does not depend on the first step, and with restrictions not on the units of y.
    small_sample : bool, default False
        Whether to correct C for the degrees of freedom: entry (k, l) is multiplied by
        S / sqrt((S - p_k)(S - p_l)), p_k the number of coefficients of output k. This also changes the weights of the
        equations, and the coefficients if the p_k differ. Rows and columns of the robust covariance are multiplied by
        sqrt(S / (S - p_k)). p-values are those of Student's t.
    sample_weight : array-like of shape (n_samples,), optional
        Number of copies of each row, s_n.

    Returns
    -------
    LinearSystem
        Coefficients, their covariances, and C.

    Raises
    ------
    ValueError
        If X or y contains NaN, or shapes do not fit; if the restrictions are redundant or contradictory; if inputs are
        constant or linearly dependent, so that coefficients are not determined; or if C is singular, because there are
        too few rows, outputs are linear combinations of others, or the likelihood has no maximum.

    Warns
    -----
    ConvergenceWarning
        If the iteration has not converged after 10,000 steps.

    Notes
    -----
    Row k of Z_n has the inputs of output k at the places of its coefficients, so that r_n = y_n - Z_n beta. With
    H = sum_n s_n Z_n' C^-1 Z_n, where C is ``weighting_covariance``, the unadjusted covariance of beta is H^-1, and the
    robust one is H^-1 (sum_n s_n g_n g_n') H^-1, g_n = Z_n' C^-1 r_n. Restrictions are eliminated exactly: the
    estimate is beta - H^-1 R' (R H^-1 R')^-1 (R beta - q) for the unrestricted estimate beta of the same C, and
    R times its covariance is 0.

    Without a mask and restrictions the coefficients are those of least squares for any C, and the robust covariance is
    White's (HC0; with ``small_sample`` HC1).

    References
    ----------
    A. Zellner, "An efficient method of estimating seemingly unrelated regressions and tests for aggregation bias", JASA
    57, 1962; H. White, "A heteroskedasticity-consistent covariance matrix estimator and a direct test for
    heteroskedasticity", Econometrica 48, 1980; W. H. Greene, *Econometric Analysis*, 7th edition, sections 5.5.1
    (restrictions) and 10.2 (SUR); A. Henningsen and J. D. Hamann, "systemfit: A package for estimating systems of
    simultaneous equations in R", Journal of Statistical Software 23(4), 2007, equations 7 and 8, and "geomean" among
    the residual covariances for the correction.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sparsam import fit_linear_system
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(200, 3)), columns=["price", "income", "cost"])
    >>> noise = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=200)
    >>> means = np.column_stack([2 * X["income"] - X["price"], X["price"] + X["cost"]])
    >>> y = pd.DataFrame(means + noise, columns=["demand", "supply"])
    >>> mask = np.array([[True, True], [True, False], [False, True]])
    >>> opposite = pd.DataFrame([{("demand", "price"): 1, ("supply", "price"): 1}])  # their sum is 0
    >>> system = fit_linear_system(X, y, mask=mask, restrictions=opposite)
    >>> system.coefficients["supply"].round(1).to_dict()
    {'price': 1.0, 'cost': 1.0, 'intercept': 0.1}
    >>> bool(abs(system.coefficients[("demand", "price")] + system.coefficients[("supply", "price")]) < 1e-12)
    True
    >>> bool(system.summary("robust").loc[("demand", "income"), "standard_error"] < 0.06)
    True
    """
    check_mask_names(mask, X, y)
    try:
        inputs = check_array(X, dtype=np.float64, input_name="X")
    except (TypeError, ValueError) as error:
        validation.refuse_other_columns(X, error)
        raise
    targets, _ = validate_targets(y, inputs)
    free = free_coefficients(mask, inputs.shape[1], targets.shape[1])
    names = coefficient_names(X, y, free)
    restricted = Restrictions.of(restrictions, restriction_values, names)
    if n_steps is not None:
        validation.check_number("n_steps", n_steps, Integral, low=1)
    validation.check_flag("small_sample", small_sample)
    weights = validation.check_sample_weight(sample_weight, inputs)
    weights = np.ones(len(inputs)) if weights is None else weights
    _check_rows(targets, weights, free, small_sample)
    if restrictions is None:
        check_determined(inputs, ~np.isnan(targets), weights, free.T)

    scale = CoefficientScale.of(inputs, targets, weights)
    T, offset = scale.to_units(free)
    equations = StackedEquations(scale.scaled_inputs(inputs), weights, free)
    least_squares = GeneralizedLeastSquares(
        equations, scale.scaled_targets(targets), restricted.transformed(T, offset), small_sample
    )
    # The first step weights all outputs alike, in the units of y.
    try:
        estimate = least_squares.iterate(np.diag(scale.target_scales**-2), n_steps)
    except SingularCovarianceError as error:
        raise ValueError(_singular(error, len(inputs), free)) from error
    if not estimate.converged:
        warn_user(
            f"the generalized least-squares steps have not converged after {estimate.n_steps}: the likelihood is very "
            "flat, or has no maximum. Remove nearly collinear inputs, or use n_steps=1",
            ConvergenceWarning,
        )

    coefficients = T @ estimate.coefficients + offset
    table = equations.table(coefficients)
    units = np.outer(scale.target_scales, scale.target_scales)
    covariances = {
        kind: pd.DataFrame(least_squares.coefficient_covariance(estimate, kind, T), names, names)
        for kind in ("unadjusted", "robust")
    }
    return LinearSystem(
        coef=table[:, :-1].T.copy(),
        intercept=table[:, -1].copy(),
        coefficients=pd.Series(coefficients, names, name="coefficient"),
        covariance=estimate.covariance * units,
        weighting_covariance=estimate.weighting_covariance * units,
        degrees_of_freedom=float(weights.sum() * len(free) - free.sum() + len(restricted.values)),
        small_sample=bool(small_sample),
        n_steps=estimate.n_steps,
        _coefficient_covariances=covariances,
    )


def _check_rows(Y: Array, weights: Array, free: NDArray[np.bool_], small_sample: bool) -> None:
    """Raise ValueError if targets are missing, or there are too few rows."""
    missing = np.isnan(Y).any(axis=1)
    if missing.any():
        raise ValueError(
            f"y contains NaN in {missing.sum()} of {len(Y)} rows, first in row {np.argmax(missing)}. Remove these "
            "rows, or use MultivariateNormalRegressor(hidden_layer_sizes=(), alpha=0), which takes missing targets"
        )
    n_rows, n_coefficients = int((weights > 0).sum()), int(free.sum(axis=1).max())
    if n_rows <= n_coefficients:
        raise ValueError(
            f"{n_rows} rows are too few for an output with {n_coefficients} coefficients: its residuals would be 0. "
            "Take more rows, or fewer inputs (mask)"
        )
    if small_sample and weights.sum() <= n_coefficients:
        raise ValueError(
            f"small_sample=True needs more samples than coefficients of an output, but sample_weight sums to "
            f"{weights.sum():g}, and an output has {n_coefficients}: sample_weight must be numbers of copies"
        )


def _singular(error: SingularCovarianceError, n_rows: int, free: NDArray[np.bool_]) -> str:
    """Explain why the covariance of the residuals is singular, and what to do."""
    if error.output is not None:
        return f"output {error.output} has no residuals: it is a linear function of its inputs. Remove it from y"
    if error.step > 1:
        return (
            f"the covariance of the residuals became singular in step {error.step}: the likelihood has no maximum. "
            "Take n_steps=1, or more rows"
        )
    return (
        f"the covariance of the residuals is singular: outputs are linear combinations of others, or {n_rows} rows are "
        f"too few for {len(free)} outputs with up to {free.sum(axis=1).max()} coefficients. Remove outputs, or take "
        "more rows"
    )
