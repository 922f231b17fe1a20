"""Kill fits at random moments and resume them until they are done; print the results.

Run as ``python killed.py FOLDER N_KILLS SEED``. A process that has imported everything, but not started JAX, forks a
child for each fit, so that no import is repeated after a kill. Writing to the disk is made slow, so that many kills
happen during a write.
"""

import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import jax
import numpy as np

from sparsam import Checkpoint, MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 0.9, (300, 8))
LABELS = (X[:, 0] > 0.5).astype(int)
QUICK = {"solver": "lbfgs"}  # without factors, since restarted fits spend most of their time tracing


def autoencoder(**options):
    return SparseAutoencoder(3, rho=0.2, beta=0.5, random_state=0, max_iter=60, tol=0.0, **options).fit(X)


def regressor(**options):
    model = MultivariateNormalRegressor(
        (3,), random_state=0, max_iter=30, tol=0.0, early_stopping=True, cv=None, **QUICK, **options
    )
    return model.fit(X[:, 2:], X[:, :2])


def classifier(**options):
    model = NoisyLabelClassifier(
        (), epsilon=0.1, alpha=(1e-3, 1e-2), max_iter=10, tol=0.0, random_state=0, **QUICK, **options
    )
    return model.fit(X, LABELS)


def fit(make, folder, file, n_fits):
    """Fit in a child process, and write the weights and the history to a file."""
    child = os.fork()
    if child:
        return child
    try:
        warnings.simplefilter("ignore")
        jax.config.update("jax_compilation_cache_dir", str(folder.parent / "cache"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        options = {}
        if n_fits:
            fsync = os.fsync
            os.fsync = lambda descriptor: (time.sleep(0.02), fsync(descriptor))[1]
            options = {"checkpoint": Checkpoint(folder, every=0, resume=True)}
        model = make(**options)
        history = model.history_.drop(columns="seconds")
        resumed = int(history.pop("resumed").iloc[-1]) if "resumed" in history else 0
        bits = [array.tobytes().hex() for array in (*model.coefs_, *model.intercepts_)]
        content = {"bits": bits, "history": history.to_numpy().tolist(), "resumed": resumed}
        temporary = file.with_suffix(".part")
        temporary.write_text(json.dumps(content))
        temporary.rename(file)
        os._exit(0)
    finally:
        os._exit(1)


def main(folder, n_kills, seed):
    rng = np.random.default_rng(seed)
    kills, runs, inside_a_write = 0, [], 0
    makes = (autoencoder, regressor, classifier)
    expected, durations = {}, {}
    for make in makes:
        file = folder / f"{make.__name__}.json"
        for _ in range(2):  # the second time its programs are compiled already
            start = time.monotonic()
            os.waitpid(fit(make, folder / "none", file, 0), 0)
            durations[make] = time.monotonic() - start
        expected[make] = json.loads(file.read_text())
    while kills < n_kills:
        make = makes[len(runs) % len(makes)]
        checkpoints, file = folder / f"run-{len(runs)}", folder / f"run-{len(runs)}.json"
        n_fits, status = 0, -1
        while status != 0:
            n_fits += 1
            child = fit(make, checkpoints, file, n_fits)
            deadline, wanted = time.monotonic() + rng.uniform(0.0, 2.0 * durations[make]), kills < n_kills
            while time.monotonic() < deadline or not wanted:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    break
                time.sleep(0.002)
            else:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kills, status = kills + 1, -1
                inside_a_write += any(checkpoints.glob(".checkpoint-*.tmp")) if checkpoints.exists() else 0
            if status > 0:
                raise SystemExit(f"a fit of {make.__name__} failed: {status}")
        got = json.loads(file.read_text())
        same = got["bits"] == expected[make]["bits"] and got["history"] == expected[make]["history"]
        runs.append({"model": make.__name__, "same": same, "resumed": got["resumed"]})
    print(json.dumps({"kills": kills, "inside_a_write": inside_a_write, "runs": runs}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
