"""Kronecker factors: exact in the cases that allow it, positive definite where they approximate."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsam import reference
from sparsam._utils.jit import quick_jit
from sparsam.engine.curvature import factors as curvature
from sparsam.engine.curvature import kronecker
from sparsam.engine.curvature.factors import input_moments, kronecker_factors
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.reference.errors import error_of_each
from sparsam.reference.gaussian import most_likely_covariance
from sparsam.reference.heteroscedastic import covariances

few = settings.get_profile("few")


def factorize(objective, theta, samples):
    return kronecker_factors(objective, theta, samples, input_moments(samples), 0)


compiled_factors = quick_jit(factorize)


@quick_jit
def damped_product(objective, theta, samples, damping, vector):
    return factorize(objective, theta, samples).damped(damping).product(vector)


def factors_of(problem, **data):
    """Compute the factors of a problem in float64."""
    with precision("float64"):
        return jax.device_get(compiled_factors(problem.objective(), problem.theta, problem.samples(**data)))


def apply_inverse(problem, damping, vector, **data):
    """Multiply the damped inverse of a problem's factors by a vector, in float64."""
    with precision("float64"):
        samples = problem.samples(**data)
        return np.asarray(damped_product(problem.objective(), problem.theta, samples, damping, vector))


def gauss_newton(problem):
    """Compute by hand the Gauss-Newton matrix of E_1 for all weights, Jac' (curvature of E in the outputs' a) Jac."""
    network = problem.case.network
    coefs, intercepts = network.unravel(problem.theta)
    z, slopes = [problem.inputs[0]], []
    for W, b, activation in zip(coefs, intercepts, network.activations, strict=True):
        a = z[-1] @ W + b
        h, h_slope = reference.ACTIVATIONS.get(activation.name, (None, None))  # no single slope for softmax outputs
        if h:
            z.append(h(a))
            slopes.append(h_slope(z[-1]))
    y = reference.OUTPUT_ACTIVATIONS[network.output_activation](a)
    if network.output_activation == "softmax":
        slope = np.diag(y) - np.outer(y, y)
    else:
        slope = np.diag(reference.ACTIVATIONS[network.output_activation][1](y))
    by_outputs = curvature_by_outputs(problem, a, y, slope)
    by_layer = np.eye(len(y))  # da_L/da_l
    jacobian = np.empty((len(y), network.n_parameters))
    blocks = list(network.blocks.values())
    for l in reversed(range(len(coefs))):
        jacobian[:, blocks[l]] = np.einsum("kj,i->kij", by_layer, z[l]).reshape(len(y), -1)
        jacobian[:, blocks[len(coefs) + l]] = by_layer
        if l:
            by_layer = by_layer @ coefs[l].T * slopes[l - 1]
    return jacobian.T @ by_outputs @ jacobian


def curvature_by_outputs(problem, a, y, slope):
    """Compute the curvature of E_1 in the outputs' a from its definition."""
    options = problem.case.error.options
    if problem.case.error.name == "squared_error":
        return slope.T @ slope
    if problem.case.error.name == "cross_entropy":
        return slope  # canonical link: d(y - t)/da
    if problem.case.error.depends_on_input:
        return curvature_of_heteroscedastic_error(y, problem.targets[0], options["covariance_factor"])
    if problem.case.error.name == "gaussian_error":
        observed = ~np.isnan(problem.targets)
        C = options["covariance"]
        if isinstance(C, str):
            r = np.where(observed, y - np.nan_to_num(problem.targets), 0)
            C = most_likely_covariance(C, r, observed, np.ones(1), options.get("covariance_prior"))
        inverse = np.zeros((len(y), len(y)))
        block = np.ix_(observed[0], observed[0])
        inverse[block] = np.linalg.inv(C[block])
        return inverse
    # Fisher information: the mean of delta delta' over the possible labels.
    softmax = problem.case.network.output_activation == "softmax"
    labels = np.eye(len(y)) if softmax else np.array(list(itertools.product([0.0, 1.0], repeat=len(y))))
    E, delta = error_of_each(
        "noisy_cross_entropy", problem.case.network.output_activation, a[None], y[None], labels, options["transition"]
    )
    return (np.exp(-E) * delta.T) @ delta


