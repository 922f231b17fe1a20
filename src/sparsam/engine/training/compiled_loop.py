"""Compiled loop over the minimizer's steps, each an evaluation of J, with records of the iterates."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sparsam.engine.data.samples import Samples
from sparsam.engine.minimizer import lbfgs
from sparsam.engine.objective.objective import Evaluation, Objective

__all__ = ["MAX_STEPS", "LoopRecords", "run_loop", "tell_and_record"]

MAX_STEPS = 256


class LoopRecords(NamedTuple):
    """Records of a burst of steps: a row for each accepted iterate, in the first ``n_accepted`` rows."""

    evaluations: jax.Array
    gradient_norm: jax.Array
    terms: jax.Array
    n_accepted: jax.Array
    steps: jax.Array
    evaluations_before: jax.Array
    last_terms: jax.Array
    needs_factors: jax.Array


def run_loop(
    objective: Objective, samples: Samples, state: lbfgs.LBFGSState, steps: int, pause: int
) -> tuple[lbfgs.LBFGSState, LoopRecords]:
    """Run at most ``steps`` evaluations, fewer if the minimizer stops, needs factors or reaches iteration ``pause``.

    Iteration 0 counts as reached only once the initial weights have been evaluated.
    """
    dtype, n_terms = state.theta.dtype, len(objective.terms)
    records = LoopRecords(
        evaluations=jnp.zeros(MAX_STEPS, jnp.int32),
        gradient_norm=jnp.zeros(MAX_STEPS, dtype),
        terms=jnp.zeros((MAX_STEPS, n_terms), dtype),
        n_accepted=jnp.zeros((), jnp.int32),
        steps=jnp.zeros((), jnp.int32),
        evaluations_before=state.evaluations,
        last_terms=jnp.zeros(n_terms, dtype),
        needs_factors=jnp.asarray(False),
    )

    def unfinished(carry: tuple[lbfgs.LBFGSState, LoopRecords]) -> jax.Array:
        state, records = carry
        at_pause = (state.iteration >= pause) & (state.evaluations > 0)
        return (records.steps < steps) & (state.status == lbfgs.RUNNING) & ~records.needs_factors & ~at_pause

    def step(carry: tuple[lbfgs.LBFGSState, LoopRecords]) -> tuple[lbfgs.LBFGSState, LoopRecords]:
        state, records = carry
        evaluation = objective.evaluate(lbfgs.ask(state), samples)
        state = lbfgs.tell(state, evaluation.value, evaluation.gradient)
        # The next trial overwrites the row of a rejected one.
        row = records.n_accepted
        return state, records._replace(
            evaluations=records.evaluations.at[row].set(state.evaluations),
            gradient_norm=records.gradient_norm.at[row].set(state.gradient_norm),
            terms=records.terms.at[row].set(evaluation.terms),
            n_accepted=row + state.accepted,
            steps=records.steps + 1,
            last_terms=evaluation.terms,
            needs_factors=lbfgs.needs_factors(state),
        )

    return jax.lax.while_loop(unfinished, step, (state, records))


def tell_and_record(state: lbfgs.LBFGSState, evaluation: Evaluation) -> tuple[lbfgs.LBFGSState, LoopRecords]:
    """Update the minimizer with an evaluation, and record it as a burst of one step."""
    before = state.evaluations
    state = lbfgs.tell(state, evaluation.value, evaluation.gradient)
    return state, LoopRecords(
        evaluations=state.evaluations[None],
        gradient_norm=state.gradient_norm[None],
        terms=evaluation.terms[None],
        n_accepted=state.accepted.astype(jnp.int32),
        steps=jnp.ones((), jnp.int32),
        evaluations_before=before,
        last_terms=evaluation.terms,
        needs_factors=lbfgs.needs_factors(state),
    )
