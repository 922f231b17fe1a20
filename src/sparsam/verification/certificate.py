"""The gradient certificate: a comparison of three derivations of the same gradient.

They are by hand (`sparsam.reference`), by automatic differentiation (the engine), and numerical. Since they are
independent, the gradient is right if they agree. The engine can evaluate it in several ways, which must agree too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import cast

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray

from sparsam import reference
from sparsam._utils.jit import quick_jit
from sparsam._utils.worker_threads import worker_threads
from sparsam.engine.data.batch import Batch
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import (
    HeteroscedasticGaussianError,
    NoisyCrossEntropy,
    ProfileGaussianError,
    SquaredError,
)
from sparsam.engine.objective.objective import Evaluation, Objective, Term
from sparsam.engine.objective.penalties import CovarianceDecay, KLSparsity, L1Sparsity, TangentPropagation, WeightDecay
from sparsam.engine.training.callbacks import FunctionCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.state import TrainingState
from sparsam.engine.training.streaming import StreamedSamples, evaluate_stream
from sparsam.engine.training.train import train
from sparsam.reference.gradcheck import numerical_gradient, relative_difference
from sparsam.verification.comparison import (
    BOUNDS,
    Comparison,
    NumericalGradients,
    compare,
    compare_engine,
    compiled_evaluate,
    numerical_gradients_of_terms,
    random_weights,
)

__all__ = ["BOUNDS", "Comparison", "certify"]

COMBINATIONS = (
    ("error",),
    ("weight decay",),
    ("sparsity",),
    ("error", "weight decay"),
    ("error", "weight decay", "sparsity"),
)
"""Combinations of the notes' terms: each alone, then one after the other."""

MAX_ROWS = 100  # more rows make numerical gradients slower, but not better
BATCH_ROWS = 30
FEW_FEATURES = 8  # of the networks with targets: the time of a numerical gradient grows with the number of weights

_evaluate_divided = quick_jit(on_every_device(Objective.evaluate), runs_once=True)


