"""Compare one gradient by several derivations, for the lines of the certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam import reference
from sparsam._utils.jit import quick_jit
from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network, Parameters
from sparsam.engine.objective.error_functions import (
    ErrorFunction,
    HeteroscedasticGaussianError,
    NoisyCrossEntropy,
    ProfileGaussianError,
)
from sparsam.engine.objective.objective import Objective
from sparsam.engine.objective.penalties import CovarianceDecay, KLSparsity, L1Sparsity, TangentPropagation, WeightDecay
from sparsam.reference.errors import error_of_each
from sparsam.reference.gradcheck import blockwise_differences, numerical_gradient, relative_difference
from sparsam.reference.network import forward_pass, kl_sparsity, weight_decay

__all__ = [
    "BOUNDS",
    "Comparison",
    "NumericalGradients",
    "compare",
    "compare_engine",
    "compiled_evaluate",
    "largest_difference",
    "numerical_gradients_of_terms",
    "random_weights",
    "reference_cost",
]

Evaluated = tuple[float, NDArray[np.float64]]  # J and its gradient

compiled_evaluate = quick_jit(Objective.evaluate, runs_once=True)
"""J and its gradient, compiled in the same way as in a training."""

BOUNDS = {
    "notes_step": 1e-9,
    "hand_numerical": 1e-9,
    "autodiff_numerical": 1e-9,
    "autodiff_hand": 1e-12,
    "float32_hand": 1e-5,
}
"""Maximum difference allowed in each column of the certificate."""


@dataclass(frozen=True)
class Comparison:
    """One line of the certificate: the differences between the gradients of a function.

    All are relative differences |g - h| / |g + h| (see `sparsam.gradcheck`); None if a comparison does not apply.

    Attributes
    ----------
    name : str
        The function that was differentiated.
    notes_step : float or None
        By hand against numerical, in the notes' way: central differences with step 1e-4, over the whole vector.
    truncation : float
        Difference between that formula and the fourth-order one, which is its truncation error, whatever the gradient
        under test. For J without sparsity it reaches 1.4e-9 in small networks, so twice this value is the bound of
        `notes_step` if that is larger.
    hand_numerical, autodiff_numerical : float or None
        Against the fourth-order formula with step 1e-3, for the worst parameter block.
    autodiff_hand : float or None
        Engine in float64 against by hand, for the value and the worst block of the gradient.
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
        """The columns that exceed their bounds or are NaN."""
        bounds = BOUNDS | {"notes_step": max(BOUNDS["notes_step"], 2 * self.truncation)}
        values = {column: getattr(self, column) for column in BOUNDS}
        return tuple(name for name, value in values.items() if value is not None and not value <= bounds[name])


