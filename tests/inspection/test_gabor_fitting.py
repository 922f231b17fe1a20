"""The fit of Gabor functions follows the slope of its squared error."""

import numpy as np
from numpy.testing import assert_allclose

from sparsam.inspection.gabor_fitting import Grid, basis, bounds, linearized, projected


def test_the_slope_of_the_squared_error_is_its_numerical_derivative():
    rng = np.random.default_rng(0)
    grid = Grid.of(7, 9)
    p = rng.normal([4, 3, 0, -1.8, -1.0, 1.0], [1, 1, 2, 0.2, 0.2, 0.2], size=(30, 6))
    assert all(np.all(p > low) and np.all(p < high) for low, high in [bounds(p, grid)])
    v = rng.normal(size=(30, 63))
    v -= v.mean(axis=1, keepdims=True)

    def half_squares(p):
        phi = basis(p, grid)
        return 0.5 * np.sum(projected(phi - phi.mean(axis=1, keepdims=True), v)[1] ** 2, axis=1)

    r, slopes = linearized(p, v, grid)
    step = 1e-5 * np.eye(6)
    numerical = np.stack([(half_squares(p + e) - half_squares(p - e)) / 2e-5 for e in step], axis=1)
    assert_allclose(-np.einsum("bpk,bp->bk", slopes, r), numerical, atol=1e-7)