def certify(
    inputs: ArrayLike,
    *,
    n_components: int = 25,
    rho: float = 0.01,
    beta: float = 3.0,
    alpha: float = 1e-4,
    random_state: int = 0,
) -> Iterator[Comparison]:
    """Compare the gradients of J and of each of its terms, one comparison at a time.

    The order is the notes': first the quadratic x1^2 + 3 x1 x2 at (4, 10), where the difference is known to be
    2.1452e-12; then the terms of the sparse autoencoder's J, alone and in sums; then J for rows that are read in
    batches, for rows divided among devices, and after a resumed training; then a deeper network with tanh units, linear
    outputs and sample weights; then ReLU units with L1 sparsity, at weights away from kinks; then noise of unknown
    covariance with missing targets, noisy labels, and tangent propagation.

    Parameters
    ----------
    inputs : array of shape (n_samples, n_features)
        In [0, 1]; only the first 100 rows are used, and only the first 8 features by the networks with targets.
    n_components, rho, beta, alpha
        As in `SparseAutoencoder`.
    random_state : int, default 0
        Seed of the weights. They are random, because at a minimum the gradient is zero and a relative error is
        meaningless.

    Yields
    ------
    Comparison

    Examples
    --------
    >>> inputs = np.random.default_rng(0).uniform(size=(10, 4))
    >>> comparison = next(certify(inputs, n_components=2))
    >>> comparison.name, f"{comparison.notes_step:.4e}", comparison.exceeded
    ('x1^2 + 3 x1 x2 at (4, 10)', '2.1452e-12', ())
    """
    at = np.array([4.0, 10.0])
    by_hand = reference.quadratic(at)[1]
    numerical = numerical_gradient(lambda x: reference.quadratic(x)[0], at)
    yield Comparison("x1^2 + 3 x1 x2 at (4, 10)", notes_step=relative_difference(by_hand, numerical))

    x = np.asarray(inputs, dtype=float)[:MAX_ROWS]
    pending: deque[Future[Comparison]] = deque()
    generator = np.random.default_rng(random_state)
    with worker_threads(3) as workers:  # one compiles while another differentiates
        for compare_one in comparisons(workers, x, n_components, rho, beta, alpha, generator):
            pending.append(workers.submit(compare_one))
            if len(pending) > 3:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def comparisons(
    workers: Executor,
    x: NDArray[np.float64],
    n_components: int,
    rho: float,
    beta: float,
    alpha: float,
    generator: np.random.Generator,
) -> Iterator[Callable[[], Comparison]]:
    """Yield a function for each comparison of engine and hand, in the order of `certify`."""
    network = Network((x.shape[1], n_components, x.shape[1]))
    theta = random_weights(network, generator)
    of_terms = workers.submit(numerical_gradients_of_terms, network, theta, x, alpha, rho, beta)
    for combination in COMBINATIONS:
        # A weight of 0 switches a penalty off, in the program that is compiled for all: two programs serve the five.
        with_error, decays, is_sparse = has = [term in combination for term in ("error", "weight decay", "sparsity")]
        penalties = WeightDecay(alpha * decays), KLSparsity(rho, beta * is_sparse)
        objective = Objective(network, (SquaredError(), *penalties) if with_error else penalties)
        numerical = partial(_sum_of_terms, of_terms, has)
        yield partial(compare, " + ".join(combination), objective, theta, x, x, None, numerical=numerical)

    yield from other_evaluations(objective, theta, x)

    x = x[:, :FEW_FEATURES]
    outputs = generator.normal(size=(len(x), 3))
    deep = Network((x.shape[1], 5, 4, 3), hidden_activation="tanh", output_activation="identity")
    yield partial(
        compare,
        "the same, 2 tanh layers, s_n",
        Objective(deep, (SquaredError(), WeightDecay(alpha), KLSparsity(rho, beta))),
        random_weights(deep, generator),
        x,
        outputs,
        generator.uniform(0.5, 2.0, size=len(x)),
    )

    codes = Network((x.shape[1], 6, x.shape[1]), "relu", "identity")
    yield partial(
        compare,
        "L1 sparsity, away from kinks",
        Objective(codes, (SquaredError(), WeightDecay(alpha), L1Sparsity(beta))),
        weights_away_from_kinks(codes, x, generator),
        x,
        x,
        None,
    )

    outputs = outputs.copy()  # the comparison before has the others
    outputs[::3, 0] = np.nan
    small = Network((x.shape[1], 2, 3), hidden_activation="tanh", output_activation="identity")
    patterns = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    yield partial(
        compare,
        "Gaussian, C unknown, gaps in t",
        Objective(small, (ProfileGaussianError("full", patterns), WeightDecay(alpha))),  # type: ignore[arg-type]
        random_weights(small, generator),
        x,
        outputs,
        None,
    )

    of_input = Network((x.shape[1], 2, 9), hidden_activation="tanh", output_activation="identity")
    factor = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [-0.25, 0.25, 0.75]])
    decay = WeightDecay((alpha, alpha * (np.arange(9) < 3)))  # type: ignore[arg-type]
    error = HeteroscedasticGaussianError(factor, missing=True)  # type: ignore[arg-type]
    yield partial(
        compare,
        "Gaussian, C of the input, gaps",
        Objective(of_input, (error, decay, CovarianceDecay(alpha, 3))),
        random_weights(of_input, generator),
        x,
        outputs,
        None,
    )

    classes = Network((x.shape[1], 5, 3), hidden_activation="tanh", output_activation="softmax")
    transition = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]])
    noisy: tuple[Term, ...] = (NoisyCrossEntropy(transition), WeightDecay(alpha))  # type: ignore[arg-type]
    theta = random_weights(classes, generator)
    labels = np.eye(3)[generator.integers(3, size=len(x))]
    tangents = generator.normal(size=(len(x), 2, x.shape[1])) / np.sqrt(x.shape[1])
    # A weight of 0 switches tangent propagation off, in the program of both.
    for name, weight in (("noisy labels, 3 classes", 0.0), ("the same + tangents, 2 a sample", 1.0)):
        with_tangents = Objective(classes, (*noisy, TangentPropagation(weight)))
        yield partial(compare, name, with_tangents, theta, x, labels, None, tangents=tangents)