def curvature_of_heteroscedastic_error(y, t, factor):
    """Compute the expected Hessian by means and log deviations, and the Hessian by coefficients."""
    K = len(t)
    u, d = np.linalg.solve(factor, t - y[:K]), y[K : 2 * K]
    curvature = np.zeros((len(y), len(y)))
    curvature[:K, :K] = np.linalg.inv(covariances(y[None], factor)[0])
    curvature[K : 2 * K, K : 2 * K] = 2 * np.eye(K)
    # (u_k - sum_j o_kj u_j)^2 exp(-2 d_k)/2 is quadratic in row k's coefficients.
    pairs = list(zip(*np.tril_indices(K, -1), strict=True))
    for i, (k, j) in enumerate(pairs):
        for l, (m, h) in enumerate(pairs):
            if k == m:
                curvature[2 * K + i, 2 * K + l] = u[j] * u[h] * np.exp(-2 * d[k])
    return curvature


def layers_of(network):
    """Return the indices of each layer's weights and biases in the flat vector."""
    indices = np.arange(network.n_parameters)
    depth = len(network.shapes)
    blocks = list(network.blocks.values())
    return [np.concatenate([indices[blocks[l]], indices[blocks[depth + l]]]) for l in range(depth)]


@pytest.mark.slow
def test_for_one_sample_the_factors_are_its_gauss_newton_matrix_layer_by_layer(some_float64_case):
    if some_float64_case.n_tangents or some_float64_case.network.tied:
        pytest.skip("two products are inverted in a basis in which they are nearly diagonal only")

    @few
    @given(problem=some_float64_case.problems(weighted=False), damping=st.sampled_from([1e-2, 1.0]))
    def check(problem, damping):
        check_one_sample(problem, damping)

    check()


@pytest.mark.slow
def test_for_one_sample_they_are_exact_in_a_quick_case_too(double_sparse_case, cross_entropy):
    case = type(double_sparse_case)(Network((4, 5, 4, 3), "tanh", "softmax"), error=cross_entropy)
    check_one_sample(case.problem(), 0.1)


def check_one_sample(problem, damping):
    problem = problem.rows([0])
    problem.hyperparameters.update(beta=0.0)
    options = problem.case.error.options
    if isinstance(options.get("covariance"), str) and "covariance_prior" not in options:
        pytest.skip("the covariance of one residual is singular")
    exact = gauss_newton(problem)
    layers = layers_of(problem.case.network)
    alphas = np.broadcast_to(problem.of_layers()["alpha"], len(layers)).tolist()
    if problem.case.error.depends_on_input:
        n_in, n_out = problem.case.network.shapes[-1]
        alphas[-1] = np.tile(np.where(np.arange(n_out) < 3, alphas[-1], 0.5), n_in + 1)
    ridges = [alpha + damping * np.trace(exact) / len(exact) for alpha in alphas]
    vector = np.random.default_rng(0).normal(size=len(exact))
    expected = np.empty_like(vector)
    for layer, ridge in zip(layers, ridges, strict=True):
        expected[layer] = np.linalg.solve(
            exact[np.ix_(layer, layer)] + np.diag(np.full(len(layer), ridge)), vector[layer]
        )
    got = apply_inverse(problem, damping, vector)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.fixture
def sparse_problem(double_sparse_case):
    return double_sparse_case.problem(beta=2.0, weighted=True)


def dense(layer):
    """Compute the layer's curvature (2) as a matrix, unit by unit."""
    U, V = layer.inputs.vectors, layer.outputs.vectors
    A = U * layer.inputs.values @ U.T
    G = np.diag(layer.outputs.values) if V is None else V * layer.outputs.values @ V.T
    matrix = np.kron(G, A)
    if layer.means is not None:
        v = U @ layer.means
        for j in range(len(G)):
            unit = slice(j * len(A), (j + 1) * len(A))
            matrix[unit, unit] += np.outer(v[:, j], v[:, j])
    return matrix


