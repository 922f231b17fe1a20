"""Minimize an objective with kinks, to a point where no direction leads down.

J of ReLU units has a kink wherever the pre-activation of a unit on a row is 0: its gradient jumps there. Minima with L1
sparsity lie on kinks, since whether a unit is active on a row is what the penalty decides: near a minimum the gradient
is far from 0 on either side of them, and line searches fail long before.

So the training minimizes J with its kinks rounded over a width: J_w, in which h(a) is a parabola for |a| < w
(`Activation.rounded`). J_w is smooth, equal to J except within the width, and larger than it by at most ``w/4`` in each
activation. The training begins with a large width, whose minimum is found fast, and narrows it, each time from the
weights reached. At the last width it goes on until no component of the gradient of J_w exceeds tol.

What that says of J: the slope of a rounded unit, h'(a) for |a| < w, is in [0, 1], between the slopes on the two sides
of the kink. So the gradient of J_w is a mean of gradients of J with these kinks on either side, and if it vanishes, the
point is stationary in Clarke's sense, up to the width: no direction leads down at first order (X. Chen, "Smoothing
methods for nonsmooth, nonconvex minimization", Math. Program. 134, 2012, section 3; F. H. Clarke, "Optimization and
nonsmooth analysis", 1983, section 2.3).

With many rows `mini_batches` comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from numpy.typing import NDArray

from sparsam._utils.digests import array_digest
from sparsam._utils.jit import quick_jit
from sparsam._utils.stop_signals import interrupts
from sparsam.engine.data.devices import n_processes
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.jax_settings import precision
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.callbacks import FitCallback
from sparsam.engine.training.checkpoints import Checkpointer
from sparsam.engine.training.mini_batches import descend
from sparsam.engine.training.plateau import Plateau
from sparsam.engine.training.result import Training
from sparsam.engine.training.state import Progress
from sparsam.engine.training.streaming import StreamedSamples, evaluate_stream
from sparsam.engine.training.train import train

__all__ = ["LEAST_ROWS", "WIDTHS", "train_with_kinks"]

WIDTHS = (0.2, 0.07, 0.02, 0.007)
"""Widths over which kinks are rounded, one after the other, in units of the root-mean-square deviation of an input:
that of a pre-activation w' x for w of length 1."""

LOOSE = 3e-3
"""The gradient at which a width is narrowed, in units of the width, unless tol is larger: J_w need not be minimized
before the last one."""

MOST_ITERATIONS = 200  # before a width is narrowed

LEAST_ROWS = 4096
"""Number of rows from which a training begins on mini-batches. For fewer rows full-data steps are as fast."""


