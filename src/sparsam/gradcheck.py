"""Numerical gradients and their comparison: `sparsam.reference.gradcheck` under its public name."""

from sparsam.reference.gradcheck import (
    GradientCheck,
    check_gradient,
    numerical_gradient,
    relative_difference,
)

__all__ = ["GradientCheck", "check_gradient", "numerical_gradient", "relative_difference"]
