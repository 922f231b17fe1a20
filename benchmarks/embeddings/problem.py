"""The word vectors, and the judge of a result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import data_folder

__all__ = ["Dictionary", "Problem", "draw_dictionary", "judge", "load"]

Array = NDArray[np.float64]

LENGTH = 0.3  # of the rows of a new decoder, in all systems


@dataclass(frozen=True)
class Problem:
    """Word vectors about the mean of those to train on, in units of their root-mean-square length."""

    train: NDArray[np.float32]
    held_out: NDArray[np.float32]


@dataclass(frozen=True)
class Dictionary:
    """Weights of an autoencoder with ReLU units and linear outputs; with ``k``, only the k largest units are active."""

    encoder: Array  # (n_features, n_units)
    decoder: Array  # (n_units, n_features)
    encoder_bias: Array
    decoder_bias: Array
    k: int | None = None
    gradient_norm: float | None = None  # at the end of this library's fits

    def encode(self, X: NDArray[np.floating]) -> Array:
        """Compute the code."""
        z = np.maximum(X @ self.encoder + self.encoder_bias, 0)
        if self.k is not None:
            least = -np.partition(-z, self.k - 1, axis=1)[:, self.k - 1 : self.k]
            z = np.where(z >= least, z, 0)
        return z


def load(n_train: int = 20_000, n_held_out: int = 10_000) -> Problem:
    """Read GloVe's vectors from SPARSAM_DATA, and divide them at random."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("set the environment variable SPARSAM_DATA to the folder of glove.npz")
    with np.load(folder / "glove.npz") as file:
        vectors = file["vectors"].astype(np.float64)
    order = np.random.default_rng(0).permutation(len(vectors))
    train, held_out = vectors[order[:n_train]], vectors[order[n_train : n_train + n_held_out]]
    mean = train.mean(axis=0)
    length = np.sqrt(np.mean(np.sum((train - mean) ** 2, axis=1)))
    return Problem(*(((rows - mean) / length).astype(np.float32) for rows in (train, held_out)))


def draw_dictionary(n_features: int, n_units: int, seed: int) -> Dictionary:
    """Draw the weights at which all systems start: rows of one length, the encoder their transpose."""
    directions = np.random.default_rng(seed).normal(size=(n_units, n_features))
    decoder = LENGTH * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return Dictionary(decoder.T.copy(), decoder, np.zeros(n_units), np.zeros(n_features))


def judge(dictionary: Dictionary, problem: Problem, beta: float) -> dict[str, float]:
    """Compute J without decay and explained variances on both parts of the rows, in float64; describe the code."""
    J, explained, z = _judge_rows(dictionary, problem.train, beta)
    J_held_out, explained_held_out, z_held_out = _judge_rows(dictionary, problem.held_out, beta)
    return {
        "J": J,
        "J_held_out": J_held_out,
        "dead": float(np.mean(~np.any(z > 0, axis=0))),
        "active": float(np.mean(np.sum(z_held_out > 0, axis=1))),
        "explained_train": explained,
        "explained": explained_held_out,
    }


def _judge_rows(dictionary: Dictionary, rows: NDArray[np.floating], beta: float) -> tuple[float, float, Array]:
    """Return J, the explained variance, and the code."""
    x = rows.astype(np.float64)
    z = dictionary.encode(x)
    y = z @ dictionary.decoder + dictionary.decoder_bias
    lengths = np.linalg.norm(dictionary.decoder, axis=1)
    J = 0.5 * np.mean(np.sum((y - x) ** 2, axis=1)) + beta * z.mean(axis=0) @ lengths
    explained = 1 - np.sum((y - x) ** 2) / np.sum((x - x.mean(axis=0)) ** 2)
    return float(J), float(explained), z