def train_with_kinks(
    objective: Objective,
    samples: Samples | StreamedSamples,
    theta: NDArray[np.floating],
    *,
    tol: float,
    max_iter: int,
    new_weights: bool = True,
    mini_batches: Samples | None = None,
    seed: int = 0,
    dtype: str = "float32",
    solver: str = "kronecker-lbfgs",
    time_budget: float | None = None,
    callbacks: Sequence[FitCallback] = (),
    checkpointer: Checkpointer | None = None,
    plateau: Plateau | None = None,
) -> Training:
    """Minimize an objective with kinks over samples, starting at the weights theta.

    Parameters
    ----------
    objective, samples, theta, solver, dtype, time_budget, callbacks, checkpointer, plateau
        As for `sparsam.engine.train`. Inputs have a root-mean-square length of 1, about their mean.
    tol : float
        The training has converged when no component of the gradient of J, with kinks rounded over the last width, is
        larger.
    max_iter : int
        Maximum number of iterations, at all widths together; without the steps on mini-batches.
    new_weights : bool
        Whether theta is new; from the result of another training the last width is enough.
    mini_batches : Samples or None
        Rows to draw mini-batches from, all of the samples or a part of them; None to begin with full-data steps.
    seed : int
        Seed of their order.

    Returns
    -------
    Training
        J and its terms at the end are those without rounding, ``gradient_norm`` is that with kinks rounded.
    """
    deviation = objective.network.layer_sizes[0] ** -0.5  # of an input, and of w' x for w of length 1
    training = Training(theta=theta, stop_reason="", tol=tol)
    if mini_batches is not None:
        with precision(dtype):
            descent = descend(
                objective,
                mini_batches,
                np.asarray(theta, dtype),
                total_weight=float(samples.total_weight),
                seed=seed,
                time_budget=time_budget,
                callbacks=callbacks,
                checkpointer=checkpointer,
            )
        if descent.stop_reason != "not_finite":  # otherwise begin again with all rows
            training = replace(descent, tol=tol)

    sampled = training.sampled
    widths = (WIDTHS[1:] if sampled else WIDTHS) if new_weights else WIDTHS[-1:]
    for number, width in enumerate(widths):
        if training.stop_reason:
            break
        if checkpointer is not None and (number or sampled):
            checkpointer.begin_part({"from": int(array_digest(training.theta)), "kink_width": width})
        is_last = width == WIDTHS[-1]
        done = training.history[-1].iteration if training.history else 0
        most = max_iter - done if is_last else min(MOST_ITERATIONS, max_iter - done)
        try:
            part = train(
                replace(objective, kink_width=width * deviation),
                samples,
                training.theta,
                solver=solver,
                dtype=dtype,
                tol=tol if is_last else max(tol, LOOSE * width * deviation),
                max_iter=max(most, 0),
                time_budget=None if time_budget is None else max(time_budget - training.timed, 0.0),
                callbacks=callbacks,
                checkpointer=checkpointer,
                plateau=plateau if is_last else None,
                after=training.history[-1] if training.history else None,
            )
        except KeyboardInterrupt:  # before the first evaluation of the part
            begun = training.history or sampled
            if not begun or n_processes(samples.mesh) > 1 or not interrupts.end_fit():
                raise
            training = replace(training, stop_reason="interrupted")
            break
        out_of_iterations = part.stop_reason == "max_iter" and done + most == max_iter
        narrows = not (is_last or out_of_iterations) and part.stop_reason in ("converged", "precision", "max_iter")
        # The first row of a part is the last row of the one before, at another width.
        history = training.history[:-1] + part.history if part.history else training.history
        timed, reason = training.timed + part.timed, "" if narrows else part.stop_reason
        training = replace(part, history=history, timed=timed, tol=tol, sampled=sampled, stop_reason=reason)
    return _without_rounding(training, objective, samples, dtype)


def _without_rounding(
    training: Training, objective: Objective, samples: Samples | StreamedSamples, dtype: str
) -> Training:
    """Replace J at the end by that without rounding; if there is no iterate on all rows yet, make it the first."""
    if training.stop_reason == "not_finite" and not training.history:
        return training
    with precision(dtype):
        exact, theta = jax.tree.map(
            lambda leaf: np.asarray(leaf, dtype), (replace(objective, kink_width=0.0), training.theta)
        )
        if isinstance(samples, StreamedSamples):
            evaluation = evaluate_stream(exact, theta, samples)
        else:
            evaluation = _evaluate(exact, theta, samples)
        value, gradient, terms = jax.device_get(evaluation)
    names = [term.name for term in objective.terms]
    values = dict(zip(names, np.asarray(terms, np.float64).tolist(), strict=True))
    last = training.history[-1] if training.history else Progress(0, 0, 0.0, 0.0, {}, float(np.abs(gradient).max()))
    if not training.history and training.sampled:
        last = replace(last, seconds=training.sampled[-1].seconds)
    last = replace(last, evaluations=last.evaluations + 1, J=float(value), terms=values)
    return replace(training, theta=theta, history=[*training.history[:-1], last])


_evaluate = quick_jit(on_every_device(Objective.evaluate), runs_once=True)
