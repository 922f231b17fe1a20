"""The gradient certificate: three derivations of one gradient, side by side.

By hand (`sparsam.reference`), by automatic differentiation (the engine), and numerically. Each knows nothing of the
others; where they agree, the gradient is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam import reference
from sparsam.error_functions import ErrorFunction, NoisyCrossEntropy, ProfileGaussianError, SquaredError
from sparsam.gradcheck import blockwise_differences, numerical_gradient, relative_difference
from sparsam.network import Network
from sparsam.objective import Objective, Term
from sparsam.penalties import KLSparsity, TangentPropagation, WeightDecay
from sparsam.samples import Samples
from sparsam.train import precision

__all__ = ["BOUNDS", "Comparison", "certificate"]

BOUNDS = {
    "notes_step": 1e-9,
    "hand_numerical": 1e-9,
    "autodiff_numerical": 1e-9,
    "autodiff_hand": 1e-12,
    "float32_hand": 1e-5,
}
"""Largest difference allowed in each column of the certificate."""

MOST_ROWS = 100  # more rows make numerical gradients slower, not better


@dataclass(frozen=True)
class Comparison:
    """One line of the certificate: a function, and how far its gradients are apart.

    All are relative differences |g - h| / |g + h| (see `sparsam.gradcheck`); None where there is nothing to compare.

    Attributes
    ----------
    name : str
        What was differentiated.
    notes_step : float or None
        By hand against numerical as the notes have it: central differences of step 1e-4, the vector as a whole.
    truncation : float
        How far that formula is from the fourth-order one: its own truncation error, whatever the gradient under test.
        On J without sparsity it reaches 1.4e-9 for small nets, so the bound of the notes' column is twice this where
        that is more.
    hand_numerical, autodiff_numerical : float or None
        Against the fourth-order formula with step 1e-3, the worst parameter block.
    autodiff_hand : float or None
        Engine in float64 against by hand, value and gradient, the worst block.
    float32_hand : float or None
        The same in float32, the default precision of training.
    """

    name: str
    notes_step: float | None = None
    truncation: float = 0.0
    hand_numerical: float | None = None
    autodiff_numerical: float | None = None
    autodiff_hand: float | None = None
    float32_hand: float | None = None

    @property
    def exceeded(self) -> tuple[str, ...]:
        """The columns that exceed their bound (NaN does)."""
        bounds = BOUNDS | {"notes_step": max(BOUNDS["notes_step"], 2 * self.truncation)}
        values = {column: getattr(self, column) for column in BOUNDS}
        return tuple(name for name, value in values.items() if value is not None and not value <= bounds[name])


def certificate(
    inputs: ArrayLike,
    *,
    n_components: int = 25,
    rho: float = 0.01,
    beta: float = 3.0,
    alpha: float = 1e-4,
    random_state: int = 0,
) -> Iterator[Comparison]:
    """Compare the gradients of J and of each of its terms, one comparison at a time.

    The order is the notes': the quadratic x1^2 + 3 x1 x2 at (4, 10), where the difference is known to be 2.1452e-12;
    then the sparse autoencoder's J, each term alone and one after the other together; then a deeper network with tanh
    units, a linear output and sample weights; then noise of unknown covariance with missing targets, noisy labels, and
    tangent propagation.

    Parameters
    ----------
    inputs : array of shape (n_samples, n_features)
        In [0, 1]; of more than 100 rows the first 100 are used.
    n_components, rho, beta, alpha
        As in `SparseAutoencoder`.
    random_state : int, default 0
        Draws the weights: random ones, for at a minimum the gradient is zero and a relative error means nothing.

    Yields
    ------
    Comparison

    Examples
    --------
    >>> inputs = np.random.default_rng(0).uniform(size=(10, 4))
    >>> comparison = next(certificate(inputs, n_components=2))
    >>> comparison.name, f"{comparison.notes_step:.4e}", comparison.exceeded
    ('x1^2 + 3 x1 x2 at (4, 10)', '2.1452e-12', ())
    """
    at = np.array([4.0, 10.0])
    by_hand = reference.quadratic(at)[1]
    numerical = numerical_gradient(lambda x: reference.quadratic(x)[0], at)
    yield Comparison("x1^2 + 3 x1 x2 at (4, 10)", notes_step=relative_difference(by_hand, numerical))

    x = np.asarray(inputs, dtype=float)[:MOST_ROWS]
    generator = np.random.default_rng(random_state)
    error, decay, sparsity = SquaredError(), WeightDecay(alpha), KLSparsity(rho, beta)
    combinations: dict[str, tuple[Term, ...]] = {
        "error": (error,),
        "weight decay": (decay,),
        "sparsity": (sparsity,),
        "error + weight decay": (error, decay),
        "error + weight decay + sparsity": (error, decay, sparsity),
    }
    network = Network((x.shape[1], n_components, x.shape[1]))
    theta = _random_weights(network, generator)
    for name, terms in combinations.items():
        yield _compare(name, Objective(network, terms), theta, x, x, None, notes_step=True)

    outputs = generator.normal(size=(len(x), 3))
    deep = Network((x.shape[1], 5, 4, 3), hidden_activation="tanh", output_activation="identity")
    yield _compare(
        "the same, 2 tanh layers, s_n",
        Objective(deep, (error, decay, sparsity)),
        _random_weights(deep, generator),
        x,
        outputs,
        generator.uniform(0.5, 2.0, size=len(x)),
        notes_step=False,
    )

    outputs[::3, 0] = np.nan
    patterns = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    yield _compare(
        "Gaussian, C unknown, gaps in t",
        Objective(deep, (ProfileGaussianError("full", patterns), decay)),  # type: ignore[arg-type]
        _random_weights(deep, generator),
        x,
        outputs,
        None,
        notes_step=False,
    )

    classes = Network((x.shape[1], 5, 3), hidden_activation="tanh", output_activation="softmax")
    transition = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]])
    noisy: tuple[Term, ...] = (NoisyCrossEntropy(transition), decay)  # type: ignore[arg-type]
    theta = _random_weights(classes, generator)
    labels = np.eye(3)[generator.integers(3, size=len(x))]
    yield _compare("noisy labels, 3 classes", Objective(classes, noisy), theta, x, labels, None, notes_step=False)

    tangents = generator.normal(size=(len(x), 2, x.shape[1])) / np.sqrt(x.shape[1])
    yield _compare(
        "the same + tangents, 2 a sample",
        Objective(classes, (*noisy, TangentPropagation(1.0))),
        theta,
        x,
        labels,
        None,
        tangents=tangents,
        notes_step=False,
    )


def _random_weights(network: Network, generator: np.random.Generator) -> NDArray[np.float64]:
    theta = network.initialize(generator)
    biases = theta == 0
    theta[biases] = generator.uniform(-0.5, 0.5, size=np.count_nonzero(biases))
    return theta


def _compare(
    name: str,
    objective: Objective,
    theta: NDArray[np.float64],
    x: NDArray[np.float64],
    t: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    *,
    notes_step: bool,
    tangents: NDArray[np.float64] | None = None,
) -> Comparison:
    blocks = objective.network.blocks

    def by_hand(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return _reference_cost(objective, theta, x, t, sample_weight, tangents)

    def by_engine(dtype: str) -> tuple[float, NDArray[np.float64]]:
        with precision(dtype):
            samples = Samples.from_arrays(x, t, sample_weight, tangents, chunk_size=32, dtype=dtype)
            typed = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), objective)
            evaluation = jax.jit(Objective.evaluate)(typed, jnp.asarray(theta, dtype), samples)
            return float(evaluation.value), np.asarray(evaluation.gradient, dtype=float)

    def apart(engine: tuple[float, NDArray[np.float64]]) -> float:
        of_value = abs(engine[0] - value) / abs(engine[0] + value)
        return max(of_value, *blockwise_differences(engine[1], gradient, blocks).values())

    value, gradient = by_hand(theta)
    double, single = by_engine("float64"), by_engine("float32")
    fine = numerical_gradient(lambda point: by_hand(point)[0], theta, 1e-3, order=4)
    as_notes = numerical_gradient(lambda point: by_hand(point)[0], theta) if notes_step else None
    return Comparison(
        name,
        notes_step=None if as_notes is None else relative_difference(gradient, as_notes),
        truncation=0.0 if as_notes is None else relative_difference(as_notes, fine),
        hand_numerical=max(blockwise_differences(gradient, fine, blocks).values()),
        autodiff_numerical=max(blockwise_differences(double[1], fine, blocks).values()),
        autodiff_hand=apart(double),
        float32_hand=apart(single),
    )


def _reference_cost(
    objective: Objective,
    theta: NDArray[np.float64],
    x: NDArray[np.float64],
    t: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    tangents: NDArray[np.float64] | None,
) -> tuple[float, NDArray[np.float64]]:
    """J of the same terms by hand, at flat weights."""
    network = objective.network
    error = next((term for term in objective.terms if isinstance(term, ErrorFunction)), None)
    decay = next((term for term in objective.terms if isinstance(term, WeightDecay)), WeightDecay(0.0))
    sparsity = next((term for term in objective.terms if isinstance(term, KLSparsity)), KLSparsity(0.5, 0.0))
    along = next((term for term in objective.terms if isinstance(term, TangentPropagation)), TangentPropagation(0.0))
    parameters = [theta[block] for block in network.blocks.values()]
    n_layers = len(network.shapes)
    cost, coef_gradients, intercept_gradients = reference.network_cost(
        [coef.reshape(shape) for coef, shape in zip(parameters[:n_layers], network.shapes, strict=True)],
        parameters[n_layers:],
        x,
        None if error is None else t,
        hidden_activation=network.hidden_activation,
        output_activation=network.output_activation,
        error="squared_error" if error is None else error.name,
        transition=error.transition if isinstance(error, NoisyCrossEntropy) else None,
        covariance=error.structure if isinstance(error, ProfileGaussianError) else "full",
        alpha=float(decay.alpha),
        rho=float(sparsity.rho),
        beta=float(sparsity.beta),
        sample_weight=sample_weight,
        tangents=tangents,
        tangent_weight=float(along.tangent_weight),
        tangents_of=along.of,
    )
    return cost, np.concatenate([array.ravel() for array in (*coef_gradients, *intercept_gradients)])