def random_weights(network: Network, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw random weights and biases; `Network.initialize` alone would leave biases 0."""
    theta = network.initialize(generator)
    biases = theta == 0
    theta[biases] = generator.uniform(-0.5, 0.5, size=np.count_nonzero(biases))
    return theta


class NumericalGradients(NamedTuple):
    """Gradient by the fourth-order formula with step 1e-3, and by the notes' with step 1e-4."""

    fine: NDArray[np.float64]
    as_notes: NDArray[np.float64] | None = None


def numerical_gradients_of_terms(
    network: Network, theta: NDArray[np.float64], x: NDArray[np.float64], alpha: float, rho: float, beta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Differentiate the squared error of reconstructions, weight decay and KL sparsity numerically, all in one sweep.

    A finite difference of a sum is the sum of the terms' own: one evaluation of the terms serves every combination.

    Returns
    -------
    fine, as_notes : arrays of shape (n_parameters, 3)
        By both formulas of `NumericalGradients`, a column for each term.
    """
    n_in, n_hidden, n_out = network.layer_sizes
    ends = np.cumsum([n_in * n_hidden, n_hidden * n_out, n_hidden])
    ones = np.ones(len(x))

    def terms(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        W1, W2, b1, b2 = np.split(theta, ends)
        W = [W1.reshape(n_in, n_hidden), W2.reshape(n_hidden, n_out)]
        a, z = forward_pass(W, [b1, b2], x, network.hidden_activation, network.output_activation)
        E, _ = error_of_each("squared_error", network.output_activation, a, z[-1], x)
        sparsity, _ = kl_sparsity(z[1:-1], ones, network.hidden_activation, rho, beta)
        return np.array([E.mean(), weight_decay(W, alpha), sparsity])

    return numerical_gradient(terms, theta, 1e-3, order=4), numerical_gradient(terms, theta)


def compare(
    name: str,
    objective: Objective,
    theta: NDArray[np.float64],
    x: NDArray[np.float64],
    t: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    *,
    tangents: NDArray[np.float64] | None = None,
    numerical: Callable[[], NumericalGradients] | None = None,
) -> Comparison:
    """Compare the gradient of an objective by all three derivations; without ``numerical`` differentiate J here."""
    blocks = objective.network.blocks

    def by_hand(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return reference_cost(objective, theta, x, t, sample_weight, tangents)

    def by_engine(dtype: str) -> tuple[float, NDArray[np.float64]]:
        with precision(dtype):
            targets = None if t is x else t
            samples = Samples.from_arrays(x, targets, sample_weight, tangents, chunk_size=32, dtype=dtype)
            typed, weights = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (objective, theta))
            evaluation = compiled_evaluate(typed, weights, samples)
            return float(evaluation.value), np.asarray(evaluation.gradient, dtype=float)

    hand = by_hand(theta)
    gradient = hand[1]
    double, single = by_engine("float64"), by_engine("float32")
    if numerical is None:
        fine, as_notes = NumericalGradients(numerical_gradient(lambda point: by_hand(point)[0], theta, 1e-3, order=4))
    else:  # differentiated meanwhile
        fine, as_notes = numerical()
    return Comparison(
        name,
        notes_step=None if as_notes is None else relative_difference(gradient, as_notes),
        truncation=0.0 if as_notes is None else relative_difference(as_notes, fine),
        hand_numerical=max(blockwise_differences(gradient, fine, blocks).values()),
        autodiff_numerical=max(blockwise_differences(double[1], fine, blocks).values()),
        autodiff_hand=largest_difference(double, hand, objective),
        float32_hand=largest_difference(single, hand, objective),
    )


def largest_difference(one: Evaluated, other: Evaluated, objective: Objective) -> float:
    """Compute the relative difference of two evaluations: the largest of J and of all blocks of the gradient."""
    value_difference = abs(one[0] - other[0]) / abs(one[0] + other[0])
    return max(value_difference, *blockwise_differences(one[1], other[1], objective.network.blocks).values())


def compare_engine(
    name: str,
    objective: Objective,
    x: NDArray[np.float64],
    evaluate: Callable[[Objective, str], tuple[NDArray[np.floating], Evaluated]],
) -> Comparison:
    """Compare a way of evaluating J with the derivation by hand, in both precisions.

    ``evaluate`` takes the objective and a precision, runs in its scope, and returns weights and J at these weights.
    """
    differences = []
    for dtype in ("float64", "float32"):
        with precision(dtype):
            theta, evaluated = evaluate(
                jax.tree.map(lambda leaf, dtype=dtype: np.asarray(leaf, dtype), objective), dtype
            )
        by_hand = reference_cost(objective, np.asarray(theta, np.float64), x, x, None, None)
        differences.append(largest_difference(evaluated, by_hand, objective))
    return Comparison(name, autodiff_hand=differences[0], float32_hand=differences[1])


def reference_cost(
    objective: Objective,
    theta: NDArray[np.float64],
    x: NDArray[np.float64],
    t: NDArray[np.float64],
    sample_weight: NDArray[np.float64] | None,
    tangents: NDArray[np.float64] | None,
) -> tuple[float, NDArray[np.float64]]:
    """Compute J of an objective's terms by hand, at flat weights."""
    network = objective.network
    error = next((term for term in objective.terms if isinstance(term, ErrorFunction)), None)
    decay = next((term for term in objective.terms if isinstance(term, WeightDecay)), WeightDecay(0.0))
    sparsity = next((term for term in objective.terms if isinstance(term, KLSparsity)), KLSparsity(0.5, 0.0))
    l1 = next((term for term in objective.terms if isinstance(term, L1Sparsity)), None)
    of_covariance = next(
        (term for term in objective.terms if isinstance(term, CovarianceDecay)), CovarianceDecay(0.0, 0)
    )
    along = next((term for term in objective.terms if isinstance(term, TangentPropagation)), TangentPropagation(0.0))
    coefs, intercepts = network.unravel(theta)  # type: ignore[arg-type]
    n_layers = len(network.shapes)
    cost, coef_gradients, intercept_gradients = reference.network_cost(
        coefs,
        intercepts,
        x,
        None if error is None else t,
        hidden_activation=network.hidden_activation,
        output_activation=network.output_activation,
        error="squared_error" if error is None else error.name,
        transition=error.transition if isinstance(error, NoisyCrossEntropy) else None,
        covariance=error.structure if isinstance(error, ProfileGaussianError) else "full",
        covariance_factor=error.factor if isinstance(error, HeteroscedasticGaussianError) else None,
        covariance_alpha=float(of_covariance.covariance_alpha),
        # With an entry for each unit, the first is that of the means; the others are covariance_alpha's.
        alpha=jax.tree.map(lambda alpha: float(np.ravel(alpha)[0]), decay.alpha),
        rho=_of_hidden_layers(sparsity, sparsity.rho, 0.5, n_layers - 1),
        beta=_of_hidden_layers(sparsity, sparsity.beta, 0.0, n_layers - 1) if l1 is None else float(l1.beta),
        sparsity="kl" if l1 is None else "l1",
        sample_weight=sample_weight,
        tangents=tangents,
        tangent_weight=float(along.tangent_weight),
        tangents_of=along.of,
    )
    tied = network.tie_gradient(Parameters(tuple(coef_gradients), tuple(intercept_gradients)))  # type: ignore[arg-type]
    return cost, np.concatenate([np.ravel(array) for array in (*tied.coefs, *tied.intercepts)])


def _of_hidden_layers(sparsity: KLSparsity, given: Any, otherwise: float, n_hidden: int) -> float | list[float]:
    """Return a hyperparameter of the sparsity penalty, for all hidden layers or for each."""
    if sparsity.layers is None:
        return jax.tree.map(float, given)
    numbers = given if isinstance(given, tuple) else (given,) * len(sparsity.layers)
    by_layer = dict(zip(sparsity.layers, map(float, numbers), strict=True))
    return [by_layer.get(layer, otherwise) for layer in range(n_hidden)]
