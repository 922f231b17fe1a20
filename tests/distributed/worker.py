"""A process of a distributed run: fits its part of the rows, and the first one writes down what came out.

Run as ``python worker.py FOLDER ADDRESS N_PROCESSES PROCESS_ID``; job.json and rows.npz lie in the folder.
"""

import json
import sys
import warnings
from pathlib import Path

import jax
import numpy as np


def main(folder, address, n_processes, process_id):
    job = json.loads((folder / "job.json").read_text())
    if n_processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, n_processes, process_id)
    from sparsam import SparseAutoencoder, compilation
    from sparsam.devices import all_devices
    from sparsam.estimators import read_rows

    compilation.CPU_OPTIONS["xla_backend_optimization_level"] = 0  # compiles in a third of the time
    warnings.simplefilter("ignore")
    X = np.load(folder / "rows.npy")
    held = X[job["cuts"][process_id] : job["cuts"][process_id + 1]]
    file = folder / f"rows-{process_id}.npy"
    np.save(file, held)
    results = {"n_devices": jax.device_count()}
    for variant in job["variants"]:
        read_rows.HELD_BYTES, read_rows.PIECE_BYTES = 0, 25 * 4 * X.shape[1]
        own = np.load(file, mmap_mode="r") if variant["stored"] else held
        if process_id:
            job["parameters"]["random_state"] = None  # the first process draws the weights for all
        model = SparseAutoencoder(**job["parameters"], dtype=variant["dtype"], mesh=all_devices()).fit(own)
        results[json.dumps(variant)] = {
            "J": model.loss_curve_,
            "gradient_norm": model.history_["gradient_norm"].tolist(),
            "mean_activation": model.mean_activation_.tolist(),
        }
    if process_id == 0:
        (folder / "result.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
