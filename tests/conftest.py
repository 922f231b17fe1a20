"""Table of networks and objectives for the engine's tests: each property is one test over the whole table.

A test takes the fixture `case` (a row of the table, in either precision) and draws `case.problems()`: weights, data and
hyperparameters. All are exact in float32, so that both precisions and `sparsam.reference` use the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from sparsam import reference
from sparsam._utils.jit import quick_jit
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.error_functions import (
    CrossEntropy,
    GaussianError,
    HeteroscedasticGaussianError,
    NoisyCrossEntropy,
    ProfileGaussianError,
    SquaredError,
)
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import CovarianceDecay, KLSparsity, L1Sparsity, TangentPropagation, WeightDecay
from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.stop_reasons import STOP_REASONS
from sparsam.engine.training.train import _TrainingLoop, train

evaluate = quick_jit(Objective.evaluate)

LAYER_SIZES = ((4, 3), (4, 5, 3), (4, 5, 4, 3), (4, 5, 4, 6, 3))  # always several outputs
N_TARGETS = 3
UNROLLED_SIZES = (4, 5, 3, 6, 4)  # of a stack of two autoencoders
N_SAMPLES = 23
COVARIANCE_ALPHA = 0.5
CHUNK_SIZE = 8  # does not divide N_SAMPLES


@dataclass(frozen=True)
class Error:
    """An error function of the table, with its name and options in `sparsam.reference.network_cost`."""

    name: str
    make: Callable  # makes the term for a problem
    options: dict = field(default_factory=dict)  # of network_cost, besides the name
    targets: str = "any"  # or "probabilities" (half of them labels), "labels", or "missing" (some are missing)
    label: str = ""
    n_outputs: int = N_TARGETS  # more if the covariance is an output, too

    @property
    def depends_on_input(self):
        """Whether the outputs beyond the means are a covariance."""
        return self.n_outputs > N_TARGETS

    def __str__(self):
        return self.label or self.name

    def __hash__(self):
        return hash(str(self))


T2 = [[0.875, 0.125], [0.25, 0.75]]
T3 = [[0.75, 0.125, 0.125], [0.25, 0.5, 0.25], [0.0, 0.125, 0.875]]
COVARIANCE = np.array([[1.0, 0.5, -0.25], [0.5, 2.0, 0.25], [-0.25, 0.25, 0.5]])
PATTERNS = np.array([[1.0, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]])
PATTERN_OF_ROW = (0, 0, 1, 0, 0, 2, 0, 3)  # in turns: of few rows without gaps a covariance would be singular
PRIOR = (2.0, 0.5 * COVARIANCE)  # nu, Psi
FACTOR = np.array([[1.0, 0, 0], [0.5, 1.25, 0], [-0.25, 0.25, 0.75]])


def _with_prior(problem):
    nu, psi = PRIOR
    S = problem.total_weight
    return ProfileGaussianError("full", PATTERNS, (nu + len(psi) + 1) / S, psi / S)


SQUARED_ERROR = Error("squared_error", lambda problem: SquaredError())
CROSS_ENTROPY = Error("cross_entropy", lambda problem: CrossEntropy(), targets="probabilities")
ERRORS = {
    "logistic": (
        CROSS_ENTROPY,
        Error("noisy_cross_entropy", lambda problem: NoisyCrossEntropy(np.array(T2)), {"transition": T2}, "labels"),
    ),
    "softmax": (
        CROSS_ENTROPY,
        SQUARED_ERROR,
        Error("noisy_cross_entropy", lambda problem: NoisyCrossEntropy(np.array(T3)), {"transition": T3}, "labels"),
    ),
    "identity": (
        Error("gaussian_error", lambda problem: GaussianError(COVARIANCE), {"covariance": COVARIANCE}),
        Error(
            "gaussian_error",
            lambda problem: GaussianError(COVARIANCE, PATTERNS),
            {"covariance": COVARIANCE},
            "missing",
            "gaussian-missing",
        ),
        *(
            Error(
                "gaussian_error",
                lambda problem, structure=structure, missing=missing: ProfileGaussianError(
                    structure, PATTERNS if missing else None
                ),
                {"covariance": structure},
                "missing" if missing else "any",
                f"gaussian-{structure}" + ("-missing" if missing else ""),
            )
            for structure, missing in (("full", False), ("full", True), ("diag", True), ("spherical", True))
        ),
        Error(
            "gaussian_error",
            _with_prior,
            {"covariance": "full", "covariance_prior": PRIOR},
            "missing",
            "gaussian-full-prior",
        ),
        *(
            Error(
                "gaussian_error",
                lambda problem, missing=missing: HeteroscedasticGaussianError(FACTOR, missing),
                {"covariance_factor": FACTOR},
                "missing" if missing else "any",
                "gaussian-input" + ("-missing" if missing else ""),
                n_outputs=9,
            )
            for missing in (False, True)
        ),
    ),
}
"""The other error functions, by their activation of the outputs."""
QUICK = ("squared_error", "cross_entropy", "noisy_cross_entropy", "gaussian-full", "gaussian-input-missing")


@dataclass(frozen=True)
class Case:
    """A row of the table: an error function, a network, the penalties it allows, and a precision."""

    network: Network
    dtype: str = "float64"
    error: Error = SQUARED_ERROR
    n_tangents: int = 0
    tangents_of: str = "outputs"
    unrolled: bool = False  # a stack of autoencoders: each layer has its own alpha, each encoder layer a rho and beta
    sparsity: str = "kl"

    @property
    def depth(self):
        return len(self.network.layer_sizes) - 2

    @property
    def sparse(self):
        """Whether there are hidden units, with a range on which KL sparsity is defined, or those of L1 sparsity."""
        if self.unrolled or self.sparsity == "l1":
            return True
        return self.depth > 0 and self.network.hidden_activation in ("logistic", "tanh")

    def tolerance(self, float64, float32):
        # A full covariance has an error of some units in the last place, and with missing targets that of an iteration;
        # the inverse magnifies both.
        magnified = 100 if str(self.error).startswith("gaussian-full") else 1
        return magnified * {"float64": float64, "float32": float32}[self.dtype]

    def problems(self, weighted=None):
        """Draw a `Problem`; values vary but shapes do not, so that nothing is compiled twice."""

        def number(low, high):
            return st.floats(low, high, width=32)

        return st.builds(
            self.problem,
            seed=st.integers(0, 2**32 - 1),
            weighted=st.booleans() if weighted is None else st.just(weighted),
            scale=number(0.25, 1.0),
            alpha=number(0.0, 1.0),
            rho=number(0.0625, 0.9375),
            beta=st.just(0.0) | number(0.0625, 4.0) if self.sparse else st.just(0.0),
            tangent_weight=number(0.0625, 2.0) if self.n_tangents else st.just(0.0),
        )

    def problem(self, seed=0, weighted=False, scale=1.0, alpha=0.0625, rho=0.25, beta=0.0, tangent_weight=0.5):
        """Draw one problem."""
        rng = np.random.default_rng(seed)
        n_in = self.network.layer_sizes[0]

        def draw(draw_from, low, high, *shape):
            return draw_from(low, high, shape).astype(np.float32).astype(float)

        while True:
            problem = Problem(
                case=self,
                theta=self.moderate(draw(rng.uniform, -scale, scale, self.network.n_parameters)),
                inputs=draw(rng.normal, 0.0, 1.0, N_SAMPLES, n_in),
                targets=self.targets(draw(rng.uniform, 0.0, 1.0, N_SAMPLES, self.n_targets)),
                sample_weight=draw(rng.uniform, -1.0, 3.0, N_SAMPLES).clip(0) if weighted else None,
                hyperparameters={"alpha": alpha, "rho": rho, "beta": beta, "tangent_weight": tangent_weight},
                tangents=draw(rng.normal, 0.0, 1.0, N_SAMPLES, self.n_tangents, n_in) if self.n_tangents else None,
            )
            if problem.distance_to_kinks() > 0.01 * scale:
                return problem

    @property
    def n_targets(self):
        return N_TARGETS if self.error.depends_on_input else self.network.layer_sizes[-1]

    def moderate(self, theta):
        """Divide the weights of the outputs that give a covariance by 8, so that it is not nearly singular."""
        if not self.error.depends_on_input:
            return theta
        *blocks, last = self.network.unravel(theta.copy())[0]
        last[:, N_TARGETS:] /= 8
        return np.concatenate([*map(np.ravel, (*blocks, last)), theta[self.network.blocks["b1"].start :]])

    def targets(self, uniform):
        """Make targets for the error function from numbers in [0, 1]."""
        softmax = self.network.output_activation == "softmax"
        labels = np.eye(uniform.shape[1])[uniform.argmax(axis=1)] if softmax else np.round(uniform)
        if self.error.targets == "labels":
            return labels
        if self.error.targets == "missing":
            return np.where(PATTERNS[np.resize(PATTERN_OF_ROW, len(uniform))], uniform, np.nan)
        targets = uniform / uniform.sum(axis=1, keepdims=True) if softmax else uniform  # rows sum to 1
        if self.error.targets == "probabilities" or softmax:
            targets = np.where(np.arange(len(uniform))[:, None] % 2, labels, targets)
        return targets.astype(np.float32).astype(float)


@dataclass(frozen=True)
class Problem:
    """A case with numbers; its methods return float64."""

    case: Case
    theta: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    sample_weight: np.ndarray | None
    hyperparameters: dict = field(default_factory=dict)
    tangents: np.ndarray | None = None

    def replace(self, **changes):
        return replace(self, **changes)

    def rows(self, index):
        """Return the same problem with some of the rows and their weights."""

        def select(array):
            return None if array is None else array[index]

        return self.replace(
            inputs=select(self.inputs),
            targets=select(self.targets),
            sample_weight=select(self.sample_weight),
            tangents=select(self.tangents),
        )

    def distance_to_kinks(self):
        """Return the smallest distance of a pre-activation from a kink, where there is no gradient."""
        z, distance = self.inputs, np.inf
        parameters = self.case.network.unravel(self.theta)
        for coef, intercept, h in zip(*parameters, self.case.network.activations, strict=True):
            a = z @ coef + intercept
            kinks = {"relu": [0.0], "satlin": [0.0, 1.0]}.get(h.name, [])
            distance = min([distance, *(np.abs(a - kink).min() for kink in kinks)])
            z = reference.OUTPUT_ACTIVATIONS[h.name](a)
        return distance

    @property
    def parameters(self):
        return self.case.network.unravel(self.theta)

    @property
    def total_weight(self):
        return len(self.inputs) if self.sample_weight is None else self.sample_weight.sum()

    def objective(self):
        """Make the engine's objective."""
        alpha, rho, beta, tangent_weight = self.of_layers().values()
        terms = (self.case.error.make(self), WeightDecay(alpha))
        if self.case.error.depends_on_input:
            of_means = (alpha * (np.arange(self.case.error.n_outputs) < N_TARGETS),)
            alphas = (alpha,) * self.case.depth + of_means
            terms = (terms[0], WeightDecay(alphas), CovarianceDecay(COVARIANCE_ALPHA, N_TARGETS))
        if self.case.unrolled:
            n_encoders = len(self.case.network.shapes) // 2
            terms += (KLSparsity(rho[:n_encoders], beta[:n_encoders], tuple(range(n_encoders))),)
        elif self.case.sparse:
            terms += (L1Sparsity(beta) if self.case.sparsity == "l1" else KLSparsity(rho, beta),)
        terms += (TangentPropagation(tangent_weight, self.case.tangents_of),) if self.case.n_tangents else ()
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, self.case.dtype), Objective(self.case.network, terms))

    def of_layers(self):
        """Return the hyperparameters, one for each layer if the network is an unrolled stack, half of the last one's.

        rho and beta are those of the hidden layers; beta is 0 for the decoder's.
        """
        if not self.case.unrolled:
            return self.hyperparameters
        alpha, rho, beta, tangent_weight = self.hyperparameters.values()
        n_layers = len(self.case.network.shapes)
        halves = 0.5 ** np.arange(n_layers)
        encodes = np.arange(n_layers - 1) < n_layers // 2
        decays = np.arange(n_layers) < self.case.network.n_free
        return {
            "alpha": tuple(alpha * halves * decays),
            "rho": tuple(rho * halves[:-1]),
            "beta": tuple(beta * halves[:-1] * encodes),
            "tangent_weight": tangent_weight,
        }

    def samples(self, chunk_size=CHUNK_SIZE):
        return Samples.from_arrays(
            self.inputs,
            self.targets,
            self.sample_weight,
            self.tangents,
            chunk_size=chunk_size,
            dtype=self.case.dtype,
        )

    def engine(self, *, samples=None, chunk_size=CHUNK_SIZE):
        """Return the engine's function theta -> (J, gradient), in the precision of the case."""
        with precision(self.case.dtype):
            objective, samples = self.objective(), samples or self.samples(chunk_size)

        def value_and_gradient(theta):
            with precision(self.case.dtype):
                value, gradient, _ = evaluate(objective, jnp.asarray(theta, self.case.dtype), samples)
                return float(value), np.asarray(gradient, dtype=float)

        return value_and_gradient

    def evaluate(self, **options):
        """Compute J and its gradient with the engine, at the problem's weights."""
        return self.engine(**options)(self.theta)

    def reference(self, theta=None):
        """Compute J and its gradient with the reference, derived by hand."""
        network = self.case.network
        coefs, intercepts = network.unravel(self.theta if theta is None else theta)
        cost, coef_gradients, intercept_gradients = reference.network_cost(
            coefs,
            intercepts,
            self.inputs,
            self.targets,
            hidden_activation=network.hidden_activation,
            output_activation=network.output_activation,
            error=self.case.error.name,
            **self.case.error.options,
            covariance_alpha=COVARIANCE_ALPHA if self.case.error.depends_on_input else 0.0,
            sample_weight=self.sample_weight,
            tangents=self.tangents,
            tangents_of=self.case.tangents_of,
            sparsity=self.case.sparsity,
            **self.of_layers(),
        )
        coef_gradients, intercept_gradients = network.tie_gradient(Parameters(coef_gradients, intercept_gradients))
        return cost, np.concatenate([g.ravel() for g in (*coef_gradients, *intercept_gradients)])

    def size_of_what_is_added(self):
        """Sum the norms of the samples' parts of the gradient.

        With G = sum_n s_n g_n / S the part of a sample is g_n = S dG/ds_n + G. This holds for sparsity and covariances
        of all samples, too, if g_n is what a change of s_n adds, since G does not depend on the scale of the weights.
        """
        weights = np.ones(len(self.inputs)) if self.sample_weight is None else self.sample_weight
        (_, gradient), step, size = self.reference(), 1e-4, 0.0
        for n in np.flatnonzero(weights):
            more = weights + step * (np.arange(len(weights)) == n)
            slope = (self.replace(sample_weight=more).reference()[1] - gradient) / step
            size += weights[n] / weights.sum() * np.linalg.norm(weights.sum() * slope + gradient)
        return size

    def difference(self, this, other, by_block=True):
        """Return the largest relative difference of two (value, gradient), of the values and of each gradient block.

        The difference of a block is relative to the larger of its norm and 1e-3 of the norm of the whole gradient.
        """
        norm = np.linalg.norm
        (value, gradient), (expected, expected_gradient) = this, other
        floor = 1e-3 * norm(expected_gradient)
        blocks = self.case.network.blocks.values() if by_block else [slice(None)]
        errors = [
            norm(gradient[block] - expected_gradient[block]) / max(norm(expected_gradient[block]), floor)
            for block in blocks
        ]
        return max(abs(value - expected) / abs(expected), *errors)


