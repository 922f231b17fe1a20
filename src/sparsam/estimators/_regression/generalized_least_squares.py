"""Generalized least squares of stacked equations, step by step, and the covariance of its coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsam.estimators import _validation as validation
from sparsam.estimators._regression.restrictions import Restrictions
from sparsam.estimators._regression.stacked_equations import FactoredInformation, Precision, StackedEquations

__all__ = [
    "Estimate",
    "GeneralizedLeastSquares",
    "SingularCovarianceError",
    "check_kind",
    "coefficient_covariance",
    "degree_factors",
]

Array = NDArray[np.float64]

KINDS = ("unadjusted", "robust")
MAX_STEPS = 10_000
CONVERGED = 1e-12  # length of the last step, in standard errors
SMALL = 1e-6  # steps that are shorter, and no longer shrink, are rounding
SINGULAR = 1e-10  # least eigenvalue of the correlations of residuals


def check_kind(kind: str) -> None:
    """Raise ValueError unless there is this kind of covariance of coefficients."""
    validation.check_choice("kind", kind, KINDS)


class SingularCovarianceError(ValueError):
    """The residuals of an output are 0, or linear combinations of those of the others."""

    def __init__(self, step: int, output: int | None) -> None:
        super().__init__(step, output)
        self.step, self.output = step, output


@dataclass(frozen=True)
class Estimate:
    """Coefficients after the last step of generalized least squares.

    Attributes
    ----------
    coefficients : array of shape (n_coefficients,)
    residuals : array of shape (n_samples, n_outputs)
    covariance, weighting_covariance : arrays of shape (n_outputs, n_outputs)
        C of the residuals, and the C of the step before, which weighted the equations in the last step.
    n_steps : int
    converged : bool
    """

    coefficients: Array
    residuals: Array
    covariance: Array
    weighting_covariance: Array
    n_steps: int
    converged: bool


@dataclass(frozen=True)
class GeneralizedLeastSquares:
    """Iterated generalized least squares of stacked equations under linear restrictions.

    Attributes
    ----------
    equations : StackedEquations
    targets : array of shape (n_samples, n_outputs)
        Without missing ones.
    restrictions : Restrictions
    small_sample : bool
        Whether C is corrected for the degrees of freedom; see `degree_factors`.
    """

    equations: StackedEquations
    targets: Array
    restrictions: Restrictions
    small_sample: bool

    def iterate(self, first_covariance: Array, n_steps: int | None) -> Estimate:
        """Minimize with the given C, then repeat with the C of the residuals: n_steps times, or until it converges.

        Raises
        ------
        SingularCovarianceError
            If the C of the residuals is singular.
        ValueError
            If the data and the restrictions do not determine the coefficients.
        """
        coefficients, basis = self.restrictions.solution()
        coefficients, _ = self._step(coefficients, basis, first_covariance)
        weighting = covariance = self._covariance(coefficients, 0)
        converged, step, last_length = False, 0, np.inf
        while not converged and step < (MAX_STEPS if n_steps is None else n_steps):
            step, weighting = step + 1, covariance
            coefficients, length = self._step(coefficients, basis, weighting)
            covariance = self._covariance(coefficients, step)
            # The steps of a fixed-point iteration shrink by about the same factor each, until they are rounding.
            ended = length <= CONVERGED or last_length <= length <= SMALL
            converged, last_length = ended and n_steps is None, length
        residuals = self.targets - self.equations.means(coefficients)
        return Estimate(coefficients, residuals, covariance, weighting, step, converged or n_steps is not None)

    def coefficient_covariance(self, estimate: Estimate, kind: str, T: Array) -> Array:
        """Compute the covariance of T times the coefficients, with C = weighting_covariance."""
        precision = self._precision(estimate.weighting_covariance)
        _, basis = self.restrictions.solution()
        V = coefficient_covariance(self.equations, precision, estimate.residuals, kind, basis, T)
        if kind == "robust" and self.small_sample:
            factors = degree_factors(self.equations)[np.nonzero(self.equations.free)[0]]
            V = V * np.outer(factors, factors)
        return V

    def _step(self, coefficients: Array, basis: Array, covariance: Array) -> tuple[Array, float]:
        """Minimize 1/2 sum_n s_n r_n' C^-1 r_n over coefficients + basis theta.

        Return the new coefficients, and the length of the step in standard errors, sqrt(theta' N' H N theta).

        The objective is quadratic, and theta = (N' H N)^-1 N' g with N the basis. A second step from there removes the
        rounding of H, whose condition is the square of that of X.
        """
        precision = self._precision(covariance)
        H = basis.T @ self.equations.information(precision) @ basis
        if not H.size:
            return coefficients, 0.0
        factored, moved = FactoredInformation.of(H), np.zeros(len(H))
        for _ in range(2):
            residuals = self.targets - self.equations.means(coefficients + basis @ moved)
            slope = basis.T @ self.equations.slope(precision, residuals)
            moved += factored.solve(slope)
        return coefficients + basis @ moved, float(np.sqrt(moved @ H @ moved))

    def _precision(self, covariance: Array) -> Precision:
        return Precision.of_complete(covariance, len(self.targets))

    def _covariance(self, coefficients: Array, step: int) -> Array:
        """Compute C = 1/S sum_n s_n r_n r_n', times the correction for degrees of freedom."""
        s = self.equations.sample_weight
        r = self.targets - self.equations.means(coefficients)
        C: Array = (s[:, None] * r).T @ r / s.sum()
        variances = np.diag(C)
        exact = variances <= SINGULAR**2 * np.mean(self.targets**2, axis=0)
        if exact.any():
            raise SingularCovarianceError(step, int(np.argmax(exact)))
        if np.linalg.eigvalsh(C / np.sqrt(np.outer(variances, variances)))[0] < SINGULAR:
            raise SingularCovarianceError(step, None)
        if self.small_sample:
            factors = degree_factors(self.equations)
            C = C * np.outer(factors, factors)
        return C


def coefficient_covariance(
    equations: StackedEquations,
    precision: Precision,
    residuals: Array,
    kind: str,
    basis: Array | None = None,
    T: Array | None = None,
) -> Array:
    """Compute the covariance of T beta, where beta is estimated with the precisions B_n within a span N theta.

    About the minimum the error of theta is (N' H N)^-1 N' sum_n s_n Z_n' B_n noise_n. So that of T beta is A g, with
    A = T N (N' H N)^-1 N', and its covariance A E[g g'] A'. If the noise of all rows has the covariance B_n^-1,
    E[g g'] = H, and it is T N (N' H N)^-1 N' T' ("unadjusted"); in any case sum_n s_n g_n g_n' with the residuals
    estimates E[g g'] ("robust"; White, 1980).

    With N a basis of the solutions of R beta = 0, N (N' H N)^-1 N' = H^-1 - H^-1 R' (R H^-1 R')^-1 R H^-1, the
    covariance of restricted least squares (Greene, *Econometric Analysis*, 7th edition, section 5.5.1).

    Parameters
    ----------
    equations : StackedEquations
    precision : Precision
    residuals : array of shape (n_samples, n_outputs)
        NaN where a target is missing.
    kind : {"unadjusted", "robust"}
    basis : array of shape (n_coefficients, n_parameters), optional
        N; None is the identity.
    T : array of shape (n_coefficients, n_coefficients), optional
        None is the identity.
    """
    identity = np.eye(int(equations.free.sum()))
    N, T = identity if basis is None else basis, identity if T is None else T
    directions = T @ N
    # What rounding leaves of 0: coefficients that restrictions fix.
    directions[np.abs(directions) < 1e-13 * (np.abs(T) @ np.abs(N))] = 0.0
    if not N.size:
        return np.zeros_like(T)
    inverse = FactoredInformation.of(N.T @ equations.information(precision) @ N).inverse()
    if kind == "robust":
        inverse = inverse @ N.T @ equations.squared_slopes(precision, residuals) @ N @ inverse
    V: Array = directions @ inverse @ directions.T
    return (V + V.T) / 2


def degree_factors(equations: StackedEquations) -> Array:
    """Compute sqrt(S / (S - p_k)) of each output k, S the sum of the weights, p_k its number of coefficients.

    C_kl times the factors of k and l is unbiased if the outputs have the same inputs, and positive definite in any
    case, unlike Theil's correction ("geomean" and "Theil" of systemfit).
    """
    total, p = equations.sample_weight.sum(), equations.free.sum(axis=1)
    factors: Array = np.sqrt(total / (total - p))
    return factors