@pytest.mark.slow
@pytest.mark.parametrize("damping", [1e-4, 1e-2, 1.0])
def test_curvature_of_the_means_is_inverted_from_the_safe_side(sparse_problem, damping):
    """Interpolation makes the inverse smaller, but it stays positive definite."""
    layer = factors_of(sparse_problem).layers[0]
    n_in, n_out = layer.means.shape
    with precision("float64"):
        root = layer.inverse_root(jnp.asarray(damping))
        columns = np.eye(n_in * n_out).reshape(n_in * n_out, n_out, n_in).transpose(0, 2, 1)
        product = jax.vmap(lambda R: layer.inverse_product(R, damping, root))(jnp.asarray(columns))
    inverse = np.asarray(product).transpose(0, 2, 1).reshape(n_in * n_out, -1)
    exact = np.linalg.inv(dense(layer) + damping * np.eye(n_in * n_out))
    without = np.linalg.inv(dense(layer._replace(means=None)) + damping * np.eye(n_in * n_out))
    np.testing.assert_allclose(inverse, inverse.T, rtol=0, atol=1e-10 * np.abs(inverse).max())
    norm = np.linalg.norm(exact, 2)
    assert np.linalg.eigvalsh(inverse - exact).min() > -1e-10 * norm
    assert np.linalg.eigvalsh(without - inverse).min() > -1e-10 * norm
    assert np.linalg.norm(inverse - exact, 2) < 0.2 * np.linalg.norm(without - exact, 2) + 1e-10 * norm


@pytest.mark.slow
def test_inverse_is_exact_at_the_nodes(sparse_problem):
    layer = factors_of(sparse_problem).layers[0]
    layer = layer._replace(outputs=layer.outputs._replace(values=np.full_like(layer.outputs.values, 0.3)))
    with precision("float64"):
        root = layer.inverse_root(jnp.asarray(0.1))
        R = np.random.default_rng(0).normal(size=layer.means.shape)
        got = np.asarray(layer.inverse_product(jnp.asarray(R), 0.1, root))
    expected = np.linalg.solve(dense(layer) + 0.1 * np.eye(R.size), R.T.ravel()).reshape(R.T.shape).T
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.slow
def test_inverse_is_exact_where_each_row_has_a_damping_of_its_own(sparse_problem):
    """Such a damping comes from weight decay with scaled inputs, in the basis of A's vectors."""
    layer = factors_of(sparse_problem).layers[0]._replace(means=None)
    n_in, n_out = layer.inputs.values.size, layer.outputs.values.size
    damping = np.linspace(0.1, 2.0, n_in)
    R = np.random.default_rng(0).normal(size=(n_in, n_out))
    with precision("float64"):
        got = np.asarray(layer.inverse_product(jnp.asarray(R), jnp.asarray(damping)[:, None], None))
    of_rows = layer.inputs.vectors * damping @ layer.inputs.vectors.T
    expected = np.linalg.solve(dense(layer) + np.kron(np.eye(n_out), of_rows), R.T.ravel()).reshape(R.T.shape).T
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@pytest.mark.slow
def test_curvature_by_a_mean_is_the_second_derivative(double_sparse_case):
    """With respect to the mean of z; for tanh units the probabilities are p = (z + 1)/2."""
    with precision("float64"):
        term = KLSparsity(jnp.asarray(0.2), jnp.asarray(3.0))
        z = jnp.asarray([-0.5, 0.1, 0.7])

        def value(z):
            p = (z + 1) / 2 if double_sparse_case.network.hidden_activation == "tanh" else z
            return term.value(((p, 1 - p),), None)

        p = (z + 1) / 2
        (got,) = term.unit_curvature(double_sparse_case.network, ((p, 1 - p),))
        np.testing.assert_allclose(got, np.diag(jax.hessian(value)(z)), rtol=1e-12)


def test_no_penalty_no_curvature(sparse_case):
    term = KLSparsity(jnp.float32(0.2), jnp.float32(0.0))
    (got,) = term.unit_curvature(sparse_case.network, ((jnp.zeros(2), jnp.ones(2)),))
    np.testing.assert_array_equal(got, [0, 0])