def table(*dtypes):
    """Yield all activations, depths and precisions with the squared error; then the other rows.

    The fast ones are two pairs of activations in float64, with one and two hidden layers, and float32 without hidden
    layers.
    """
    for depth, sizes in enumerate(LAYER_SIZES):
        for i, hidden in enumerate(("logistic", "tanh", "relu", "identity") if depth else ("any",)):
            for j, output in enumerate(("logistic", "identity")):
                network = Network(sizes, hidden if depth else "logistic", output)
                for dtype in dtypes:
                    fast = depth == 0 or (i == j and depth == 1 + j)
                    yield pytest.param(
                        Case(network, dtype),
                        marks=[] if fast and (dtype == "float64" or depth == 0) else [pytest.mark.slow],
                        id=f"{depth}-{hidden}-{output}-{dtype}",
                    )
    yield from other_errors(*dtypes)
    yield from with_tangents(*dtypes)
    yield from unrolled(*dtypes)
    yield from with_l1_sparsity(*dtypes)


def with_l1_sparsity(*dtypes):
    """Yield autoencoders with ReLU units, linear outputs and L1 sparsity, also with tied weights."""
    for tied in (False, True):
        for dtype in dtypes:
            yield pytest.param(
                Case(Network((4, 5, 4), "relu", "identity", tied), dtype, sparsity="l1"),
                marks=[pytest.mark.slow] if tied or dtype == "float32" else [],
                id=f"l1-relu-identity{'-tied' if tied else ''}-{dtype}",
            )


