"""Make the sample files in this folder with version 0.1.0 of sparsam.

Run it with that version only, and again only if samples are added: they test that later versions load files of 0.1.0.
Use a clone of the repository at commit 3d1e9fa, the last one of 0.1.0 before its modules were moved ::

    PYTHONPATH=/path/to/that/clone/src python tests/io/data/0.1.0/make.py

Each model is a ``.safetensors`` or ``.skops`` file (mostly blanks, so packed by gzip). An ``.npz`` beside it has the
results of 0.1.0: the inputs ``X`` (for a ``.skops`` file, the table beside it), the hyperparameters as JSON, and
attributes and predictions in full precision. Their names are expressions to evaluate on the loaded model:
``likelihood_profile_.epsilon``, ``coefs_.0``, ``history_.J``, ``predict(X)``.
"""

import gzip
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, save

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
    "SparseAutoencoder": ("transform", "inverse_transform", "score_samples"),
    "MultivariateNormalRegressor": ("predict",),
    "NoisyLabelClassifier": ("predict", "predict_proba"),
}
ATTRIBUTES = {
    "SparseAutoencoder": ("mean_activation_",),
    "MultivariateNormalRegressor": ("covariance_", "n_outputs_", "validation_scores_"),
    "NoisyLabelClassifier": ("classes_", "transition_matrix_", "epsilon_", "alpha_", "validation_scores_"),
}
PROFILE = ("epsilon", "held_out", "training", "near", "n_held_out", "best", "interval")