def weights_away_from_kinks(
    network: Network, x: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw weights of a network with ReLU units where no step of a numerical derivative crosses a kink."""
    for _ in range(MOST_DRAWS):
        theta = random_weights(network, generator)
        (W, _), (b, _) = network.unravel(theta)  # type: ignore[arg-type]
        a = x @ np.asarray(W) + np.asarray(b)
        if np.abs(a).min() > LARGEST_STEP * max(np.abs(x).max(initial=0.0), 1.0):
            break
    return theta


LARGEST_STEP, MOST_DRAWS = 2e-3, 1000  # the fourth-order formula takes two steps of 1e-3


def _sum_of_terms(
    of_terms: Future[tuple[NDArray[np.float64], NDArray[np.float64]]], has: list[bool]
) -> NumericalGradients:
    fine, as_notes = of_terms.result()
    return NumericalGradients(fine[:, has].sum(axis=1), as_notes[:, has].sum(axis=1))


def other_evaluations(
    objective: Objective, theta: NDArray[np.float64], x: NDArray[np.float64]
) -> Iterator[Callable[[], Comparison]]:
    """Compare J for rows that are read, for rows that are divided among devices, and after a resumed training."""

    def read(objective: Objective, dtype: str) -> tuple[NDArray[np.floating], tuple[float, NDArray[np.float64]]]:
        def batches() -> Iterator[Batch]:
            return (Batch(x[start : start + BATCH_ROWS]) for start in range(0, len(x), BATCH_ROWS))

        stream = StreamedSamples(batches, BATCH_ROWS, 8, float(len(x)), dtype)
        return theta, _on_host(evaluate_stream(objective, cast(jax.Array, theta.astype(dtype)), stream))

    def divided(objective: Objective, dtype: str) -> tuple[NDArray[np.floating], tuple[float, NDArray[np.float64]]]:
        mesh = Mesh(np.array(jax.local_devices()), ("samples",))
        samples = Samples.from_arrays(x, chunk_size=8, dtype=dtype, mesh=mesh)
        return theta, _on_host(_evaluate_divided(objective, theta.astype(dtype), samples))

    def resumed(objective: Objective, dtype: str) -> tuple[NDArray[np.floating], tuple[float, NDArray[np.float64]]]:
        samples = Samples.from_arrays(x, chunk_size=32, dtype=dtype)
        checkpointer = _MemoryCheckpointer()
        stop = FunctionCallback(lambda progress: progress.iteration > 1)
        for callbacks in ([stop], []):
            training = train(
                objective,
                samples,
                theta,
                dtype=dtype,
                tol=0.0,
                solver="lbfgs",
                max_iter=6,
                callbacks=callbacks,
                checkpointer=checkpointer,
            )
        # J as recorded at the last iterate, and the gradient there.
        evaluation = compiled_evaluate(objective, cast(jax.Array, training.theta), samples)
        return training.theta, (training.history[-1].J, _on_host(evaluation)[1])

    n_devices = jax.local_device_count()
    yield partial(compare_engine, "the same, read in batches", objective, x, read)
    yield partial(
        compare_engine, f"the same, on {n_devices} device{'s' * (n_devices > 1)} of a mesh", objective, x, divided
    )
    yield partial(compare_engine, "the same, a resumed training", objective, x, resumed)


def _on_host(evaluation: Evaluation) -> tuple[float, NDArray[np.float64]]:
    return float(evaluation.value), np.asarray(evaluation.gradient, dtype=float)


class _MemoryCheckpointer(Checkpointer):
    """A checkpointer that keeps the training in memory."""

    saved: TrainingState | None = None
    writes = True

    def load(self) -> TrainingState | None:
        return self.saved

    def due(self, seconds: float) -> bool:
        return True

    def save(self, state: TrainingState) -> None:
        self.saved = state