def unrolled(*dtypes):
    """Yield unrolled stacks of autoencoders, with other activations in each layer, also with tied weights."""
    for hidden, output, n_tangents, tied in (
        (("tanh", "logistic", "relu"), "logistic", 0, False),
        (("logistic", "tanh", "identity"), "identity", 2, False),
        (("tanh", "logistic", "tanh"), "logistic", 0, True),
        (("logistic",), "identity", 0, True),
        (("logistic", "tanh", "satlin"), "satlin", 0, False),
    ):
        sizes = (4, 5, 4) if len(hidden) == 1 else (4, 5, 3, 5, 4) if tied else UNROLLED_SIZES
        for dtype in dtypes:
            yield pytest.param(
                Case(Network(sizes, hidden, output, tied), dtype, n_tangents=n_tangents, unrolled=True),
                marks=[] if dtype == "float64" and len(hidden) == 3 and not n_tangents else [pytest.mark.slow],
                id=f"unrolled-{'-'.join(hidden)}-{output}{'-tied' if tied else ''}-{dtype}",
            )


def with_tangents(*dtypes):
    """Yield tangent propagation with each kind of outputs and one to three hidden layers, with varying activations."""
    pairs = [
        ("identity", SQUARED_ERROR, "outputs"),
        ("logistic", CROSS_ENTROPY, "outputs"),
        ("softmax", CROSS_ENTROPY, "outputs"),
        ("softmax", CROSS_ENTROPY, "pre_activations"),
    ]
    for turn, (output, error, of) in enumerate(pairs):
        for depth in (1, 2, 3):
            if depth > 1 and of == "pre_activations":
                continue  # this is Omega with identity outputs
            hidden = ("tanh", "logistic", "relu")[(depth + turn) % 3]
            for dtype in dtypes:
                if depth > 1 and dtype == "float32":
                    continue  # effects of the precision do not depend on the depth
                yield pytest.param(
                    Case(Network(LAYER_SIZES[depth], hidden, output), dtype, error, 2, of),
                    marks=[] if (dtype, depth, output) == ("float64", 1, "softmax") else [pytest.mark.slow],
                    id=f"{depth}-{hidden}-{output}-tangents-{of}-{dtype}",
                )


