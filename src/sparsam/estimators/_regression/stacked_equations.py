"""Equations with a common noise covariance, stacked to one: its information, and the products of its slopes.

Row n of output k is y_nk = x_n' beta_k + noise; the last entry of x_n is 1. An output may lack coefficients for some
inputs. beta holds the coefficients that exist, output by output, (n_coefficients,). Z_n, (n_outputs, n_coefficients),
has x_n' in row k at the coefficients of output k, so that the means of a row are Z_n beta. With the precision
B_n = C^-1 of a row's noise, minus the log-likelihood is quadratic in beta ::

    sum_n s_n 1/2 r_n' B_n r_n,        r_n = y_n - Z_n beta
    minus its slope           g = sum_n s_n Z_n' B_n r_n
    its Hessian               H = sum_n s_n Z_n' B_n Z_n                   (the information)

With missing targets, B_n is the inverse of the observed block of C, and 0 elsewhere. If all targets are observed, H is
X' (C^-1 (x) I) X of A. Henningsen & J. D. Hamann, "systemfit: A package for estimating systems of simultaneous
equations in R", Journal of Statistical Software 23(4), 2007, eq. 7 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from sparsam._utils.multivariate_normal import patterns_of

__all__ = ["FactoredInformation", "Precision", "StackedEquations"]

Array = NDArray[np.float64]

N_ROWS_AT_ONCE = 10_000  # whose slopes are held in memory
UNDETERMINED = 1e-12  # least eigenvalue of an information with a diagonal of 1


@dataclass(frozen=True)
class Precision:
    """Inverse covariance of each row's observed targets.

    Attributes
    ----------
    blocks : array of shape (n_patterns, n_outputs, n_outputs)
        C_oo^-1 at the observed outputs of a pattern, and 0 elsewhere.
    pattern_of_row : array of shape (n_samples,)
    """

    blocks: Array
    pattern_of_row: NDArray[np.intp]

    @classmethod
    def of(cls, covariance: Array, observed: NDArray[np.bool_]) -> Precision:
        """Invert a covariance for the outputs that each row observes, (n_samples, n_outputs)."""
        patterns, pattern_of_row = patterns_of(np.where(observed, 0.0, np.nan))
        blocks = np.zeros((len(patterns), *covariance.shape))
        for block, o in zip(blocks, patterns, strict=True):
            block[np.ix_(o, o)] = np.linalg.inv(covariance[np.ix_(o, o)])
        return cls(blocks, pattern_of_row)

    @classmethod
    def of_complete(cls, covariance: Array, n_samples: int) -> Precision:
        """Invert a covariance for rows that observe all outputs."""
        inverse = np.linalg.inv(covariance).astype(np.float64, copy=False)
        return cls(inverse[None], np.zeros(n_samples, np.intp))


@dataclass(frozen=True)
class StackedEquations:
    """Inputs and sample weights of equations, and which coefficients they have.

    Attributes
    ----------
    inputs : array of shape (n_samples, n_inputs)
        X, and a last column of ones.
    sample_weight : array of shape (n_samples,)
    free : array of shape (n_outputs, n_inputs)
        True where a coefficient exists. Vectors and matrices of coefficients are in C order of this array.
    """

    inputs: Array
    sample_weight: Array
    free: NDArray[np.bool_]

    def information(self, precision: Precision) -> Array:
        """Compute H = sum_n s_n Z_n' B_n Z_n, (n_coefficients, n_coefficients)."""
        outputs, inputs = np.nonzero(self.free)
        H = np.zeros((len(outputs), len(outputs)))
        for p, B in enumerate(precision.blocks):
            rows = precision.pattern_of_row == p
            X = self.inputs[rows]
            moments = (self.sample_weight[rows, None] * X).T @ X
            H += moments[np.ix_(inputs, inputs)] * B[np.ix_(outputs, outputs)]
        return H

    def slope(self, precision: Precision, residuals: Array) -> Array:
        """Compute g = sum_n s_n Z_n' B_n r_n, (n_coefficients,); residuals of missing targets do not count."""
        weighted = self.sample_weight[:, None] * _whitened_twice(precision, residuals)
        products: Array = (weighted.T @ self.inputs)[self.free]
        return products

    def squared_slopes(self, precision: Precision, residuals: Array) -> Array:
        """Compute sum_n s_n g_n g_n' with g_n = Z_n' B_n r_n, (n_coefficients, n_coefficients)."""
        outputs, inputs = np.nonzero(self.free)
        whitened = _whitened_twice(precision, residuals)
        total = np.zeros((len(outputs), len(outputs)))
        for start in range(0, len(residuals), N_ROWS_AT_ONCE):
            rows = slice(start, start + N_ROWS_AT_ONCE)
            slopes = whitened[rows][:, outputs] * self.inputs[rows][:, inputs]
            total += (self.sample_weight[rows, None] * slopes).T @ slopes
        return total

    def means(self, coefficients: Array) -> Array:
        """Compute Z_n beta of each row, (n_samples, n_outputs)."""
        return self.inputs @ self.table(coefficients).T

    def table(self, coefficients: Array) -> Array:
        """Arrange coefficients as an array (n_outputs, n_inputs), 0 where there is none."""
        table = np.zeros(self.free.shape)
        table[self.free] = coefficients
        return table


@dataclass(frozen=True)
class FactoredInformation:
    """Cholesky factor of an information, whose rows and columns are scaled to a diagonal of 1.

    Attributes
    ----------
    factor : tuple
        As of `scipy.linalg.cho_factor`.
    units : array of shape (n_parameters,)
        Roots of the diagonal of the information.
    """

    factor: Any
    units: Array

    @classmethod
    def of(cls, H: Array) -> FactoredInformation:
        """Factor H.

        Raises
        ------
        ValueError
            If it is singular, or so nearly that its inverse would be wrong by more than 1e-4.
        """
        units = np.sqrt(np.diag(H))
        if not (units.all() and np.linalg.eigvalsh(H / np.outer(units, units))[0] > UNDETERMINED):
            raise ValueError(
                "the data and the restrictions do not determine all coefficients: inputs of an output are linear "
                "combinations of each other, or nearly. Remove inputs (mask), or add restrictions"
            )
        return cls(cho_factor(H / np.outer(units, units)), units)

    def solve(self, slope: Array) -> Array:
        """Compute H^-1 g."""
        solution: Array = cho_solve(self.factor, slope / self.units) / self.units
        return solution

    def inverse(self) -> Array:
        """Compute H^-1."""
        inverse = cho_solve(self.factor, np.eye(len(self.units))) / np.outer(self.units, self.units)
        return (inverse + inverse.T) / 2


def _whitened_twice(precision: Precision, residuals: Array) -> Array:
    """Compute B_n r_n of each row, (n_samples, n_outputs)."""
    known = np.nan_to_num(residuals)
    products = np.zeros_like(known)
    for p, B in enumerate(precision.blocks):
        rows = precision.pattern_of_row == p
        products[rows] = known[rows] @ B
    return products
