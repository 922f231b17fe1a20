"""A process of a distributed run, which fits its part of the rows in several ways and writes the results.

Run as ``python worker.py FOLDER ADDRESS N_PROCESSES PROCESS_ID``; job.json and rows.npz lie in the folder.
"""

import json
import sys
import warnings
from pathlib import Path

import jax
import numpy as np

ATTRIBUTES = ("mean_activation_", "covariance_", "epsilon_", "validation_scores_")


class Failing:
    """Chunks of a source that fails for good after several passes."""

    def __init__(self, rows, readings):
        self.rows, self.readings = rows, readings

    def __iter__(self):
        self.readings -= 1
        for k, rows in enumerate(np.array_split(self.rows, 4)):
            if k == 2 and self.readings < 0:
                raise OSError("the disk is gone")
            yield rows


def tangents(X):
    return X[:, None, ::-1] * 0.1


def fit(variant, rows, file, process_id):
    import sparsam
    from sparsam.engine.data.devices import all_devices
    from sparsam.estimators._data import dataset
    from sparsam.estimators._training import train_estimator

    parameters = variant["parameters"] | {"mesh": all_devices()}
    if process_id:  # only the first process's random numbers count
        parameters |= {"random_state": None} | variant.get("others", {})
    if "checkpoint" in variant:
        parameters["checkpoint"] = sparsam.Checkpoint(file.parent / "checkpoints", **variant["checkpoint"])
    if variant.get("tangents"):
        parameters["tangents"] = tangents
    is_stored = process_id in variant.get("stored", [])
    X = np.load(file, mmap_mode="r") if is_stored else rows["X"]
    if variant.get("sampled"):  # make samples of so few rows
        train_estimator.ROWS_PER_WEIGHT = 1
        dataset.choose_chunk_size = lambda *arguments: 4
    if variant.get("fails") == process_id:
        X = Failing(rows["X"], 5)
    with_it = {"y": rows[variant["targets"]]} if "targets" in variant else {}
    if variant.get("weights"):
        with_it["sample_weight"] = rows["weights"]
    model = getattr(sparsam, variant["estimator"])(**parameters).fit(X, **with_it)
    found = {name: np.asarray(getattr(model, name)).tolist() for name in ATTRIBUTES if hasattr(model, name)}
    found["shares"] = list(model.sample_history_.get("share", ()))
    found["resumed"] = int("resumed" in model.history_)
    last_layer = model.coefs_[-1].ravel().tolist()
    return found | {"J": model.loss_curve_, "gradient_norm": model.history_["gradient_norm"].tolist(), "w": last_layer}


def main(folder, address, n_processes, process_id):
    job = json.loads((folder / "job.json").read_text())
    if n_processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, n_processes, process_id)
    from sparsam._utils import jit as compilation
    from sparsam.engine.data import sources
    from sparsam.estimators._data import streamed

    compilation.CPU_OPTIONS["xla_backend_optimization_level"] = 0  # takes a third of the compile time
    warnings.simplefilter("ignore")
    part = slice(job["cuts"][process_id], job["cuts"][process_id + 1])
    rows = {name: array[part] for name, array in np.load(folder / "rows.npz").items()}
    file = folder / f"rows-{process_id}.npy"
    np.save(file, rows["X"])
    sources.HELD_BYTES, streamed.BATCH_BYTES = 0, 25 * 4 * rows["X"].shape[1]
    results = {"n_devices": jax.device_count()}
    for name, variant in job["variants"].items():
        try:
            results[name] = fit(variant, rows, file, process_id)
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {error}"}
    (folder / f"result-{process_id}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
