"""Private base of the regressor: standard errors of a linear model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sparsam.estimators import _validation as validation
from sparsam.estimators._normal_predictions import NormalPredictions
from sparsam.estimators._regression.coefficient_mask import free_coefficients
from sparsam.estimators._regression.coefficient_names import coefficient_names
from sparsam.estimators._regression.generalized_least_squares import check_kind
from sparsam.estimators._regression.standard_errors import check_at_minimum, check_determined, linear_covariance

__all__ = ["LinearInference"]

Array = NDArray[np.float64]


class LinearInference(NormalPredictions):
    """Covariance of the coefficients of a linear model, of hidden_layer_sizes=() and alpha=0."""

    hidden_layer_sizes: Any
    mask: Any
    alpha_: float
    covariance_: Array
    gradient_norm_: float
    stop_reason_: str

    def standard_errors(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, kind: str = "unadjusted"
    ) -> tuple[Array, Array]:
        """Compute standard errors of the weights of a linear model from its training data.

        They are the roots of the diagonal of `coefficient_covariance`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Number of copies of each row.
        kind : {"unadjusted", "robust"}, default "unadjusted"
            See `coefficient_covariance`.

        Returns
        -------
        coef_errors : array of shape (n_features, n_outputs)
            0 where the mask allows no weight.
        intercept_errors : array of shape (n_outputs,)

        Raises
        ------
        ValueError
            See `coefficient_covariance`.
        """
        free, V = self._coefficient_covariance(X, y, sample_weight, kind)
        errors = np.zeros(free.shape)
        errors[free] = np.sqrt(np.diag(V))
        return errors[:, :-1].T.copy(), errors[:, -1].copy()

    def coefficient_covariance(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, kind: str = "unadjusted"
    ) -> pd.DataFrame:
        """Compute the covariance matrix of all weights of a linear model from its training data.

        C is taken as known. With ``covariance_prior`` it is the mode of the posterior; its uncertainty is not included.
        With early stopping, which fits a part of the data and ends before the minimum, there is no such covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data. A frame names the inputs.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
            A frame names the outputs.
        sample_weight : array-like of shape (n_samples,), optional
            Number of copies of each row.
        kind : {"unadjusted", "robust"}, default "unadjusted"
            "unadjusted" is the inverse information, H^-1 with H = sum_n s_n Z_n' B_n Z_n, where Z_n maps the weights to
            the means of row n, and B_n is the inverse of C's block of observed targets. "robust" allows a noise
            covariance that differs between the rows (heteroskedasticity-consistent, White 1980):
            H^-1 (sum_n s_n g_n g_n') H^-1, g_n = Z_n' B_n r_n.

        Returns
        -------
        DataFrame of shape (n_weights, n_weights)
            Rows and columns are pairs (output, input), output by output, each with the inputs that the mask allows in
            the order of X and its "intercept" last. NaN for targets that are linear combinations of others.

        Raises
        ------
        ValueError
            If there are hidden layers or weight decay, for which it does not exist; if the fit did not converge; if
            columns of X are constant or linearly dependent; or if the kind is unknown.
        """
        free, V = self._coefficient_covariance(X, y, sample_weight, kind)
        names = coefficient_names(X, y, free)
        return pd.DataFrame(V, names, names)

    def _coefficient_covariance(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, kind: str
    ) -> tuple[NDArray[np.bool_], Array]:
        """Return which coefficients exist, (n_outputs, n_features + 1), and their covariance."""
        check_kind(kind)
        means, Y = self._predicted_and_given(X, y)
        if self.covariance_factor_ is not None:
            raise ValueError("standard errors need a constant covariance: fit with covariance='full'")
        if len(self.coefs_) > 1 or self.alpha_ > 0:
            raise ValueError(
                "standard errors need a linear model without weight decay: fit with hidden_layer_sizes=() and "
                f"alpha=0, not {self.hidden_layer_sizes} and {self.alpha_:g}"
            )
        inputs = validation.validate_inputs(self, X, reset=False).astype(np.float64)
        free = free_coefficients(self.mask, inputs.shape[1], self.n_outputs_)
        weights = validation.check_sample_weight(sample_weight, means)
        check_determined(inputs, ~np.isnan(Y), weights, free.T)
        check_at_minimum(self.gradient_norm_, self.stop_reason_)
        return free, linear_covariance(inputs, Y - means, weights, self.covariance_, free, kind)