def other_errors(*dtypes):
    """Yield the other pairs of error and outputs, at several depths and in every precision.

    The layers below depend on the error only through delta at the outputs, so each pair has varying hidden activations.
    The fast ones have no hidden layers, except for one.
    """
    pairs = [(error, output) for output, errors in ERRORS.items() for error in errors]
    for turn, (error, output) in enumerate(pairs):
        # The likelihood does not interact with the depth, so no and two hidden layers suffice.
        depths = (0, 2) if error.name.startswith(("gaussian", "noisy")) else range(len(LAYER_SIZES))
        for depth in depths:
            sizes = (*LAYER_SIZES[depth][:-1], error.n_outputs)
            hidden = ("identity", "logistic", "tanh", "relu")[(depth + turn) % 4] if depth else "any"
            network = Network(sizes, hidden if depth else "logistic", output)
            for dtype in dtypes:
                shallow = depth == 0 and str(error) in QUICK
                fast = dtype == "float64" and (shallow or (depth, error, output) == (1, CROSS_ENTROPY, "softmax"))
                yield pytest.param(
                    Case(network, dtype, error),
                    marks=[] if fast else [pytest.mark.slow],
                    id=f"{depth}-{hidden}-{output}-{error}-{dtype}",
                )


@pytest.fixture(scope="module")
def without_factors():
    """Train without factors of the curvature, which compiles in half the time; for tests of what follows a training."""
    begin = _TrainingLoop.begin

    def begin_without(loop):
        loop.solver = "lbfgs"
        begin(loop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_TrainingLoop, "begin", begin_without)
        yield


