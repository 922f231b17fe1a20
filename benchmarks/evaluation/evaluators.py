"""Evaluate J and its gradient once, with this library and with the peers in the races."""

from __future__ import annotations

import os

import numpy as np

from benchmarks.evaluation.timing import Calls
from benchmarks.problems import Problem

__all__ = ["JaxEvaluation", "LibraryEvaluation", "NotesEvaluation", "TorchEvaluation"]


def problem_of(n: int, d: int, m: int) -> Problem:
    """Return a sparse autoencoder of a given shape; its values hardly affect the time."""
    return Problem("evaluation", "random", n, d, m, alpha=1e-4, rho=0.1, beta=3.0)


def inputs(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and weights."""
    from benchmarks.problems import initial_weights, make_data

    return make_data(problem), initial_weights(problem, 0)


class LibraryEvaluation:
    """`Objective.evaluate`, compiled, in float32 and with the chunk size that `SparseAutoencoder` chooses."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        import jax

        compiled, operands = library_evaluation(problem_of(n, d, m))
        return {"evaluation": lambda: jax.block_until_ready(compiled(*operands))}


def library_evaluation(problem: Problem):
    """Return the compiled evaluation and its operands: the objective, the weights, the samples."""
    import jax
    import jax.numpy as jnp

    from sparsam.engine import KLSparsity, Network, Objective, Samples, SquaredError, WeightDecay
    from sparsam.engine.data.samples import choose_chunk_size

    data, theta = inputs(problem)
    terms = (SquaredError(), WeightDecay(problem.alpha), KLSparsity(problem.rho, problem.beta))
    objective = Objective(Network(problem.layer_sizes), terms)
    objective = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), objective)
    chunk_size = choose_chunk_size(len(data), problem.layer_sizes)
    samples = Samples.from_arrays(data, chunk_size=chunk_size, dtype="float32")
    return jax.jit(Objective.evaluate), (objective, jnp.asarray(theta, jnp.float32), samples)


class JaxEvaluation:
    """Plain JAX, unchunked, float32."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        import jax
        import jax.numpy as jnp

        from benchmarks.systems.jax_cost import make_cost

        problem = problem_of(n, d, m)
        data, theta = (jnp.asarray(array, jnp.float32) for array in inputs(problem))
        compiled = jax.jit(jax.value_and_grad(make_cost(problem, "float32")))
        return {"evaluation": lambda: jax.block_until_ready(compiled(theta, data))}


class TorchEvaluation:
    """PyTorch, eager, unchunked, float32."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        from benchmarks.systems.torch_lbfgs import TorchSystem

        problem = problem_of(n, d, m)
        data, theta = inputs(problem)
        system = TorchSystem("float32")
        system.prepare(problem, data)
        leaves = system.leaves(theta)

        def call() -> None:
            for leaf in leaves:
                leaf.grad = None
            system.cost(leaves).backward()

        return {"evaluation": call}


class NotesEvaluation:
    """The costs of the reference program, NumPy float64, as written and in place; and that of `sparsam.reference`."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        from benchmarks.programs import notes
        from sparsam import reference

        problem = problem_of(n, d, m)
        data, theta = inputs(problem)
        args = (theta, d, m, problem.alpha, problem.rho, problem.beta, data)
        threads = os.environ["OMP_NUM_THREADS"]
        return {
            f"reference program, float64, threads: {threads}": lambda: notes.as_written(*args),
            f"reference program in place, float64, threads: {threads}": lambda: notes.in_place(*args),
            f"sparsam.reference, float64, threads: {threads}": lambda: reference.sparse_autoencoder_cost(*args),
        }
