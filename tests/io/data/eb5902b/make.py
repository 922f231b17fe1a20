"""Make the sample files in this folder, which the development version at commit eb5902b wrote.

Its files have names that 0.2.0 changed (``cost_``; pairs in ``validation_scores_``) beside attributes that 0.1.0 did
not know. Run it with that version alone, in a clone of the repository at that commit ::

    PYTHONPATH=/path/to/that/clone/src python tests/io/data/eb5902b/make.py

The files, and the names within them, are as ``0.1.0/make.py`` says.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, save
from sparsam.io.pipelines import load_pipeline

HERE = Path(__file__).parent
FITTED = (
    "n_features_in_",
    "cost_",
    "n_iter_",
    "n_evaluations_",
    "gradient_norm_",
    "converged_",
    "stop_reason_",
    "loss_curve_",
)
METHODS = {
    "SparseAutoencoder": ("transform", "score_samples"),
    "MultivariateNormalRegressor": ("predict",),
    "NoisyLabelClassifier": ("predict", "predict_proba"),
}
ATTRIBUTES = {
    "SparseAutoencoder": ("mean_activation_", "explained_variance_ratio_"),
    "MultivariateNormalRegressor": ("covariance_", "predictive_covariance_", "alpha_", "validation_scores_"),
    "NoisyLabelClassifier": ("classes_", "transition_matrix_", "epsilon_", "alpha_", "validation_scores_"),
}
PROFILE = ("epsilon", "held_out", "n_held_out", "best", "interval")


def models():
    """Return the models to be saved by `sparsam.save`, each with its inputs."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (60, 2)) @ rng.uniform(0, 0.5, (2, 5))
    Y = np.stack([np.sin(6 * X[:, 0]), np.cos(6 * X[:, 1])], axis=1) + rng.normal(0, 0.2, size=(60, 2))
    labels = (X[:, 0] > np.median(X[:, 0])) ^ (rng.random(60) < 0.1)
    short = {"max_iter": 30, "random_state": 0}
    return {
        "autoencoder-identity": (SparseAutoencoder(2, output_activation="identity", **short).fit(X), X),
        "regressor-folds": (MultivariateNormalRegressor((3,), cv=3, **short).fit(X, Y), X),
        "classifier-profile": (NoisyLabelClassifier((3,), **short).fit(X, labels), X),
    }


def expected(model, **inputs):
    """Return what a model says of itself, and of its inputs."""
    kind = type(model).__name__
    found = {"parameters": json.dumps(model.get_params(deep=False))}
    found |= {name: getattr(model, name) for name in (*FITTED, *ATTRIBUTES[kind])}
    for name in ("coefs_", "intercepts_"):
        found |= {f"{name}.{layer}": array for layer, array in enumerate(getattr(model, name))}
    found |= {f"history_.{column}": values for column, values in model.history_.items()}
    if getattr(model, "likelihood_profile_", None) is not None:
        found |= {f"likelihood_profile_.{name}": getattr(model.likelihood_profile_, name) for name in PROFILE}
    for name, X in inputs.items():
        found |= {f"{method}({name})": getattr(model, method)(X) for method in METHODS[kind]}
    return {name: np.asarray(value) for name, value in found.items()}


def write_models(folder):
    """Write what `sparsam.save` writes."""
    for name, (model, X) in models().items():
        save(model, folder / f"{name}.safetensors", overwrite=True)
        np.savez_compressed(folder / f"{name}.npz", X=X, **expected(model, X=X))


def write_pipeline(folder):
    """Write what `sparsam regress` writes, of the table of 0.1.0."""
    table = folder.parent / "0.1.0" / "table.csv"
    options = ("--target", "height", "--target", "width", "--ignore", "kind", "--max-iter", "5", "--cv", "3")
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "sparsam", "regress", table, *options, "--hidden-layer-sizes", "3"]
        subprocess.run([*command, "--out", out, "--overwrite"], check=True)
        content = (Path(out) / "model.skops").read_bytes()
        fitted = load_pipeline(Path(out) / "model.skops")
    (folder / "regress.skops.gz").write_bytes(gzip.compress(content, mtime=0))
    rows = pd.read_csv(table)
    found = expected(fitted.pipeline[-1]) | {"predict(table)": fitted.predict(rows)}
    found |= {"transform(table)": fitted.pipeline[:-1].transform(fitted.take_inputs(rows))}
    found |= {"inputs": np.array(fitted.inputs), "targets": np.array(fitted.targets)}
    np.savez_compressed(folder / "regress.npz", **found)


if __name__ == "__main__":
    if hasattr(MultivariateNormalRegressor, "log_density"):  # which later versions have
        raise SystemExit("this is not the version at eb5902b: the docstring says how to get it")
    write_models(HERE)
    write_pipeline(HERE)
