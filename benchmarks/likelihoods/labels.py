"""Digits with planted label errors: compare plain cross-entropy, known and estimated noise, and cleanlab."""

from __future__ import annotations

import os
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.likelihoods.covariance import run_peer
from benchmarks.progress import say
from benchmarks.records import Records
from sparsam import NoisyLabelClassifier
from sparsam.estimators._labels.noise_model import symmetric

__all__ = ["NOISES", "labels"]

NOISES = ("symmetric 0.0", "symmetric 0.2", "symmetric 0.4", "symmetric 0.6", "pairwise 0.45")
N_SEEDS = 3
ALPHAS = (3e-4, 1e-3, 3e-3, 1e-2)


def transitions(noise: str, n_classes: int = 10) -> np.ndarray:
    """Return T of a kind of noise: labels become any other class, or the next one."""
    kind, rate = noise.split()
    if kind == "symmetric":
        return symmetric(float(rate), n_classes)
    return (1 - float(rate)) * np.eye(n_classes) + float(rate) * np.roll(np.eye(n_classes), 1, axis=1)


def flipped(true: np.ndarray, T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw given labels from true labels."""
    return (T[true].cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1)


def load(noise: str, seed: int) -> dict[str, np.ndarray]:
    """Load 10,000 training digits with noisy and true labels, and the test digits."""
    arrays = np.load(Path(os.environ["SPARSAM_DATA"]) / "mnist.npz")
    rng = np.random.default_rng(seed)
    rows = rng.permutation(60_000)[:10_000]
    true = arrays["y_train"][rows].astype(int)
    given = flipped(true, transitions(noise), rng)
    return {
        "X": arrays["x_train"][rows].reshape(-1, 784).astype(np.float32) / 255,
        "given": given,
        "labels": true,
        "X_test": arrays["x_test"].reshape(-1, 784).astype(np.float32) / 255,
        "y_test": arrays["y_test"].astype(int),
    }


def build(epsilon: Any, seed: int) -> NoisyLabelClassifier:
    """Make the network that all methods use: a hidden layer of 200, early stopping, alpha by held-out likelihood."""
    return NoisyLabelClassifier((200,), epsilon=epsilon, alpha=ALPHAS, early_stopping=True, random_state=seed, tol=1e-4)


def measure(method: str, noise: str, seed: int) -> dict[str, Any]:
    """Measure test accuracy and log-loss on the true labels, and the detection of planted errors."""
    data = load(noise, seed)
    T = transitions(noise)
    epsilon = {"plain": 0.0, "known": T, "estimate": "estimate", "estimate_matrix": "estimate_matrix"}[method]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build(epsilon, seed).fit(data["X"], data["given"])
    seconds = time.perf_counter() - start
    probabilities = model.predict_proba(data["X_test"])
    wrong = data["given"] != data["labels"]
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == data["y_test"])),
        "log_loss": float(log_loss(data["y_test"], probabilities, labels=np.arange(10))),
        "auc": float(roc_auc_score(wrong, model.label_error_proba(data["X"], data["given"]))) if wrong.any() else None,
        "epsilon": model.epsilon_,
        "largest_error_of_T": float(np.abs(model.transition_matrix_ - T).max()),
        "interval": None if model.likelihood_profile_ is None else model.likelihood_profile_.interval,
        "alpha": model.alpha_,
        "n_iter": model.n_iter_,
        "seconds": seconds,
    }


def labels(records: Records, peer_python: str | None) -> None:
    """Measure everything that is not in the records yet; cleanlab runs with another interpreter, if one is given."""
    for seed, noise in product(range(N_SEEDS), NOISES):
        estimate = "estimate" if noise.startswith("symmetric") else "estimate_matrix"
        for method in ("plain", "known", estimate, "cleanlab"):
            key = f"labels/{noise}/{method}/{seed}"
            if key in records or (method == "cleanlab" and not peer_python):
                continue
            if method == "cleanlab":
                row = run_peer(peer_python or "", "cleanlab", load(noise, seed), seed=seed)
            else:
                row = measure(method, noise, seed)
            records.add(key, section="labels", noise=noise, method=method, seed=seed, **row)
            say(f"{key}: accuracy {row['accuracy']:.4f}, log-loss {row['log_loss']:.4f}, {row['seconds']:.0f} s")
