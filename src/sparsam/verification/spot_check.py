"""A few derivatives of an autoencoder's J, each by three derivations: figures that can be shown side by side."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sparsam.engine.data.samples import Samples
from sparsam.engine.network.network import Network
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.objective.objective import Objective, Term
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.engine.training.train import precision
from sparsam.reference.gradcheck import numerical_gradient, relative_difference
from sparsam.verification.comparison import BOUNDS, Evaluated, apart, random_weights, reference_cost

__all__ = ["Derivative", "SpotCheck", "spot_check"]

STEP = 1e-3  # of the fourth-order formula, which goes two of them to either side
MOST_DRAWS = 50


@dataclass(frozen=True)
class Derivative:
    """dJ/dw of one weight, by hand, by automatic differentiation, and numerically.

    Attributes
    ----------
    block : str
        In which the weight is: "W1", "W2", "b1" or "b2".
    index : tuple of int
        Where in it.
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
        Of the inputs.
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
    rho: float = 0.01,
    beta: float = 3.0,
    alpha: float = 1e-4,
    hidden_activation: str = "logistic",
    output_activation: str = "logistic",
    n_each: int = 2,
    random_state: int = 0,
) -> SpotCheck:
    """Evaluate J and some derivatives of it in three ways, at random weights, for at a minimum they vanish.

    Where `certificate` differentiates numerically by every weight, which takes half a minute, this takes some weights
    of each block and less than a second, whatever the size of the network.

    Parameters
    ----------
    inputs : array-like of shape (n_samples, n_features)
        A few rows do.
    n_components, rho, beta, alpha, hidden_activation, output_activation
        As in `SparseAutoencoder`.
    n_each : int, default 2
        Weights of each block.
    random_state : int, default 0
        Draws the network's weights, and which of them.

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
    network = Network((x.shape[1], n_components, x.shape[1]), hidden_activation, output_activation)
    terms: list[Term] = [SquaredError(), WeightDecay(alpha)]
    if beta > 0:
        terms.append(KLSparsity(rho, beta))
    objective = Objective(network, tuple(terms))
    theta, picked = random_weights(network, generator), _picked(network, generator, n_each)
    for _ in range(MOST_DRAWS):
        if hidden_activation != "relu" or not _near_kinks(network, theta, x, picked):
            break
        theta = random_weights(network, generator)

    def by_hand(theta: NDArray[np.float64]) -> Evaluated:
        return reference_cost(objective, theta, x, x, None, None)

    with precision("float64"):
        samples = Samples.from_arrays(x, chunk_size=len(x), dtype="float64")
        typed = jax.tree.map(lambda leaf: jnp.asarray(leaf, "float64"), objective)
        evaluation = jax.jit(Objective.evaluate)(typed, jnp.asarray(theta), samples)
        engine = float(evaluation.value), np.asarray(evaluation.gradient, dtype=float)

    places = np.array([start + element for _, _, start, element in picked])

    def of_picked(values: NDArray[np.float64]) -> float:
        moved = theta.copy()
        moved[places] = values
        return by_hand(moved)[0]

    hand = by_hand(theta)
    columns = hand[1][places], engine[1][places], numerical_gradient(of_picked, theta[places], STEP, order=4)
    derivatives = [
        Derivative(name, tuple(int(i) for i in np.unravel_index(element, shape)), *map(float, values))
        for (name, shape, _, element), *values in zip(picked, *columns, strict=True)
    ]
    return SpotCheck(
        len(x),
        hand[0],
        engine[0],
        derivatives,
        apart(engine, hand, objective),
        relative_difference(columns[0], columns[2]),
        relative_difference(columns[1], columns[2]),
    )


Picked = list[tuple[str, tuple[int, ...], int, int]]
"""Of each weight the name, shape and beginning of its block, and its place in that."""


def _picked(network: Network, generator: np.random.Generator, n_each: int) -> Picked:
    return [
        (name, shape, block.start, int(element))
        for (name, block), shape in zip(network.blocks.items(), _shapes(network), strict=True)
        for element in np.sort(
            generator.choice(block.stop - block.start, min(n_each, block.stop - block.start), replace=False)
        )
    ]


def _near_kinks(network: Network, theta: NDArray[np.float64], x: NDArray[np.float64], picked: Picked) -> bool:
    """Whether a step reaches the kink of a ReLU, where a difference across it is no derivative."""
    a = x @ theta[network.blocks["W1"]].reshape(network.shapes[0]) + theta[network.blocks["b1"]]
    for name, shape, _, element in picked:
        if name in ("W1", "b1"):
            *inputs, unit = np.unravel_index(element, shape)
            slope = x[:, inputs[0]] if inputs else 1.0
            if np.any(np.abs(a[:, unit]) <= 2 * STEP * np.abs(slope)):
                return True
    return False


def _shapes(network: Network) -> list[tuple[int, ...]]:
    """Shapes of the blocks, in their order: weight matrices, then biases."""
    return [*network.shapes, *((n_out,) for _, n_out in network.shapes)]
