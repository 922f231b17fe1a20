"""Linear models in standardized units, in which least squares is accurate, and back in the units of the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CoefficientScale"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CoefficientScale:
    """Centers and scales of the inputs and the targets.

    With x = m + s z and y = c + u t, elementwise, t_k = z' gamma_k + gamma_0k means ::

        beta_ik = u_k gamma_ik / s_i,        beta_0k = c_k + u_k (gamma_0k - sum_i m_i gamma_ik / s_i)

    so that beta = T gamma + beta_0 for all coefficients together, and their covariance is T V T'.

    Attributes
    ----------
    input_means, input_scales : arrays of shape (n_features,)
    target_means, target_scales : arrays of shape (n_outputs,)
    """

    input_means: Array
    input_scales: Array
    target_means: Array
    target_scales: Array

    @classmethod
    def of(cls, X: Array, Y: Array, sample_weight: Array) -> CoefficientScale:
        """Take weighted means and standard deviations; the scale of a constant is 1."""
        return cls(*_moments(X, sample_weight), *_moments(Y, sample_weight))

    @classmethod
    def of_inputs(cls, X: Array, n_outputs: int, sample_weight: Array) -> CoefficientScale:
        """Take the moments of the inputs, and leave the targets as they are."""
        return cls(*_moments(X, sample_weight), np.zeros(n_outputs), np.ones(n_outputs))

    def scaled_inputs(self, X: Array) -> Array:
        """Center and scale X, and append a column of ones."""
        return np.hstack([(X - self.input_means) / self.input_scales, np.ones((len(X), 1))])

    def scaled_targets(self, Y: Array) -> Array:
        """Center and scale Y."""
        return (Y - self.target_means) / self.target_scales

    def to_units(self, free: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Return T, (n_coefficients, n_coefficients), and beta_0, for the coefficients that are free.

        ``free`` has the shape (n_outputs, n_features + 1); all intercepts, its last column, must be free.
        """
        outputs, inputs = np.nonzero(free)
        is_intercept = inputs == free.shape[1] - 1
        own_scale = np.append(self.input_scales, 1.0)[inputs]
        T = np.diag(self.target_scales[outputs] / own_scale)
        shifts = self.target_scales[outputs] * np.append(self.input_means, 0.0)[inputs] / own_scale
        same_output = outputs[is_intercept][:, None] == outputs[None, :]
        T[is_intercept] -= np.where(same_output, shifts, 0.0)
        return T, np.where(is_intercept, self.target_means[outputs], 0.0)


def _moments(columns: Array, sample_weight: Array) -> tuple[Array, Array]:
    means = sample_weight @ columns / sample_weight.sum()
    scales = np.sqrt(sample_weight @ (columns - means) ** 2 / sample_weight.sum())
    # Smaller scales are rounding of a constant.
    return means, np.where(scales > 1e-12 * np.abs(means), scales, 1.0)
