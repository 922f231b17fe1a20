"""Numerical gradients, and errors that the comparison with them finds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparsam.engine.network.network import Network
from sparsam.reference import quadratic, sparse_autoencoder_cost
from sparsam.reference.gradcheck import blockwise_differences, check_gradient, numerical_gradient, relative_difference

# Numbers of half precision: differences are exact, and squares and norms do not underflow.
finite = st.floats(-1000, 1000, width=16)
vectors = hnp.arrays(float, st.integers(1, 6), elements=finite)


def polynomial(degree):
    """Compute the sum of c_i x_i^k over k <= degree, and its gradient."""
    powers = np.arange(1, degree + 1)[:, None]

    def value_and_gradient(x):
        c = np.arange(1, np.size(x) + 1) / np.size(x)
        x = np.ravel(x)
        return float(np.sum(c * x**powers)), np.sum(c * powers * x ** (powers - 1), axis=0)

    return value_and_gradient


def test_example_of_the_notes_has_their_difference():
    numerical = numerical_gradient(lambda x: quadratic(x)[0], [4.0, 10.0], step=1e-4)
    difference = relative_difference(numerical, quadratic([4.0, 10.0])[1])
    assert f"{difference:.2e}" == "2.15e-12"
    assert abs(difference / 2.1452e-12 - 1) < 1e-3


@pytest.mark.parametrize(("order", "degree"), [(2, 2), (4, 4)])
@given(x=hnp.arrays(float, (3,), elements=st.floats(-1, 1)), step=st.floats(0.01, 0.1))
def test_stencil_is_exact_on_polynomials_up_to_its_order(order, degree, x, step):
    value_and_gradient = polynomial(degree)
    numerical = numerical_gradient(lambda x: value_and_gradient(x)[0], x, step, order=order)
    np.testing.assert_allclose(numerical, value_and_gradient(x)[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize("order", [2, 4])
def test_truncation_error_falls_with_the_power_of_the_step_that_the_order_names(order):
    errors = [abs(numerical_gradient(lambda x: np.exp(x[0]), [0.0], step, order=order)[0] - 1) for step in (0.2, 0.1)]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.05
    assert errors[1] < {2: 0.1**2 / 6, 4: 0.1**4 / 30}[order] * 1.1


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 1, 2)])
def test_gradient_has_the_shape_of_theta_and_theta_stays_as_it_was(shape):
    theta = np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape)
    before = theta.copy()
    numerical = numerical_gradient(lambda x: float(np.sum(x**2)), theta)
    assert numerical.shape == shape
    np.testing.assert_allclose(numerical, 2 * theta, rtol=1e-8)
    np.testing.assert_array_equal(theta, before)


def test_theta_is_untouched_also_where_the_function_fails():
    theta = np.array([1.0, 2.0])

    def fail(x):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        numerical_gradient(fail, theta)
    np.testing.assert_array_equal(theta, [1.0, 2.0])


def test_one_coordinate_moves_at_a_time_and_comes_back():
    theta, seen = np.array([0.3, 0.7, 1.1]), []
    numerical_gradient(lambda x: seen.append(x.copy()) or 0.0, theta, order=4)
    moved = np.array(seen) != theta
    np.testing.assert_array_equal(moved.sum(axis=1), 1)
    np.testing.assert_array_equal(moved.sum(axis=0), 4)


def test_integers_are_taken_as_numbers():
    np.testing.assert_allclose(numerical_gradient(lambda x: float(x[0] * x[1]), [3, 5]), [5, 3], rtol=1e-8)


@pytest.mark.parametrize("step", [0.0, -1e-4, np.nan])
def test_step_must_be_positive(step):
    with pytest.raises(ValueError, match="step must be positive"):
        numerical_gradient(lambda x: 0.0, [1.0], step)


@pytest.mark.parametrize("order", [0, 1, 3, 6])
def test_there_are_stencils_of_order_two_and_four_only(order):
    with pytest.raises(ValueError, match=r"order must be one of \[2, 4\]"):
        check_gradient(quadratic, [4.0, 10.0], order=order)


@given(vectors)
def test_relative_difference_of_equals_is_zero_also_at_the_origin(x):
    assert relative_difference(x, x) == 0
    assert relative_difference(0 * x, 0 * x) == 0


@given(data=st.data(), factor=st.sampled_from([1e-3, -8.0, 1e6]))
def test_relative_difference_is_symmetric_and_free_of_scale(data, factor):
    x = data.draw(vectors)
    y = data.draw(hnp.arrays(float, x.shape, elements=finite))
    if np.linalg.norm(x + y) < 1e-3:
        return
    difference = relative_difference(x, y)
    np.testing.assert_allclose(difference, np.linalg.norm(x - y) / np.linalg.norm(x + y), rtol=1e-12)
    np.testing.assert_allclose(relative_difference(y, x), difference, rtol=1e-12)
    np.testing.assert_allclose(relative_difference(factor * x, factor * y), difference, rtol=1e-12)


def test_a_nearly_vanishing_block_is_judged_by_a_thousandth_of_the_whole():
    one, other = np.array([1.0, 1e-9]), np.array([1.0, 3e-9])
    errors = blockwise_differences(one, other, {"large": slice(0, 1), "small": slice(1, 2)})
    assert errors["large"] == 0
    np.testing.assert_allclose(errors["small"], 2e-9 / 2e-3, rtol=1e-6)


# Planted errors

NETWORK = Network((6, 3, 6))


@pytest.fixture(scope="module")
def autoencoder():
    rng = np.random.default_rng(0)
    data, theta = rng.uniform(0.1, 0.9, (20, 6)), rng.normal(0, 0.5, NETWORK.n_parameters)
    return lambda theta: sparse_autoencoder_cost(theta, 6, 3, 1e-3, 0.1, 3.0, data), theta


def check(value_and_gradient, theta):
    return check_gradient(value_and_gradient, theta, step=1e-3, order=4, blocks=NETWORK.blocks)


def test_right_gradient_passes_and_every_block_is_listed(autoencoder):
    result = check(*autoencoder)
    assert list(result.relative_errors) == ["W1", "W2", "b1", "b2"]
    assert result.largest < 1e-9
    assert result.largest == max(result.relative_error, *result.relative_errors.values())
    np.testing.assert_array_equal(result.gradient, autoencoder[0](autoencoder[1])[1])
    np.testing.assert_allclose(result.numerical, result.gradient, rtol=0, atol=1e-9)


@pytest.mark.parametrize("block", NETWORK.blocks)
def test_an_error_in_one_component_is_found_in_its_block(autoencoder, block):
    value_and_gradient, theta = autoencoder
    index = NETWORK.blocks[block].start

    def wrong(theta):
        value, gradient = value_and_gradient(theta)
        gradient[index] *= 1 + 1e-4
        gradient[index] += 1e-6
        return value, gradient

    errors = check(wrong, theta).relative_errors
    assert errors[block] > 1e-7
    assert all(error < 1e-9 for name, error in errors.items() if name != block)


def test_an_error_hidden_in_the_whole_is_found_in_its_block():
    scale = np.array([1e3, 1.0])  # a large weight matrix and a small bias

    def wrong(theta):
        return float(np.sum(scale * theta**2) / 2), scale * theta * [1, 1 + 1e-5]

    result = check_gradient(wrong, [1.0, 1.0], blocks={"W1": slice(0, 1), "b1": slice(1, 2)})
    assert result.relative_error < 1e-7
    assert result.relative_errors["b1"] > 1e-6


def test_an_error_outside_the_blocks_named_shows_in_the_largest():
    check = check_gradient(lambda x: (float(x @ x) / 2, x * [1, 1.01]), [1.0, 1.0], blocks={"W1": slice(0, 1)})
    assert check.relative_errors["W1"] < 1e-9
    assert check.largest > 1e-3


def test_without_blocks_theta_is_judged_as_a_whole():
    assert list(check_gradient(quadratic, [4.0, 10.0]).relative_errors) == ["theta"]


@pytest.mark.parametrize("gradient", [np.ones(3), np.ones((2, 1)), np.float64(1.0)])
def test_gradient_of_another_shape_is_refused(gradient):
    with pytest.raises(ValueError, match=r"the gradient has shape .*, theta \(2,\)"):
        check_gradient(lambda theta: (0.0, gradient), [1.0, 2.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradient_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        check_gradient(lambda theta: (0.0, np.array([0.0, bad])), [1.0, 2.0])


def test_value_that_is_not_finite_next_to_theta_fails_the_check():
    def edge(theta):  # finite at theta alone
        return float(np.log(theta[0] - 1) if theta[0] > 1 else np.nan), [1 / (theta[0] - 1)]

    with np.errstate(invalid="ignore"):
        assert not check_gradient(edge, [1 + 1e-5]).largest < 1e-3


def test_several_functions_are_differentiated_in_one_sweep():
    theta = np.array([[0.3, -1.0], [2.0, 0.5]])
    together = numerical_gradient(lambda w: np.array([np.sum(w**2), np.prod(w), w[0, 1]]), theta, 1e-3, order=4)
    apart = [
        numerical_gradient(f, theta, 1e-3, order=4) for f in (lambda w: np.sum(w**2), np.prod, lambda w: float(w[0, 1]))
    ]
    np.testing.assert_array_equal(together, np.stack(apart, axis=-1))
