"""Check that scikit-learn's MLPRegressor minimizes the same J: compare its value and gradient with those by hand."""

from __future__ import annotations

import numpy as np

from benchmarks.problems import Problem, initial_weights, make_data
from benchmarks.records import Records

__all__ = ["plain_check"]


def plain_check(records: Records, problem: Problem) -> None:
    """Compare both at the initial weights, and record the result."""
    if "plain-check" in records:
        return
    from benchmarks.systems.sklearn_mlp import SklearnMLP
    from sparsam import reference

    data, theta = make_data(problem), initial_weights(problem, 0)
    D, M, N = problem.n_features, problem.n_components, len(data)
    W1, W2, b1, b2 = np.split(theta, np.cumsum([D * M, M * D, M]))
    coefs, intercepts = [W1.reshape(D, M), W2.reshape(M, D)], [b1, b2]
    J, *by_hand = reference.network_cost(
        coefs, intercepts, data, data, output_activation="identity", alpha=problem.alpha
    )

    system = SklearnMLP()
    system.prepare(problem, data)
    model = system.model
    model.coefs_, model.intercepts_ = coefs, intercepts
    # Its L-BFGS uses this private back-propagation.
    activations = [data, np.empty((N, M)), np.empty((N, D))]
    deltas = [np.empty((N, M)), np.empty((N, D))]
    coef_gradients = [np.empty_like(coef) for coef in coefs]
    intercept_gradients = [np.empty_like(intercept) for intercept in intercepts]
    their_value, *theirs = model._backprop(data, data, None, activations, deltas, coef_gradients, intercept_gradients)

    ours_flat, theirs_flat = (
        np.concatenate([array.ravel() for arrays in gradients for array in arrays]) for gradients in (by_hand, theirs)
    )
    decay = 0.5 * problem.alpha * sum(float(np.sum(coef**2)) for coef in coefs)
    records.add(
        "plain-check",
        section="plain-check",
        of="plain",
        J=J,
        their_value=float(their_value),
        value_averaged=(J - decay) / D + decay,
        n_outputs=D,
        gradient_difference=float(np.linalg.norm(theirs_flat - ours_flat) / np.linalg.norm(ours_flat)),
    )
