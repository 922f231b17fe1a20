"""Compare full, diagonal and spherical noise covariances by held-out log-likelihood (PRML exercise 5.3)."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import warnings
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from sklearn.impute import SimpleImputer
from sklearn.model_selection import ShuffleSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.progress import say
from benchmarks.records import Records
from sparsam import MultivariateNormalRegressor

__all__ = ["DATASETS", "N_SPLITS", "covariance"]

DATASETS = ("enb", "scpf", "log scpf", "sarcos")
"""The targets of scpf are counts from 0 to 938, three quarters of them at most 13; ln(1 + t) is closer to normal."""
N_SPLITS = 10
STRUCTURES = ("full", "diag", "spherical")
HIDDEN_LAYERS = ((), (20,), (50,), (100,), (50, 50))
ALPHAS = (1e-2, 3e-2, 1e-1, 3e-1)
HOLD_OUTS = {"scpf": 3, "log scpf": 3}
"""Number of times that a fifth of the training part is held out for the choice; more if few samples dominate."""


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Load the inputs and targets of a data set."""
    folder = Path(os.environ["SPARSAM_DATA"])
    if name == "sarcos":
        table = loadmat(folder / "sarcos_inv_test.mat")["sarcos_inv_test"]
        return table[:, :21], table[:, 21:]
    arrays = np.load(folder / f"{name.removeprefix('log ')}.npz")
    return arrays["X"], np.log1p(arrays["Y"]) if name.startswith("log ") else arrays["Y"]


def split(name: str, seed: int) -> tuple[np.ndarray, ...]:
    """Split off 20 % of the data as the test part; impute and standardize inputs by the training part."""
    X, Y = load(name)
    training, test = train_test_split(np.arange(len(X)), test_size=0.2, random_state=seed)
    prepare = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(X[training])
    return prepare.transform(X[training]), Y[training], prepare.transform(X[test]), Y[test]


def tuned(structure: str, X: np.ndarray, Y: np.ndarray, n_hold_outs: int, seed: int) -> MultivariateNormalRegressor:
    """Choose hidden layers and alpha by likelihood on held-out training rows, and train on the whole training part."""

    def fit(hidden: tuple[int, ...], alpha: float, rows: np.ndarray, max_iter: int) -> MultivariateNormalRegressor:
        model = MultivariateNormalRegressor(
            hidden,
            covariance=structure,
            alpha=alpha,
            early_stopping=False,
            cv=None,
            dtype="float32",
            random_state=seed,
            max_iter=max_iter,
        )
        return model.fit(X[rows], Y[rows])

    def held_out(hidden: tuple[int, ...], alpha: float) -> float:
        splits = ShuffleSplit(n_hold_outs, test_size=0.2, random_state=seed).split(X)
        return float(
            np.mean([fit(hidden, alpha, rows, 500).mean_log_likelihood(X[rest], Y[rest]) for rows, rest in splits])
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = max(product(HIDDEN_LAYERS, ALPHAS), key=lambda setting: held_out(*setting))
        return fit(*best, np.arange(len(X)), 2000)


def covariance(records: Records, peer_python: str | None) -> None:
    """Measure everything that is not in the records yet; NGBoost runs with another interpreter, if one is given."""
    for name, seed in product(DATASETS, range(N_SPLITS)):
        key = f"covariance/{name}/{seed}"
        if key not in records:
            records.add(key, section="covariance", data=name, seed=seed, **measure(name, seed))
        peer = f"ngboost/{name}/{seed}"
        if peer_python and peer not in records:
            arrays = dict(zip(("X", "Y", "X_test", "Y_test"), split(name, seed), strict=True))
            result = run_peer(peer_python, "ngboost", arrays)
            records.add(peer, section="ngboost", data=name, seed=seed, **result)
            say(f"{peer}: {result['log_likelihood']:.4f} nats, {result['seconds']:.0f} s")


def measure(name: str, seed: int) -> dict[str, Any]:
    """Measure the held-out likelihood of each structure, and the gain from the correlation of the residuals."""
    X, Y, X_test, Y_test = split(name, seed)
    row: dict[str, Any] = {"sparsam": version("sparsam")}
    for structure in STRUCTURES:
        start = time.perf_counter()
        model = tuned(structure, X, Y, HOLD_OUTS.get(name, 1), seed)
        row[structure] = {
            "log_likelihood": model.mean_log_likelihood(X_test, Y_test),
            "R2": model.score(X_test, Y_test),
            "hidden_layer_sizes": model.hidden_layer_sizes,
            "alpha": model.alpha,
            "converged": model.converged_,
            "seconds": time.perf_counter() - start,
        }
        if structure == "full":
            R = np.corrcoef((Y_test - model.predict(X_test)).T)
            row["worth"] = float(-0.5 * np.linalg.slogdet(R)[1])
            # The same network without the off-diagonal elements of C shows the gain from C alone.
            diagonal = model.covariance_ * np.eye(len(model.covariance_))
            model.covariance_ = diagonal
            row["same_net_diag"] = model.mean_log_likelihood(X_test, Y_test)
    gain = row["full"]["log_likelihood"] - row["diag"]["log_likelihood"]
    say(f"{name} {seed}: full {row['full']['log_likelihood']:.4f}, gain {gain:.4f} of {row['worth']:.4f} nats")
    return row


def run_peer(python: str, peer: str, arrays: dict[str, np.ndarray], **options: Any) -> dict[str, Any]:
    """Run a peer in its own environment; return its printed results."""
    import json

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, **arrays)
        command = [python, str(Path(__file__).with_name("peers.py")), peer, str(file), json.dumps(options)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"{peer} failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])