@pytest.mark.slow
def test_factors_do_not_depend_on_the_chunks(sparse_problem):
    vector = np.random.default_rng(0).normal(size=sparse_problem.case.network.n_parameters)
    products = [apply_inverse(sparse_problem, 0.1, vector, chunk_size=size) for size in (23, 8)]
    np.testing.assert_allclose(*products, rtol=1e-10)


@pytest.mark.slow
def test_weights_are_repetitions(sparse_problem):
    counts = np.arange(len(sparse_problem.inputs)) % 4
    weighted = sparse_problem.replace(sample_weight=counts.astype(float))
    repeated = sparse_problem.replace(
        inputs=np.repeat(sparse_problem.inputs, counts, axis=0),
        targets=np.repeat(sparse_problem.targets, counts, axis=0),
        sample_weight=None,
    )
    vector = np.random.default_rng(0).normal(size=sparse_problem.case.network.n_parameters)
    products = [apply_inverse(problem, 0.1, vector) for problem in (weighted, repeated)]
    np.testing.assert_allclose(*products, rtol=1e-10)


@pytest.mark.slow
def test_early_factors_use_a_part_of_the_samples():
    n_samples, n_buffered = 4 * curvature.ENOUGH, 2
    network = Network((3, 2, 3))
    rng = np.random.default_rng(0)
    inputs, theta = rng.uniform(size=(n_samples, 3)), rng.normal(size=network.n_parameters)
    objective = Objective(network, (SquaredError(), WeightDecay(1e-4), KLSparsity(0.1, 3.0)))
    place = np.arange(n_samples) % (n_samples // n_buffered)
    factorize = quick_jit(kronecker_factors)
    with precision("float64"):

        def factors(rows, chunk_size, iteration):
            samples = Samples.from_arrays(rows, chunk_size=chunk_size, dtype="float64")
            return jax.device_get(factorize(objective, theta, samples, of_inputs, iteration))

        everything = Samples.from_arrays(inputs, chunk_size=n_samples // n_buffered, dtype="float64")
        of_inputs = input_moments(everything)
        for iteration, parts in ((0, 1), (curvature.ITERATIONS, 2), (1000, curvature.PARTS)):
            of_part = inputs[place < n_samples // n_buffered // curvature.PARTS * parts]
            got = factors(inputs, n_samples // n_buffered, iteration)
            expected = factors(of_part, 1023, 0)  # chunks of that size are not divided
            for layer, expected_layer in zip(got.layers, expected.layers, strict=True):
                for spectra in ("inputs", "outputs"):
                    values = [getattr(one, spectra).values for one in (layer, expected_layer)]
                    np.testing.assert_allclose(*values, rtol=1e-9, atol=1e-15)


@pytest.mark.slow
def test_saturated_and_dead_units_leave_the_factors_finite(sparse_case):
    problem = sparse_case.problem(beta=2.0)
    for scale in (0.0, 1e4):
        with precision(sparse_case.dtype):
            theta = np.asarray(scale * problem.theta, sparse_case.dtype)
            product = damped_product(problem.objective(), theta, problem.samples(), theta.dtype.type(1e-5), theta + 1)
        assert np.all(np.isfinite(product))


def test_spectrum_of_a_matrix_and_of_a_diagonal(dtype):
    with precision(dtype):
        matrix = jnp.asarray([[2.0, 1.0], [1.0, 2.0]])
        spectrum = kronecker.Spectrum.of(matrix)
        np.testing.assert_allclose(spectrum.values, [1, 3], rtol=1e-6)
        np.testing.assert_allclose(spectrum.back(spectrum.to(matrix)), matrix, rtol=1e-6)
        diagonal = kronecker.Spectrum.of(jnp.asarray([1.0, 5.0]))
        assert diagonal.vectors is None
        np.testing.assert_array_equal(diagonal.back(diagonal.to(matrix)), matrix)


def full_factors(problem, objective):
    """Compute the factors of an objective at the weights of a problem, without a compiled program."""
    samples = problem.samples()
    sums = samples.sum_over_chunks(lambda chunk: curvature.moments(objective, problem.parameters, chunk))
    means = jax.tree.map(lambda total: total / sums.weight, sums)
    return curvature.assemble(objective, problem.parameters, means, input_moments(samples))


def wide_factors(problem, objective=None):
    """Compute factors of the kind that wide layers have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curvature, "WIDEST", 0)
        return full_factors(problem, problem.objective() if objective is None else objective)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("sparsity", ["kl", "l1"])
def test_diagonal_factors_of_wide_layers_do_not_couple_units_and_are_positive_definite(sparsity, tied, case_of):
    case = case_of(Network((4, 5, 4), "relu" if sparsity == "l1" else "logistic", "identity", tied), sparsity=sparsity)
    problem = case.problem(seed=3, beta=0.5)
    with precision("float64"):
        inverse = wide_factors(problem).damped(jnp.asarray(0.1))
        matrix = np.column_stack([inverse.product(column) for column in np.eye(case.network.n_parameters)])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > 0
    weights = np.arange(4 * 5).reshape(4, 5)
    for i, j in itertools.combinations(range(5), 2):
        assert np.all(np.abs(matrix[np.ix_(weights[:, i], weights[:, j])]) < 1e-14)


def test_diagonal_factors_are_the_diagonals_of_the_full_ones(case_of):
    problem = case_of(Network((4, 5, 4), "relu", "identity"), sparsity="l1").problem(seed=3, beta=0.5)
    with precision("float64"):
        full, wide = factors_of(problem), wide_factors(problem)
    for spectrum, diagonal in (
        (full.layers[0].outputs, wide.layers[0].outputs),
        (full.layers[1].inputs, wide.layers[1].inputs),
    ):
        assert diagonal.vectors is None
        matrix = spectrum.vectors * spectrum.values @ spectrum.vectors.T
        np.testing.assert_allclose(diagonal.values, np.diag(matrix), rtol=1e-9)


def test_the_inverse_of_a_penalty_on_means_is_exact_where_units_are_not_coupled():
    rng = np.random.default_rng(1)
    p, q, B = rng.uniform(0.1, 2, 4), rng.uniform(0.1, 2, 3), rng.normal(size=(4, 3))
    R, damping = rng.normal(size=(4, 3)), np.array([[0.3]])
    with precision("float64"):
        spectra = [kronecker.Spectrum(jnp.asarray(values), None) for values in (p, q)]
        layer = kronecker.Layer(*spectra, jnp.asarray(B))
        result = np.asarray(layer.inverse_product(jnp.asarray(R), damping, layer.inverse_root(damping)))
    for j in range(3):
        matrix = np.diag(p * q[j] + 0.3) + np.outer(B[:, j], B[:, j])
        np.testing.assert_allclose(result[:, j], np.linalg.solve(matrix, R[:, j]), rtol=1e-12)


@pytest.mark.parametrize("wide", [False, True])
def test_rounded_kinks_of_a_penalty_add_its_curvature(case_of, wide):
    # The Hessian of the penalty by the encoder's biases is diagonal, since each unit has its own.
    problem = case_of(Network((4, 5, 4), "relu", "identity"), sparsity="l1").problem(seed=3, beta=0.5)
    width = 0.8
    with precision("float64"):
        rounded = replace(problem.objective(), kink_width=jnp.asarray(width))
        without = replace(rounded, terms=rounded.terms[:-1])
        factorize = wide_factors if wide else full_factors
        traces = [jnp.sum(factorize(problem, of).layers[0].outputs.values) for of in (rounded, without)]
        penalty, samples = replace(rounded, terms=rounded.terms[-1:]), problem.samples()
        blocks = problem.case.network.blocks

        def gradient(biases):
            theta = jnp.asarray(problem.theta).at[blocks["b1"]].set(biases)
            return penalty.evaluate(theta, samples).gradient[blocks["b1"]]

        hessian = np.asarray(jax.jacfwd(gradient)(jnp.asarray(problem.theta[blocks["b1"]])))
    assert hessian.max() > 0
    np.testing.assert_allclose(hessian, np.diag(np.diag(hessian)), atol=1e-12)
    assert float(traces[0] - traces[1]) == pytest.approx(np.trace(hessian), rel=1e-9)
