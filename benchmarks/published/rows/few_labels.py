"""Digits from few labels, the others without: with pretraining, and with tangents (exercise 5.26)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from benchmarks.tangents.study import N_COPIES, moved_copies, splits
from sparsam import NoisyLabelClassifier, SparseAutoencoder, encoder_tangents
from sparsam.images import image_tangents

Array = NDArray[np.floating]

N_UNITS = 400
N_LEARNED = 8
SETS_OF_COPIES = 3  # of seven copies of each digit, shifted, turned and stretched at random
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Method:
    """What a network of few labels is helped by, and the settings to choose from.

    A setting is alpha and the weight of the tangents; with moved copies, alpha and the size of the moves.
    """

    settings: tuple[tuple[float, float], ...]
    pretrained: bool = False
    image: bool = False
    learned: bool = False
    copies: bool = False

    @property
    def figure(self) -> str:
        """The key of the figures to compare with: those of plain networks, or of others."""
        return "error" if self.pretrained or self.image or self.learned or self.copies else "plain"

    def fit(
        self, data: Data, X: Array, y: Array, seed: int, setting: tuple[float, float], max_iter: int = 300
    ) -> NoisyLabelClassifier:
        """Train a network with one hidden layer."""
        alpha, amount = setting
        if self.copies:
            sets = [moved_copies(X, amount, SETS_OF_COPIES * seed + k) for k in range(SETS_OF_COPIES)]
            X, y = np.vstack([X, *sets]), np.tile(y, 1 + N_COPIES * SETS_OF_COPIES)
        model = NoisyLabelClassifier(
            () if self.pretrained else (data.at_most(N_UNITS),),
            epsilon=0.0,
            alpha=alpha,
            classes=np.arange(10),
            hidden_activation="logistic" if self.pretrained else "tanh",
            pretraining=FrozenEstimator(autoencoder(data)) if self.pretrained else None,
            tangent_weight=amount if self.image or self.learned else None,
            max_iter=data.at_most(max_iter),
            random_state=seed,
        )
        tangents = [image_tangents(X, (28, 28))] if self.image else []
        if self.learned:
            tangents.append(encoder_tangents(X, autoencoder(data), N_LEARNED))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some settings do not converge in 300 iterations
            return model.fit(X, y, tangents=np.concatenate(tangents, axis=1) if tangents else None)


ALPHAS = (1e-4, 1e-3, 3e-3, 1e-2)
TANGENTS = ((1e-4, 3e-4), (1e-4, 1e-3), (3e-4, 1e-3), (1e-3, 1e-2))
METHODS = {
    "plain": Method(tuple((alpha, 0.0) for alpha in (*ALPHAS, 3e-2))),
    "moved copies": Method(((1e-4, 1.0), (1e-4, 1.5), (1e-4, 2.0), (1e-3, 1.5)), copies=True),
    "pretrained": Method(tuple((alpha, 0.0) for alpha in (1e-5, *ALPHAS)), pretrained=True),
    "image tangents": Method(TANGENTS, image=True),
    "learned tangents": Method(TANGENTS, learned=True),
    "pretrained, all tangents": Method(TANGENTS, pretrained=True, image=True, learned=True),
}


@cache
def autoencoder(data: Data) -> SparseAutoencoder:
    """Learn features of all digits without labels."""
    model = SparseAutoencoder(
        data.at_most(N_UNITS), rho=0.05, beta=3.0, alpha=1e-4, random_state=0, max_iter=data.at_most(150)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(data.digits.X)


def error(data: Data, seed: int, method: Method, n_labels: int) -> Result:
    """Draw labels, choose the setting by held-out ones among them, and count the errors on the test digits."""
    X, y, X_test, y_test = data.digits
    drawn = _draw(y, data.at_most(n_labels, 60), seed)
    X, y = X[drawn], y[drawn]

    def held_out(setting: tuple[float, float]) -> float:
        parts = [(method.fit(data, X[rows], y[rows], seed, setting, 150), rest) for rows, rest in splits(y, seed)]
        return float(np.mean([model.mean_log_likelihood(X[rest], y[rest]) for model, rest in parts]))

    settings = method.settings[: data.at_most(len(method.settings), 2)]
    alpha, amount = max(settings, key=held_out)
    model = method.fit(data, X, y, seed, (alpha, amount))
    return {method.figure: 1 - float(model.score(X_test, y_test)), "alpha": alpha, "weight_or_size": amount}


def _draw(y: Array, n: int, seed: int) -> NDArray[np.int64]:
    """Draw as many digits of each class."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.choice(np.flatnonzero(y == k), n // 10, replace=False) for k in range(10)])


def _row(n_labels: int, tangent: str, contractive: str, plain: str) -> Row:
    return Row(
        name=f"labels-{n_labels}",
        title=f"Few labels: {n_labels:,} of 60,000 digits",
        source="S. Rifai et al., The manifold tangent classifier, 2011, table 2",
        protocol=(
            f"MNIST, {n_labels:,} digits with labels, as many of each class, drawn anew for each seed; the others "
            "without labels; error on the 10,000 test digits. One hidden layer of 400 units; alpha, the weight of the "
            "tangents, and the size of the moves of the copies (21 of each digit) are chosen by the likelihood of "
            "held-out labels among these. Theirs have two layers. Copies and image tangents know that rows are images, "
            "which theirs do not. That copies are 21 was chosen by hand, by 10,000 other training digits, on draw 0 of "
            "1,000."
        ),
        needs=("mnist.npz",),
        figures=(
            Figure(
                "error",
                "test error, manifold tangent classifier",
                f"{tangent} %",
                float(tangent) / 100,
                higher=False,
                from_memory=True,
                letter="pretrained, all tangents",
            ),
            Figure(
                "error",
                "contractive autoencoder",
                f"{contractive} %",
                float(contractive) / 100,
                higher=False,
                from_memory=True,
                letter="pretrained, all tangents",
            ),
            Figure(
                "plain", "test error, plain network", f"{plain} %", float(plain) / 100, higher=False, from_memory=True
            ),
        ),
        ways=tuple(
            Way(name, partial(error, method=method, n_labels=n_labels), SEEDS) for name, method in METHODS.items()
        ),
    )


ROWS = (
    _row(100, "12.0", "13.5", "25.8"),
    _row(600, "5.1", "6.3", "11.4"),
    _row(1000, "3.6", "4.8", "10.7"),
    _row(3000, "2.6", "3.2", "6.0"),
)
