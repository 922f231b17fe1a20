"""Jobs to compare systems on: data, hyperparameters, initial weights, and the judge of final weights.

The driver makes each job once, so that all systems get exactly the same patches and the same initial weights. The judge
is `sparsam.reference`, which computes J and its gradient in float64 by the derivation by hand. It shares no code with
any of the systems.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

__all__ = ["Problem", "describe", "initial_weights", "judge", "load", "make_data"]

SAMPLING_SEED = 0  # of the patches; the seeds of a benchmark are those of initial weights


@dataclass(frozen=True)
class Problem:
    """A job: minimize J over the weights of a D-M-D autoencoder.

    Attributes
    ----------
    name : str
    data : str
        Which data: "patches" (natural images), "mnist", or "random".
    n_samples, n_features, n_components : int
        N, D, M.
    alpha, rho, beta : float
        Weight decay, target mean activation, weight of the sparsity penalty.
    output_activation : {"logistic", "identity"}
    target : float or None
        A J of interest: the time to reach it is reported.
    stop_at_target : bool
        Whether a run ends there.
    """

    name: str
    data: str
    n_samples: int
    n_features: int
    n_components: int
    alpha: float
    rho: float
    beta: float
    output_activation: str = "logistic"
    target: float | None = None
    stop_at_target: bool = False

    @property
    def layer_sizes(self) -> tuple[int, int, int]:
        """D, M, D."""
        return self.n_features, self.n_components, self.n_features


NOTES = Problem("notes", "patches", 10_000, 64, 25, alpha=1e-4, rho=0.01, beta=3.0, target=0.45)
PROBLEMS = {
    problem.name: problem
    for problem in (
        NOTES,
        # 12.1135 is the J that the reference program has after 400 iterations.
        Problem("mnist", "mnist", 10_000, 784, 196, alpha=3e-3, rho=0.1, beta=3.0, target=12.1135, stop_at_target=True),
        # A job that scikit-learn's MLPRegressor supports: no sparsity, linear outputs.
        replace(NOTES, name="plain", beta=0.0, output_activation="identity", target=None),
    )
}


def load(name: str, quick: bool = False) -> Problem:
    """Return a job by name; with ``quick``, a small version to test that everything runs."""
    problem = PROBLEMS[name]
    if not quick:
        return problem
    return replace(problem, n_samples=1000, target={"notes": 1.5, "mnist": 25.0}.get(name))


def data_folder() -> Path | None:
    """Return the folder of data that is not part of the project, if the variable SPARSAM_DATA names one."""
    folder = os.environ.get("SPARSAM_DATA")
    return Path(folder) if folder else None


def available(problem: Problem) -> bool:
    """Return whether the data of a job exist."""
    folder = data_folder()
    return problem.data != "mnist" or (folder is not None and (folder / "mnist.npz").exists())


def describe(problem: Problem) -> str:
    """Describe the data of a job."""
    if problem.data == "mnist":
        return f"the first {problem.n_samples:,} training images of MNIST, divided by 255"
    if problem.data == "random":
        return f"{problem.n_samples:,} uniform random rows"
    source = "Olshausen's ten whitened images (the notes' IMAGES)" if _has_olshausen() else "the built-in photographs"
    return f"{problem.n_samples:,} patches of 8 x 8 pixels of {source}, normalized as in the notes"


def make_data(problem: Problem) -> np.ndarray:
    """Return the rows of the job, (n_samples, n_features), float64 and in [0, 1]."""
    if problem.data == "mnist":
        with np.load(data_folder() / "mnist.npz") as archive:
            images = archive["x_train"][: problem.n_samples]
        return images.reshape(problem.n_samples, -1) / 255.0
    if problem.data == "random":
        rng = np.random.default_rng(SAMPLING_SEED)
        return rng.uniform(0.1, 0.9, (problem.n_samples, problem.n_features))
    from sparsam.images import natural_images, normalize_patches, sample_patches

    if _has_olshausen():
        images = np.moveaxis(np.load(data_folder() / "olshausen_images.npy"), -1, 0)
    else:
        images = natural_images()
    patches = sample_patches(images, n_patches=problem.n_samples, patch_size=8, border=2, random_state=SAMPLING_SEED)
    return normalize_patches(np.asarray(patches, dtype=np.float64))


def initial_weights(problem: Problem, seed: int) -> np.ndarray:
    """Return theta = [W1, W2, b1, b2] as `SparseAutoencoder(random_state=seed)` draws it."""
    from sparsam.engine import Network

    return Network(problem.layer_sizes).initialize(np.random.RandomState(seed))


def judge(problem: Problem, theta: np.ndarray, data: np.ndarray) -> tuple[float, float]:
    """Compute J and the max-norm of its gradient at theta in float64, by the derivation by hand."""
    from sparsam import reference

    D, M = problem.n_features, problem.n_components
    W1, W2, b1, b2 = np.split(theta, np.cumsum([D * M, M * D, M]))
    cost, coef_gradients, intercept_gradients = reference.network_cost(
        [W1.reshape(D, M), W2.reshape(M, D)],
        [b1, b2],
        data,
        data,
        output_activation=problem.output_activation,
        alpha=problem.alpha,
        rho=problem.rho,
        beta=problem.beta,
    )
    return cost, max(float(np.abs(gradient).max()) for gradient in (*coef_gradients, *intercept_gradients))


def _has_olshausen() -> bool:
    folder = data_folder()
    return folder is not None and (folder / "olshausen_images.npy").exists()