def models():
    """Return the models to save with `sparsam.save`, each with its inputs."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (60, 2)) @ rng.uniform(0, 0.5, (2, 5))
    named = pd.DataFrame(X, columns=["length", "width", "Höhe", "a b", "weight"])
    noise = rng.multivariate_normal([0, 0], [[0.04, 0.03], [0.03, 0.04]], size=60)
    Y = np.stack([np.sin(6 * X[:, 0]), np.cos(6 * X[:, 1])], axis=1) + noise
    Y_with_gaps = np.where(rng.random(Y.shape) < [0, 0.2], np.nan, Y)
    labels = (X[:, 0] > np.median(X[:, 0])) ^ (rng.random(60) < 0.1)
    three = np.digitize(X[:, 0], np.quantile(X[:, 0], [0.33, 0.67])) + 10
    words = np.array(["no", "yes"])[labels * 1]
    short = {"max_iter": 30, "random_state": 0}
    autoencoder, regressor, classifier = SparseAutoencoder, MultivariateNormalRegressor, NoisyLabelClassifier
    mask = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [0, 1]], dtype=bool)
    stops = {"early_stopping": True, "validation_fraction": 0.2, **short}
    return {
        "autoencoder-float32": (autoencoder(3, rho=0.1, beta=0.5, **short).fit(named), X),
        "autoencoder-float64-tanh": (
            autoencoder(
                2, hidden_activation="tanh", output_activation="identity", dtype="float64", solver="lbfgs", **short
            ).fit(X, sample_weight=np.arange(60) % 3),
            X,
        ),
        "regressor-one-dimensional": (regressor((4,), **stops).fit(named, Y[:, 0]), X),
        "regressor-prior-float32": (
            regressor((3,), covariance_prior=(3.0, np.eye(2)), dtype="float32", **short).fit(X, Y_with_gaps),
            X,
        ),
        "regressor-mask": (regressor((), mask=mask, covariance="diag", alpha=0.0, **short).fit(X, Y), X),
        "classifier-profile": (classifier((3,), epsilon="estimate", alpha=(1e-4, 1e-2), **stops).fit(X, words), X),
        "classifier-matrix": (
            classifier((3,), epsilon="estimate_matrix", dtype="float64", **short).fit(named, three),
            X,
        ),
        "classifier-pair": (
            classifier((3, 2), epsilon=(0.1, 0.2), hidden_activation="relu", **short).fit(X, labels),
            X,
        ),
    }


def expected(model, **inputs):
    """Return a model's attributes and predictions, under names as in the module's docstring."""
    kind = type(model).__name__
    found = {"parameters": json.dumps(model.get_params(deep=False), default=lambda array: array.tolist())}
    found |= {name: getattr(model, name) for name in (*FITTED, *ATTRIBUTES[kind])}
    for name in ("coefs_", "intercepts_"):
        found |= {f"{name}.{layer}": array for layer, array in enumerate(getattr(model, name))}
    found |= {f"history_.{column}": values for column, values in model.history_.items()}
    if getattr(model, "likelihood_profile_", None) is not None:
        found |= {f"likelihood_profile_.{name}": getattr(model.likelihood_profile_, name) for name in PROFILE}
    if hasattr(model, "feature_names_in_"):
        found["feature_names_in_"] = model.feature_names_in_.astype(str)
    if hasattr(model, "classes_"):
        found["classes_.dtype.kind"] = model.classes_.dtype.kind
    for name, X in inputs.items():
        for method in METHODS[kind]:
            argument = model.transform(X) if method == "inverse_transform" else X
            found[f"{method}({name})"] = getattr(model, method)(argument)
    return {name: without_objects(value) for name, value in found.items()}


def without_objects(value):
    """Convert an array of objects, which only pickle could store, to one of strings."""
    value = np.asarray(value)
    return value.astype(str) if value.dtype == object else value


def write_models(folder):
    """Write the models with `sparsam.save`."""
    for name, (model, X) in models().items():
        save(model, folder / f"{name}.safetensors", overwrite=True)
        np.savez_compressed(folder / f"{name}.npz", X=X, **expected(model, X=X))


def write_pipelines(folder):
    """Write pipelines with the command line."""
    from sparsam.pipelines import load_pipeline  # its module in 0.1.0

    rng = np.random.default_rng(0)
    n = 120
    x, color = rng.normal(size=(2, n)), rng.choice(["red", "green", "blue"], size=n)
    noise = rng.multivariate_normal([0, 0], [[0.1, 0.08], [0.08, 0.1]], size=n)
    wrong = rng.random(n) < 0.1
    table = pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.1, np.nan, x[0]).round(3),
            "y": x[1].round(3),
            "color": np.where(rng.random(n) < 0.1, None, color),
            "round": rng.random(n) < 0.5,
            "height": (x[0] + (color == "red") + noise[:, 0]).round(3),
            "width": (x[1] - x[0] + noise[:, 1]).round(3),
            "kind": np.where((x[0] + x[1] > 0) ^ wrong, "big", "small"),
        }
    )
    table.to_csv(folder / "table.csv", index=False)
    own = ("--max-iter", "5", "--hidden-layer-sizes", "3")
    commands = {
        "regress": ("--target", "height", "--target", "width", "--ignore", "kind", *own),
        "classify": ("--label", "kind", "--ignore", "height", "--ignore", "width", "--epsilon", "estimate", *own),
    }
    for command, options in commands.items():
        with tempfile.TemporaryDirectory() as out:
            subprocess.run(
                [sys.executable, "-m", "sparsam", command, folder / "table.csv", *options, "--out", out, "--overwrite"],
                check=True,
            )
            content = (Path(out) / "model.skops").read_bytes()
            fitted = load_pipeline(Path(out) / "model.skops")
        (folder / f"{command}.skops.gz").write_bytes(gzip.compress(content, mtime=0))
        rows = pd.read_csv(folder / "table.csv")
        found = expected(fitted.pipeline[-1])
        found |= {"predict(table)": without_objects(fitted.predict(rows))}
        found |= {"transform(table)": fitted.pipeline[:-1].transform(fitted.take_inputs(rows))}
        if command == "classify":
            found["predict_proba(table)"] = fitted.pipeline.predict_proba(fitted.take_inputs(rows))
        found |= {"inputs": np.array(fitted.inputs), "targets": np.array(fitted.targets)}
        np.savez_compressed(folder / f"{command}.npz", **found)


def write_checkpoints(folder):
    """Write the checkpoints of a fit."""
    shutil.rmtree(folder, ignore_errors=True)
    X = np.random.default_rng(0).uniform(0.1, 0.9, (30, 4))
    SparseAutoencoder(2, max_iter=5, random_state=0, checkpoint=folder, checkpoint_every=0).fit(X)


if __name__ == "__main__":
    if importlib.util.find_spec("sparsam.signed") is None:  # a module that later versions lack
        raise SystemExit("this is not version 0.1.0 of sparsam: see the docstring")
    write_models(HERE)
    write_pipelines(HERE)
    write_checkpoints(HERE / "checkpoints")
