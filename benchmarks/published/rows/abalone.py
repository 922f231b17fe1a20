"""Reconstruction of abalone's measures, of the documentation of MATLAB's trainAutoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import SparseAutoencoder
from sparsam.engine import (
    ForwardPass,
    KLSparsity,
    Network,
    Objective,
    Parameters,
    Samples,
    WeightDecay,
    get_activation,
    precision,
    train,
    weighted_sum,
)

DEFAULT: dict[str, Any] = {"n_components": 10, "output_activation": "logistic", "max_iter": 1000}
FEW: dict[str, Any] = {"n_components": 4, "output_activation": "identity", "max_iter": 400}
RHO, BETA = 0.05, 0.5
SMALL = 0.1  # MATLAB's initial weights are uniform within it


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ErrorInUnitsOfX:
    """E_n = 1/2 sum_k (c_k (y_nk - t_nk))^2 of scaled outputs and targets, with c_k the unit of scaled input k."""

    units: jax.Array

    name: ClassVar[str] = "error_in_units_of_X"
    linear: ClassVar[bool] = True

    def sums(self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array) -> jax.Array:
        """Compute sum_n s_n E_n over a chunk."""
        r = self.units[:, None] * (forward.outputs - targets)
        return weighted_sum(0.5 * jnp.sum(jnp.square(r), axis=0), sample_weight)

    def value(self, mean: jax.Array, parameters: Parameters) -> jax.Array:
        """Return 1/S sum_n s_n E_n."""
        return mean

    def curvature_sums(
        self, network: Network, forward: ForwardPass, targets: jax.Array, sample_weight: jax.Array
    ) -> jax.Array:
        """Compute sum_n s_n (c_k h'(a_nk))^2 over a chunk."""
        slope = get_activation(network.output_activation).slope(forward.pre_activations[-1])
        return weighted_sum(jnp.square(self.units[:, None] * slope), sample_weight)

    def output_curvature(self, mean: jax.Array) -> jax.Array:
        """Return 1/S sum_n s_n (c_k h'(a_nk))^2."""
        return mean


def as_matlab(data: Data, seed: int, alpha: float) -> Result:
    """Minimize MATLAB's objective of both autoencoders, with the given alpha for its weight regularization of 0.001.

    No estimator has it: inputs are mapped to the range of the output units, (0, 1) or (-1, 1), but errors are counted
    in the units of X.
    """
    return {name: _matlab_error(data, seed, alpha, **options) for name, options in _both(data).items()}


def as_sparsam(data: Data, seed: int, alpha: float, beta: float) -> Result:
    """Fit both with inputs and errors mapped to [0, 1]."""
    scales = {"alpha": alpha, "beta": beta, "rho": RHO, "random_state": seed}
    return {
        name: _mean_squared(data.abalone, make_pipeline(MinMaxScaler(), SparseAutoencoder(**options, **scales)))
        for name, options in _both(data).items()
    }


def _both(data: Data) -> dict[str, dict[str, Any]]:
    both = {"default": DEFAULT, "few": FEW}
    return {name: options | {"max_iter": data.at_most(options["max_iter"])} for name, options in both.items()}


def _matlab_error(
    data: Data, seed: int, alpha: float, n_components: int, output_activation: str, max_iter: int
) -> float:
    scaler = MinMaxScaler((0, 1) if output_activation == "logistic" else (-1, 1))
    Z = scaler.fit_transform(data.abalone)
    network = Network((Z.shape[1], n_components, Z.shape[1]), "logistic", output_activation)
    error = ErrorInUnitsOfX(1 / scaler.scale_)
    objective = Objective(network, (error, WeightDecay(alpha), KLSparsity(RHO, BETA)))
    theta = np.random.default_rng(seed).uniform(-SMALL, SMALL, network.n_parameters)
    with precision("float64"):
        samples = Samples.from_arrays(Z, chunk_size=len(Z), dtype="float64")
        theta = train(objective, samples, theta, dtype="float64", max_iter=max_iter).theta
        outputs = np.asarray(network.forward(network.unravel(theta), Z.T).outputs).T
    return float(np.mean((data.abalone - scaler.inverse_transform(outputs)) ** 2))


def _mean_squared(X: NDArray[np.float64], pipe: Any) -> float:
    """Fit a pipeline, and return MATLAB's mse(X - Y): the mean over samples and features, in the units of X."""
    Y = pipe[0].inverse_transform(pipe.fit(X).predict(X))
    return float(np.mean((X - Y) ** 2))


SEEDS = (0, 1, 2, 3, 4)

ROW = Row(
    name="abalone",
    title="MathWorks: abalone",
    source="[trainAutoencoder](https://www.mathworks.com/help/deeplearning/ref/trainautoencoder.html)",
    protocol=(
        "4,177 abalone, eight inputs (sex as 1, 2, 3 for M, F, I), mapped to the range of the output units; errors, "
        "those of the objective too, are in the units of the inputs, as MATLAB's networks count them by default (that "
        "its sparse error does so is inferred, not read). trainAutoencoder's defaults: 10 units, weight "
        "regularization 0.001, sparsity regularization 1, proportion 0.05, 1000 epochs; then 4 units, linear outputs, "
        "400 epochs. By [the scales](../docs/guide/scales.md) beta is 0.5, and alpha 0.0005 as documented, or 0.001 as "
        "in the code. Both are minimized here; MATLAB's scaled conjugate gradients end after the epochs, which may be "
        "before."
    ),
    needs=("abalone.csv",),
    figures=(
        Figure("default", "mean squared error, defaults", "0.0167", 0.0167, higher=False, form=".3g"),
        Figure("few", "4 units, linear outputs", "0.0044 to 0.0046", 0.0046, higher=False, form=".3g"),
    ),
    ways=(
        Way("as documented", partial(as_matlab, alpha=5e-4), SEEDS),
        Way("as in the code", partial(as_matlab, alpha=1e-3), SEEDS),
        Way("errors of scaled inputs", partial(as_sparsam, alpha=5e-4, beta=BETA), SEEDS),
        Way("errors of scaled inputs, without penalties", partial(as_sparsam, alpha=0.0, beta=0.0), SEEDS),
    ),
)
