"""Planted label errors: compare detectors of wrong labels, in sample, across folds, and cleanlab's."""

from __future__ import annotations

import time
import warnings
from itertools import product
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from benchmarks.likelihoods.covariance import run_peer
from benchmarks.likelihoods.labels import flipped, load, transitions
from benchmarks.progress import say
from benchmarks.records import Records
from sparsam import NoisyLabelClassifier

__all__ = ["LOAD", "MNIST", "NETWORKS", "TABLES", "suspects"]

MNIST = ("symmetric 0.2", "pairwise 0.42")
TABLES = ("symmetric 0.2", "pairwise 0.35")  # two classes are hardly told apart with 42 % of their labels exchanged
LOAD = {"wine": load_wine, "breast cancer": load_breast_cancer, "digits": load_digits}
NETWORKS = ("known", "estimated", "to the minimum", "plain", "MLPClassifier")
JOBS = (
    *product(("MNIST",), MNIST, ("known", "MLPClassifier", "plain")),
    *product(LOAD, TABLES, ("estimated", "to the minimum")),
    *product(("MNIST",), MNIST, ("estimated",)),
)
N_SEEDS = 3
N_FOLDS = 5
TUNED = {"early_stopping": True, "tol": 1e-4}
ALPHAS = (3e-4, 3e-3)  # of the tuned networks

Data = dict[str, np.ndarray]
Found = dict[str, dict[str, float]]
"""Figures of each detector that uses a network."""


def suspects(records: Records, peer_python: str | None) -> None:
    """Measure everything that is not in the records yet; cleanlab runs with another interpreter, if one is given."""
    for (name, noise, network), seed in product(JOBS, range(N_SEEDS)):
        key = f"suspects/{name}/{noise}/{network}/{seed}"
        needs_peer = network in ("plain", "MLPClassifier")
        if key in records or (needs_peer and not peer_python):
            continue
        data = load(noise, seed) if name == "MNIST" else load_table(name, noise, seed)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = (
                by_cleanlab(data, network, seed, peer_python or "") if needs_peer else own(data, noise, network, seed)
            )
        row = {"seconds": time.perf_counter() - start, "detectors": found}
        records.add(key, section="suspects", data=name, noise=noise, network=network, seed=seed, **row)
        say(f"{key}: {found}, {row['seconds']:.0f} s")


def load_table(name: str, noise: str, seed: int) -> Data:
    """Load a table of scikit-learn with standardized columns, and noisy and true labels."""
    X, true = LOAD[name](return_X_y=True)
    given = flipped(true, transitions(noise, true.max() + 1), np.random.default_rng(seed))
    return {"X": StandardScaler().fit_transform(X).astype(np.float32), "given": given, "labels": true}


def own(data: Data, noise: str, network: str, seed: int) -> Found:
    """Fit a network; judge the labels by it, and by networks that were trained on other rows.

    Known noise is given, with an alpha of the grid, and labels are held out to stop early. Estimated noise, and known
    noise with a training to the minimum, have the other settings of a first try.
    """
    epsilon: Any = transitions(noise, data["labels"].max() + 1)
    if network == "estimated":
        epsilon = "estimate" if noise.startswith("symmetric") else "estimate_matrix"
    settings: dict[str, Any] = {"early_stopping": "auto" if network == "estimated" else False}
    if network == "known":
        settings = {"alpha": ALPHAS, **TUNED}
    model = NoisyLabelClassifier(hidden(data), epsilon=epsilon, random_state=seed, **settings)
    model.fit(data["X"], data["given"])
    wrong = data["given"] != data["labels"]
    return {
        name: figures(wrong, model.label_error_proba(data["X"], data["given"], cv=cv))
        for name, cv in (("in sample", None), ("across folds", N_FOLDS))
    }


def by_cleanlab(data: Data, network: str, seed: int, python: str) -> Found:
    """Let cleanlab judge the labels by networks for right labels, trained on other rows: ours or an MLPClassifier."""
    arrays = {name: data[name] for name in ("X", "given", "labels")}
    if network == "plain":
        X, given = data["X"], data["given"]
        options = {"epsilon": 0.0, "random_state": seed, **TUNED}
        alpha = NoisyLabelClassifier(hidden(data), alpha=ALPHAS, **options).fit(X, given).alpha_
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
        model = NoisyLabelClassifier(hidden(data), alpha=alpha, **options)
        arrays["probabilities"] = cross_val_predict(model, X, given, cv=folds, method="predict_proba")
    return run_peer(python, "suspects", arrays, seed=seed)


def hidden(data: Data) -> tuple[int, ...]:
    """Return the hidden layer: 200 units for MNIST, and the default for tables."""
    return (200,) if data["X"].shape[1] == 784 else (50,)


def figures(wrong: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Score the probabilities that labels are wrong: their ranking, and the precision of the strongest suspects."""
    ranking = np.argsort(-probabilities, kind="stable")
    n_estimated, n_planted = round(float(probabilities.sum())), int(wrong.sum())
    return {
        "auc": float(roc_auc_score(wrong, probabilities)),
        "n_estimated": n_estimated,
        "n_planted": n_planted,
        "precision": float(wrong[ranking[: max(n_estimated, 1)]].mean()),
        "precision_at_planted": float(wrong[ranking[:n_planted]].mean()),
    }
