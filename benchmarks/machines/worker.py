"""Process of the measurement: ``python -m benchmarks.machines.worker ADDRESS N_PROCESSES PROCESS_ID N_ROWS``.

Process 0 prints the seconds of an evaluation of J and its gradient, by number of rows.
"""

from __future__ import annotations

import json
import sys
import time

import jax
import numpy as np


def main(address: str, n_processes: int, process_id: int, row_counts: list[int]) -> None:
    """Time evaluations with the rows divided among the processes."""
    if n_processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, n_processes, process_id)
    from sparsam.engine import KLSparsity, Network, Objective, SquaredError, WeightDecay, all_devices
    from sparsam.engine.data.samples import Samples, choose_chunk_size, on_every_device

    network = Network((64, 25, 64))
    terms = (SquaredError(), WeightDecay(np.float32(1e-4)), KLSparsity(np.float32(0.01), np.float32(3.0)))
    objective = Objective(network, terms)  # type: ignore[arg-type]
    theta = network.initialize(np.random.RandomState(0)).astype(np.float32)
    evaluate = jax.jit(on_every_device(Objective.evaluate))
    seconds = {}
    for n_rows in row_counts:
        own = n_rows // n_processes
        rows = np.random.default_rng(process_id).uniform(0.1, 0.9, (own, 64)).astype(np.float32)
        size = choose_chunk_size(n_rows, network.layer_sizes)
        samples = Samples.from_arrays(rows, chunk_size=min(size, 4096), dtype="float32", mesh=all_devices())
        times = []
        for _ in range(4 if n_rows > 10_000 else 100):
            start = time.perf_counter()
            jax.block_until_ready(evaluate(objective, theta, samples))
            times.append(time.perf_counter() - start)
        seconds[n_rows] = float(np.median(times[1:]))
    if process_id == 0:
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(count) for count in sys.argv[4:]])
