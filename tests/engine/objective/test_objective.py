"""J and its gradient equal the hand derivation, numerical gradients, and those of other chunks, in all cases."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam._utils.jit import quick_jit
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import CrossEntropy, SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.reference import sparse_autoencoder_cost
from sparsam.reference.gradcheck import blockwise_differences, numerical_gradient, relative_difference

few = settings.get_profile("few")

evaluate = quick_jit(Objective.evaluate)
N_SAMPLES = 23  # of each problem, in chunks of 8
seeds = st.integers(0, 2**32 - 1)


@few
@given(data=st.data(), seed=seeds)
def test_every_property_of_J_and_its_gradient(case, data, seed):
    """One test a case: to compile its program takes longer than all that is asked of it."""
    problem, rng = data.draw(case.problems()), np.random.default_rng(seed)
    weighted = problem.replace(sample_weight=rng.uniform(0.5, 3.0, N_SAMPLES).astype(np.float32).astype(float))
    equals_the_hand_derivation(problem)
    does_not_depend_on_where_chunks_end(problem, rng)
    does_not_read_what_fills_up_rows_and_chunks(problem, rng)
    ends_at_the_last_chunk_that_holds_data(problem)
    takes_integer_weights_for_repetitions(problem, rng)
    takes_rows_of_weight_zero_for_absent(weighted, rng)
    does_not_depend_on_the_scale_of_the_weights(weighted, rng)


def equals_the_hand_derivation(problem):
    assert problem.difference(problem.evaluate(), problem.reference()) < problem.case.tolerance(1e-12, 1e-5)


def does_not_depend_on_where_chunks_end(problem, rng):
    """In another order other rows share a chunk."""
    other = problem.rows(rng.permutation(N_SAMPLES))
    differ_by_rounding(problem, other.evaluate(), problem.evaluate())


def does_not_read_what_fills_up_rows_and_chunks(problem, rng):
    case = problem.case
    with precision(case.dtype):
        samples = problem.samples()
        weightless = np.asarray(samples.sample_weight) == 0

        def with_noise(buffer, noise):
            buffer = np.array(buffer)
            np.moveaxis(buffer, -1, 1)[weightless] = noise
            return jnp.asarray(buffer)

        others = rng.normal(0, 10, (weightless.sum(), case.network.layer_sizes[0]))
        targets = case.targets(rng.uniform(size=(weightless.sum(), case.n_targets)))
        noisy = replace(
            samples, inputs=with_noise(samples.inputs, others), targets=with_noise(samples.targets, targets)
        )
    (value, gradient), (expected, expected_gradient) = problem.evaluate(samples=noisy), problem.evaluate()
    assert value == expected
    np.testing.assert_array_equal(gradient, expected_gradient)


def ends_at_the_last_chunk_that_holds_data(problem):
    with precision(problem.case.dtype):
        samples = problem.samples()
        weight = samples.sample_weight.at[2].set(0)
        weightless = replace(samples, sample_weight=weight, total_weight=weight.sum())
        beyond_the_end = replace(weightless, inputs=samples.inputs.at[2].set(jnp.nan), n_chunks=jnp.int32([2]))
    value, gradient = problem.evaluate(samples=beyond_the_end)
    expected, expected_gradient = problem.evaluate(samples=weightless)
    assert value == expected
    np.testing.assert_array_equal(gradient, expected_gradient)


def takes_integer_weights_for_repetitions(problem, rng):
    counts = rng.multinomial(N_SAMPLES, np.full(N_SAMPLES, 1 / N_SAMPLES))  # some are 0
    weighted = problem.replace(sample_weight=counts)
    repeated = problem.replace(sample_weight=None).rows(np.repeat(np.arange(N_SAMPLES), counts))
    differ_by_rounding(weighted, weighted.evaluate(), repeated.evaluate())
    assert problem.difference(weighted.reference(), repeated.reference(), by_block=False) < 1e-13


def takes_rows_of_weight_zero_for_absent(problem, rng):
    kept = rng.integers(17, 23)  # three chunks with and without the others
    weight = problem.sample_weight.copy()
    weight[rng.permutation(N_SAMPLES)[kept:]] = 0
    with_zeros = problem.replace(sample_weight=weight)
    without = with_zeros.rows(np.flatnonzero(weight))
    differ_by_rounding(without, with_zeros.evaluate(), without.evaluate())


def does_not_depend_on_the_scale_of_the_weights(problem, rng):
    if "covariance_prior" in problem.case.error.options:
        return  # a prior counts as so many samples, so it does
    scaled = problem.replace(sample_weight=rng.choice([0.125, 3.0, 1000.0]) * problem.sample_weight)
    differ_by_rounding(problem, scaled.evaluate(), problem.evaluate())


def differ_by_rounding(problem, this, other):
    """Assert that two (J, gradient) are the same sums in another order.

    The rounding error of a gradient is relative to the sizes of what is added, not to the sum: where the gradients of
    the samples nearly cancel, the sum is smaller.
    """
    limit = problem.case.tolerance(1e-13, 1e-6)
    if problem.difference(this, other, by_block=False) >= limit:
        (value, gradient), (other_value, other_gradient) = this, other
        assert abs(value - other_value) < limit * abs(other_value)
        # In 2,500 random problems of each precision it was at most a fifth of the limit; a search for the worst found
        # three fifths, with rho = 1/2, where the two slopes of the sparsity nearly cancel, too.
        assert np.linalg.norm(gradient - other_gradient) < limit * problem.size_of_what_is_added()


@pytest.mark.slow
@settings(few, max_examples=2)
@given(data=st.data())
def test_gradients_by_hand_and_by_the_engine_equal_the_numerical_one_in_every_block(float64_case, data):
    problem = data.draw(float64_case.problems())
    value, by_hand = problem.reference()
    # Order 4 goes two steps away, which moves a pre-activation by 2 step |x|, with |x| < 5: less than the distance of a
    # problem's units from their kinks, at least 0.01 * 0.25.
    has_kinks = any(h.name in ("relu", "satlin") for h in float64_case.network.activations)
    step = 2.5e-4 if has_kinks else 1e-3
    numerical = numerical_gradient(lambda theta: problem.reference(theta)[0], problem.theta, step, order=4)
    # J's rounding over the step is noise in every difference, however small the block's gradient: it shows where J is
    # large, as cross-entropies are, and layers lie far from the outputs. The norm of a block's noise is a few times
    # that of one.
    noise = np.finfo(float).eps * value / step / (1e-3 * 2 * np.linalg.norm(by_hand))
    for gradient in (by_hand, problem.evaluate()[1]):
        differences = blockwise_differences(gradient, numerical, float64_case.network.blocks)
        assert max(differences.values()) < max(1e-9, 4 * noise)


@pytest.mark.slow
@pytest.mark.parametrize(("visible", "hidden"), [(36, 9), (64, 25)])
def test_gradients_equal_the_numerical_one_of_the_notes(visible, hidden):
    rng = np.random.default_rng(0)
    network, patches = Network((visible, hidden, visible)), rng.uniform(0.1, 0.9, (100, visible))
    with precision("float64"):
        samples = Samples.from_arrays(patches, chunk_size=50, dtype="float64")
        objective = Objective(network, (SquaredError(), WeightDecay(1e-4), KLSparsity(0.01, 3.0)))

    def engine(theta):
        with precision("float64"):
            return jax.device_get(evaluate(objective, theta, samples)[:2])

    def by_hand(theta):
        return sparse_autoencoder_cost(theta, visible, hidden, 1e-4, 0.01, 3.0, patches)

    theta = network.initialize(rng)
    numerical = numerical_gradient(lambda theta: by_hand(theta)[0], theta)
    for value_and_gradient in (engine, by_hand):
        assert relative_difference(value_and_gradient(theta)[1], numerical) < 1e-9


def test_no_two_objectives_are_one_pytree():
    # JAX holds two dataclasses with as many fields equal; where they pass for each other, so do their programs.
    network = Network((2, 1, 2))
    one, other = (Objective(network, (term, WeightDecay(0.1))) for term in (SquaredError(), CrossEntropy()))
    assert jax.tree.structure(one) != jax.tree.structure(other)
    assert jax.tree.structure(one) == jax.tree.structure(jax.tree.map(lambda leaf: 2 * leaf, one))
    assert jax.tree.map(lambda leaf: leaf, one) == one


# Chunks


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 5, 23, 32])
@few
@given(data=st.data())
def test_chunks_change_nothing_but_the_rounding(sparse_case, chunk_size, data):
    problem = data.draw(sparse_case.problems())
    one, other = problem.evaluate(chunk_size=chunk_size), problem.evaluate()  # the other 8; of 23 rows
    assert problem.difference(one, other, by_block=False) < sparse_case.tolerance(1e-13, 1e-6)


# Terms


def test_value_is_the_sum_of_the_terms_and_each_term_what_its_name_says(sparse_case):
    problem, network = sparse_case.problem(alpha=0.5, rho=0.25, beta=2.0), sparse_case.network
    (W1, W2), (b1, b2) = network.unravel(problem.theta)
    z = np.tanh(problem.inputs @ W1 + b1)
    y = 1 / (1 + np.exp(-(z @ W2 + b2)))
    rho_hat = (1 + z.mean(axis=0)) / 2
    expected = {
        "squared_error": np.mean(np.sum((y - problem.targets) ** 2, axis=1)) / 2,
        "weight_decay": 0.5 / 2 * (np.sum(W1**2) + np.sum(W2**2)),
        "sparsity": 2.0 * np.sum(0.25 * np.log(0.25 / rho_hat) + 0.75 * np.log(0.75 / (1 - rho_hat))),
    }
    with precision(sparse_case.dtype):
        objective = problem.objective()
        theta = jnp.asarray(problem.theta, sparse_case.dtype)
        value, _, terms = jax.device_get(evaluate(objective, theta, problem.samples()))
    assert [term.name for term in objective.terms] == list(expected)
    tolerance = sparse_case.tolerance(1e-14, 1e-6)
    np.testing.assert_allclose(terms, list(expected.values()), rtol=tolerance)
    np.testing.assert_allclose(value, sum(expected.values()), rtol=tolerance)


@few
@given(data=st.data())
def test_beta_zero_is_the_objective_without_the_term(sparse_case, data):
    problem = data.draw(sparse_case.problems())
    off = problem.replace(hyperparameters=problem.hyperparameters | {"beta": 0.0})
    with precision(sparse_case.dtype):
        objective = off.objective()
        samples, theta = off.samples(), jnp.asarray(off.theta, sparse_case.dtype)
        without = jax.device_get(evaluate(replace(objective, terms=objective.terms[:2]), theta, samples))
    assert problem.difference(off.evaluate(), without[:2], by_block=False) < sparse_case.tolerance(1e-14, 1e-6)


@pytest.mark.parametrize("bias", [100.0, 1e4])
def test_saturated_units_without_sparsity_have_a_finite_gradient(sparse_case, bias):
    problem = sparse_case.problem(beta=0.0)
    biases = sparse_case.network.blocks["b1"]
    for sign in (1, -1):
        theta = problem.theta.copy()
        theta[biases] = sign * bias
        value, gradient = problem.engine()(theta)
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


@pytest.mark.slow
def test_mean_activation_is_that_of_all_the_data_not_of_a_chunk():
    network = Network((1, 1, 1))
    inputs = np.repeat([[-2.0], [2.0]], 8, axis=0)  # a unit off in the first chunk and on in the second: 1/2 on average
    parameters = ([[[1.0]], [[0.0]]], [[0.0], [0.0]])
    theta = np.concatenate([np.ravel(array) for arrays in parameters for array in arrays])
    with precision("float64"):
        samples = Samples.from_arrays(inputs, chunk_size=8, dtype="float64")
        objective = Objective(network, (SquaredError(), KLSparsity(0.5, 1.0)))
        assert abs(evaluate(objective, theta, samples).terms[1]) < 1e-15
        alone = replace(samples, n_chunks=jnp.int32([1]), total_weight=jnp.asarray(8.0))
        assert evaluate(objective, theta, alone).terms[1] > 0.2  # an average over chunks would be as large


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_sparsity_refuses_units_without_a_range(activation):
    objective = Objective(Network((4, 5, 3), activation), (SquaredError(), KLSparsity(0.1, 3.0)))
    samples = Samples.from_arrays(np.ones((3, 4)), np.ones((3, 3)), chunk_size=4, dtype="float32")
    with pytest.raises(ValueError, match=f"'{activation}' units have no bounded range"):
        objective.evaluate(jnp.zeros(objective.network.n_parameters), samples)