@pytest.fixture(scope="session", params=["float64", "float32"])
def dtype(request):
    return request.param


def a_third_of(rows):
    """Mark two rows of three as exhaustive."""
    for i, row in enumerate(rows):
        yield pytest.param(*row.values, id=row.id, marks=[*row.marks, *([pytest.mark.exhaustive] if i % 3 else [])])


@pytest.fixture(scope="session", params=[*table("float64"), *a_third_of(table("float32"))])
def case(request):
    """Return a row of the table in float64, or every third one in float32, all in an exhaustive run."""
    return request.param


@pytest.fixture(scope="session", params=table("float64"))
def float64_case(request):
    return request.param


@pytest.fixture(scope="session", params=a_third_of(table("float64")))
def some_float64_case(request):
    """A row of the table, of every third one unless the run is exhaustive: for what needs programs of its own."""
    return request.param


@pytest.fixture(scope="session")
def case_of():
    """Return the class of the rows, for rows of one's own."""
    return Case


@pytest.fixture(scope="session")
def sparse_case(dtype):
    """Return one row of the table, for tests that compile their own programs."""
    return Case(Network(LAYER_SIZES[1], "tanh", "logistic"), dtype)


@pytest.fixture(scope="session")
def double_sparse_case():
    """Return the same row, only in float64."""
    return Case(Network(LAYER_SIZES[1], "tanh", "logistic"))


