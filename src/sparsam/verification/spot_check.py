"""Compare a few derivatives of an autoencoder's J by three derivations, for display side by side."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.engine.data.samples import Samples
from sparsam.engine.jax_settings import precision
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import CrossEntropy, SquaredError
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import KLSparsity, L1Sparsity, WeightDecay
from sparsam.reference.activations import OUTPUT_ACTIVATIONS
from sparsam.reference.gradcheck import numerical_gradient, relative_difference
from sparsam.verification.comparison import (
    BOUNDS,
    Evaluated,
    compiled_evaluate,
    largest_difference,
    random_weights,
    reference_cost,
)

__all__ = ["Derivative", "SpotCheck", "spot_check"]

STEP = 1e-3  # of the fourth-order formula, which uses two steps to either side
KINKS = {"relu": [0.0], "satlin": [0.0, 1.0]}  # where there is no derivative
MAX_DRAWS = 50


@dataclass(frozen=True)
class Derivative:
    """dJ/dw of one weight, by hand, by automatic differentiation, and numerically.

    Attributes
    ----------
    block : str
        Block of the weight: "W1", "W2", "b1" or "b2".
    index : tuple of int
        Index of the weight in its block.
    by_hand, autodiff, numerical : float
    """

    block: str
    index: tuple[int, ...]
    by_hand: float
    autodiff: float
    numerical: float


@dataclass(frozen=True)
class SpotCheck:
    """J and some of its derivatives.

    Attributes
    ----------
    n_rows : int
        Number of rows of the inputs.
    by_hand, autodiff : float
        J.
    derivatives : list of Derivative
    autodiff_hand : float
        Largest relative difference of the two, over J and every block of the whole gradient.
    hand_numerical, autodiff_numerical : float
        Relative difference |g - h| / |g + h| over the derivatives shown.
    """

    n_rows: int
    by_hand: float
    autodiff: float
    derivatives: list[Derivative]
    autodiff_hand: float
    hand_numerical: float
    autodiff_numerical: float

    @property
    def verified(self) -> bool:
        """Whether every difference is within its bound of `sparsam.verification.comparison.BOUNDS`."""
        columns = ("autodiff_hand", "hand_numerical", "autodiff_numerical")
        return all(getattr(self, column) <= BOUNDS[column] for column in columns)


def spot_check(
    inputs: ArrayLike,
    *,
    n_components: int = 25,
    sparsity: str = "kl",
    rho: float = 0.01,
    beta: float = 3.0,
    alpha: float = 1e-4,
    hidden_activation: str = "logistic",
    output_activation: str = "logistic",
    tied: bool = False,
    error: str = "squared",
    n_each: int = 2,
    random_state: int = 0,
) -> SpotCheck:
    """Evaluate J and some of its derivatives in three ways, at random weights, since at a minimum they vanish.

    `certificate` differentiates numerically with respect to all weights, which takes seconds. This function takes
    a few weights of each block, and less than a second, whatever the size of the network.

    Parameters
    ----------
    inputs : array-like of shape (n_samples, n_features)
        A few rows are enough.
    n_components, sparsity, rho, beta, alpha, hidden_activation, output_activation, tied, error
        As in `SparseAutoencoder`.
    n_each : int, default 2
        Number of weights from each block.
    random_state : int, default 0
        Seed of the network's weights, and of the choice among them.

    Returns
    -------
    SpotCheck

    Examples
    --------
    >>> check = spot_check(np.random.default_rng(0).uniform(size=(5, 4)), n_components=3)
    >>> len(check.derivatives), check.verified
    (8, True)
    """
    x = np.asarray(inputs, dtype=np.float64)
    generator = np.random.default_rng(random_state)
    network = Network((x.shape[1], n_components, x.shape[1]), hidden_activation, output_activation, tied)
    terms: list[Term] = [
        CrossEntropy() if error == "cross-entropy" else SquaredError(),
        WeightDecay((alpha, 0.0) if tied else alpha),
    ]
    if beta > 0:
        terms.append(L1Sparsity(beta) if sparsity == "l1" else KLSparsity(rho, beta))
    objective = Objective(network, tuple(terms))
    theta, picked = random_weights(network, generator), _picked(network, generator, n_each)
    places = np.array([start + element for _, _, start, element in picked])
    for _ in range(MAX_DRAWS):
        if not _near_kinks(network, theta, x, places):
            break
        theta = random_weights(network, generator)

    def by_hand(theta: NDArray[np.float64]) -> Evaluated:
        return reference_cost(objective, theta, x, x, None, None)

    with precision("float64"):
        samples = Samples.from_arrays(x, chunk_size=len(x), dtype="float64")
        typed, weights = jax.tree.map(lambda leaf: np.asarray(leaf, "float64"), (objective, theta))
        evaluation = compiled_evaluate(typed, weights, samples)
        engine = float(evaluation.value), np.asarray(evaluation.gradient, dtype=float)

    def cost_at(values: NDArray[np.float64]) -> float:
        moved = theta.copy()
        moved[places] = values
        return by_hand(moved)[0]

    hand = by_hand(theta)
    columns = hand[1][places], engine[1][places], numerical_gradient(cost_at, theta[places], STEP, order=4)
    derivatives = [
        Derivative(name, tuple(int(i) for i in np.unravel_index(element, shape)), *map(float, values))
        for (name, shape, _, element), *values in zip(picked, *columns, strict=True)
    ]
    return SpotCheck(
        len(x),
        hand[0],
        engine[0],
        derivatives,
        largest_difference(engine, hand, objective),
        relative_difference(columns[0], columns[2]),
        relative_difference(columns[1], columns[2]),
    )


Picked = list[tuple[str, tuple[int, ...], int, int]]
"""For each weight the name, the shape and the start of its block, and its flat index in the block."""


def _picked(network: Network, generator: np.random.Generator, n_each: int) -> Picked:
    return [
        (name, shape, block.start, int(element))
        for (name, block), shape in zip(network.blocks.items(), _shapes(network), strict=True)
        for element in np.sort(
            generator.choice(block.stop - block.start, min(n_each, block.stop - block.start), replace=False)
        )
    ]


def _near_kinks(network: Network, theta: NDArray[np.float64], x: NDArray[np.float64], places: NDArray[np.intp]) -> bool:
    """Return whether a step crosses a kink, where a difference does not approximate a derivative."""
    here = _pieces(network, theta, x)
    for place in places:
        for change in (-2 * STEP, 2 * STEP):
            moved = theta.copy()
            moved[place] += change
            if any(np.any(a != b) for a, b in zip(here, _pieces(network, moved, x), strict=True)):
                return True
    return False


def _pieces(network: Network, theta: NDArray[np.float64], x: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Return, for each layer, the number of the piece between kinks that each pre-activation is in."""
    z, pieces = x, []
    for coef, intercept, h in zip(*network.unravel(theta), network.activations, strict=True):  # type: ignore[arg-type]
        a = z @ np.asarray(coef) + np.asarray(intercept)
        pieces.append(np.digitize(a, KINKS.get(h.name, [])))
        z = OUTPUT_ACTIVATIONS[h.name](a)
    return pieces


def _shapes(network: Network) -> list[tuple[int, ...]]:
    """List the shapes of the blocks in their order: weight matrices, then biases."""
    return [*network.shapes[: network.n_free], *((n_out,) for _, n_out in network.shapes)]
