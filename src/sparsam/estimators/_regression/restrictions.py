"""Linear restrictions R beta = q on coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["Restrictions"]

Array = NDArray[np.float64]

DEPENDENT = 1e-10  # largest relative part of a row that rounding leaves of a combination of the rows before it


@dataclass(frozen=True)
class Restrictions:
    """Linear restrictions R beta = q, of full rank.

    Attributes
    ----------
    matrix : array of shape (n_restrictions, n_coefficients)
        R. Each row has length 1.
    values : array of shape (n_restrictions,)
        q.
    """

    matrix: Array
    values: Array

    @classmethod
    def of(cls, matrix: Any, values: ArrayLike | None, names: pd.MultiIndex) -> Restrictions:
        """Check the restrictions of a user; a matrix of None is no restriction.

        Raises
        ------
        ValueError
            If R or q has another shape, contains an infinite number, or names a coefficient that does not exist; if a
            row of R is zero, follows from the rows before it, or contradicts them.
        """
        if matrix is None:
            if values is not None:
                raise ValueError("restriction_values is the right-hand side of restrictions, which are None: pass both")
            return cls(np.zeros((0, len(names))), np.zeros(0))
        R = _aligned(matrix, names) if isinstance(matrix, pd.DataFrame) else np.asarray(matrix, dtype=np.float64)
        if R.ndim != 2 or R.shape[1] != len(names):
            raise ValueError(
                f"restrictions must have the shape (n_restrictions, n_coefficients), here (any, {len(names)}), or be a "
                f"frame whose columns are pairs (output, input); got an array of shape {R.shape}. The coefficients "
                f"are, in this order: {', '.join(map(str, names))}"
            )
        q = np.zeros(len(R)) if values is None else np.asarray(values, dtype=np.float64)
        if q.shape != (len(R),):
            raise ValueError(
                f"restriction_values must have one number for each of the {len(R)} restrictions, got an array of shape "
                f"{q.shape}"
            )
        if not np.isfinite(R).all() or not np.isfinite(q).all():
            raise ValueError("restrictions and restriction_values must be finite")
        lengths = np.linalg.norm(R, axis=1)
        if not lengths.all():
            raise ValueError(f"row {np.argmin(lengths)} of restrictions contains only 0: remove it")
        R, q = R / lengths[:, None], q / lengths
        _check_rank(R, q)
        return cls(R, q)

    def transformed(self, T: Array, offset: Array) -> Restrictions:
        """Rewrite them for gamma, where beta = T gamma + offset."""
        R, q = self.matrix @ T, self.values - self.matrix @ offset
        lengths = np.linalg.norm(R, axis=1)
        return Restrictions(R / lengths[:, None], q / lengths)

    def solution(self) -> tuple[Array, Array]:
        """Return beta_0 and N such that the solutions of R beta = q are beta_0 + N theta.

        With R' = Q U, Q orthogonal and U upper triangular with m rows, the last columns of Q are orthogonal to the rows
        of R, and beta_0 = Q_m U_m^-T q is the shortest solution.
        """
        m = len(self.matrix)
        Q, U = np.linalg.qr(self.matrix.T, mode="complete")
        return Q[:, :m] @ np.linalg.solve(U[:m].T, self.values), Q[:, m:]


def _aligned(frame: pd.DataFrame, names: pd.MultiIndex) -> Array:
    """Return the columns of R in the order of the coefficients; absent and NaN entries are 0."""
    unknown = [name for name in frame.columns if name not in names]
    if unknown:
        raise ValueError(
            f"restrictions have a column {unknown[0]!r}, but the columns of a frame must be pairs (output, input) of "
            f"coefficients: {', '.join(map(str, names))}"
        )
    if not frame.columns.is_unique:
        raise ValueError("two columns of restrictions have the same name: add them up")
    R = np.zeros((len(frame), len(names)))
    entries = frame.to_numpy(dtype=np.float64)
    R[:, [names.get_loc(name) for name in frame.columns]] = np.where(np.isnan(entries), 0.0, entries)
    return R


def _check_rank(R: Array, q: Array) -> None:
    """Raise ValueError if a row, all of length 1, is a combination of those before it."""
    for j in range(1, len(R)):
        factors, *_ = np.linalg.lstsq(R[:j].T, R[j], rcond=None)
        if np.linalg.norm(R[j] - factors @ R[:j]) > DEPENDENT:
            continue
        implied = float(factors @ q[:j])
        if abs(implied - q[j]) > DEPENDENT * np.abs(q[: j + 1]).max():
            raise ValueError(
                f"row {j} of restrictions contradicts the rows before it: no coefficients satisfy them all. Correct "
                "restrictions or restriction_values"
            )
        raise ValueError(f"row {j} of restrictions follows from the rows before it: remove it")