STREAMED = (
    Case(Network(LAYER_SIZES[1], "tanh", "logistic")),  # sparse: two passes
    Case(Network(LAYER_SIZES[2], "tanh", "identity"), "float64", ERRORS["identity"][3]),  # C unknown, gaps in t
    Case(Network(LAYER_SIZES[1], "tanh", "softmax"), "float64", CROSS_ENTROPY, 2, "pre_activations"),
    Case(Network(LAYER_SIZES[1], "logistic", "softmax"), "float32", CROSS_ENTROPY, 2),
    Case(Network((4, 5, 4), "relu", "identity"), sparsity="l1"),
)


@pytest.fixture(scope="session", params=STREAMED, ids=["sparse", "gaussian", "tangents", "float32", "l1"])
def streamed_case(request):
    """Return a row of the table; these rows differ in the sums of a pass over the data."""
    return request.param


@pytest.fixture(scope="session")
def cross_entropy():
    return CROSS_ENTROPY


TRAINED = Network((6, 3, 6))


@pytest.fixture(scope="session")
def training_job():
    """Return a function that makes arguments of `train`; with one shape, tests of a precision share one program."""

    def job(dtype="float32", *, n_samples=45, alpha=1e-3, rho=0.1, beta=0.5, seed=0, scale=1.0, mesh=None):
        rng = np.random.default_rng(seed)
        inputs = scale * rng.uniform(0.1, 0.9, (n_samples, 6))
        theta = TRAINED.initialize(rng)
        with precision(dtype):
            samples = Samples.from_arrays(inputs, chunk_size=16, dtype=dtype, mesh=mesh)
        return Objective(TRAINED, (SquaredError(), WeightDecay(alpha), KLSparsity(rho, beta))), samples, theta

    return job


@pytest.fixture(scope="session")
def run(training_job):
    """Return a function that trains on a job, and checks what holds for every training."""

    def run(dtype="float32", *, options=None, **data):
        options = dict(options or {})
        if "callback" in options:
            options["callbacks"] = [FunctionCallback(options.pop("callback"))]
        training = train(*training_job(dtype, **data), dtype=dtype, **options)
        assert training.stop_reason in STOP_REASONS
        assert training.theta.dtype == dtype
        assert np.all(np.isfinite(training.theta))
        return training

    return run
