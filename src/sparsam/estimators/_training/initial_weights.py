"""Initial weights of a training: new ones, or those of the fit before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sparsam.engine.network.network import Network, Parameters
from sparsam.estimators._training.flat_weights import ravel

__all__ = ["check_warm_start", "initial_weights"]


def initial_weights(
    estimator: Any,
    network: Network,
    scaled: Callable[[Parameters], Parameters] = lambda parameters: parameters,
    draw: Callable[[Network, Any], NDArray[np.float64]] = Network.initialize,
) -> NDArray[np.floating]:
    """Draw the initial weights, or with ``warm_start`` use the fitted ones, in the minimizer's coordinates.

    ``scaled`` converts fitted weights to these coordinates; ``draw`` draws weights from a random state.

    Raises
    ------
    ValueError
        If the fitted weights are those of a network with other layers.
    """
    if not (estimator.warm_start and hasattr(estimator, "coefs_")):
        return draw(network, check_random_state(estimator.random_state))
    check_warm_start(estimator, network)
    return ravel(network, scaled(Parameters(tuple(estimator.coefs_), tuple(estimator.intercepts_))))


def check_warm_start(estimator: Any, network: Network) -> None:
    """Raise ValueError if the fitted weights are those of a network with other layers."""
    fitted = tuple(coef.shape for coef in estimator.coefs_)
    if fitted != network.shapes:
        raise ValueError(
            f"warm_start=True starts from the fitted weights, but these belong to a network {_sizes(fitted)}, and "
            f"this fit needs {_sizes(network.shapes)}: set warm_start=False, or fit a clone"
        )


def _sizes(shapes: tuple[tuple[int, int], ...]) -> str:
    return "-".join(map(str, (shapes[0][0], *(n_out for _, n_out in shapes))))
