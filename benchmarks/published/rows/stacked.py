"""A stack of two autoencoders with labels on top, of the UFLDL tutorial."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer

from benchmarks.published.data import Data, Digits
from benchmarks.published.row import Figure, Result, Row, Way
from benchmarks.published.rows.strokes import LAYER, MAX_ITER
from sparsam import NoisyLabelClassifier, SparseAutoencoder, StackedAutoencoder
from sparsam.engine import CrossEntropy, Network, Objective, Parameters, Samples, WeightDecay, precision, train

ALPHA = 3e-3
SOFTMAX_ITER = 100
ALPHAS = (1e-5, 3e-5, 1e-4)  # to choose from
CHOSEN_ITER = 150
Theta = NDArray[np.floating]


def as_published(data: Data, seed: int) -> Result:
    """Train all layers from the softmax on, by L-BFGS as the exercise does."""
    return softmax_decays(data, seed, "lbfgs")


def nearer_the_minimum(data: Data, seed: int) -> Result:
    """Minimize the same objective with this library's usual solver."""
    return softmax_decays(data, seed, "kronecker-lbfgs")


def softmax_decays(data: Data, seed: int, solver: str) -> Result:
    """Train all layers; the weights of the softmax alone decay, which no estimator offers, but the engine does."""
    digits, stack = data.digits, stack_of(data, seed)
    softmax = softmax_on(stack, data, ALPHA, SOFTMAX_ITER, seed)
    layers = stack.autoencoders_
    sizes = (layers[0].n_features_in_, *(layer.n_components for layer in layers), len(softmax.classes_))
    network = Network(sizes, hidden_activation="logistic", output_activation="softmax")
    coefs = (*(layer.coefs_[0] for layer in layers), *softmax.coefs_)
    biases = (*(layer.intercepts_[0] for layer in layers), *softmax.intercepts_)
    with precision("float32"):
        theta = np.asarray(network.ravel(Parameters(coefs, biases)))
    theta, J = fine_tuned(network, theta, digits, solver, data.at_most(MAX_ITER))
    correct = np.mean(predicted(network, theta, digits.X_test) == digits.y_test)
    return {"before": correct_before(softmax, stack, digits), "after": float(correct), "alpha": ALPHA, "J": J}


def same_alpha(data: Data, seed: int) -> Result:
    """Let all weights decay alike, as an estimator does by itself."""
    digits, stack = data.digits, stack_of(data, seed)
    softmax = softmax_on(stack, data, ALPHA, SOFTMAX_ITER, seed)
    together = all_layers_on(stack, data, ALPHA, MAX_ITER, seed).fit(digits.X, digits.y)
    after = float(together.score(digits.X_test, digits.y_test))
    return {"before": correct_before(softmax, stack, digits), "after": after, "alpha": ALPHA}


def chosen_alpha(data: Data, seed: int) -> Result:
    """Train all layers on nine tenths of the digits with each alpha; the likelihood of the others chooses one."""
    digits, stack = data.digits, stack_of(data, seed)
    X, held_out, y, y_held_out = train_test_split(digits.X, digits.y, test_size=0.1, random_state=seed)
    models = [all_layers_on(stack, data, alpha, CHOSEN_ITER, seed).fit(X, y) for alpha in ALPHAS]
    best = max(models, key=lambda model: model.mean_log_likelihood(held_out, y_held_out))
    softmax = softmax_on(stack, data, best.alpha, MAX_ITER, seed)
    after = float(best.score(digits.X_test, digits.y_test))
    return {"before": correct_before(softmax, stack, digits), "after": after, "alpha": best.alpha}


@cache
def stack_of(data: Data, seed: int) -> StackedAutoencoder:
    """Train the two autoencoders, one after the other."""
    layers = [SparseAutoencoder(data.at_most(200), **LAYER, max_iter=data.at_most(MAX_ITER)) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quick runs do not converge
        return StackedAutoencoder(layers, fine_tune=False, random_state=seed).fit(data.digits.X)


def softmax_on(stack: StackedAutoencoder, data: Data, alpha: float, max_iter: int, seed: int) -> NoisyLabelClassifier:
    """Train a softmax on the features of the second layer."""
    model = NoisyLabelClassifier((), epsilon=0.0, alpha=alpha, max_iter=data.at_most(max_iter), random_state=seed)
    return model.fit(stack.transform(data.digits.X), data.digits.y)


def all_layers_on(
    stack: StackedAutoencoder, data: Data, alpha: float, max_iter: int, seed: int
) -> NoisyLabelClassifier:
    """Make a classifier that starts from the stack and trains all layers, whose weights decay alike."""
    return NoisyLabelClassifier(
        (),
        epsilon=0.0,
        alpha=alpha,
        hidden_activation="logistic",
        pretraining=FrozenEstimator(stack),
        max_iter=data.at_most(max_iter),
        random_state=seed,
    )


def correct_before(softmax: NoisyLabelClassifier, stack: StackedAutoencoder, digits: Digits) -> float:
    """Return the share of test digits that the softmax recognizes."""
    return float(softmax.score(stack.transform(digits.X_test), digits.y_test))


def fine_tuned(network: Network, theta: Theta, digits: Digits, solver: str, max_iter: int) -> tuple[Theta, float]:
    """Minimize the cross-entropy plus the decay of the softmax's weights over all weights; return them and J."""
    targets = LabelBinarizer().fit_transform(digits.y).astype(np.float32)
    with precision("float32"):
        samples = Samples.from_arrays(digits.X, targets, chunk_size=len(targets), dtype="float32")
    objective = Objective(network, (CrossEntropy(), WeightDecay((0.0, 0.0, ALPHA))))
    training = train(objective, samples, theta, solver=solver, max_iter=max_iter)
    return training.theta, training.history[-1].J


def predicted(network: Network, theta: Theta, X: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return the most probable digits."""
    with precision("float32"):
        return np.argmax(np.asarray(network.forward(network.unravel(theta), X.T).outputs), axis=0)


ROW = Row(
    name="stacked",
    title="UFLDL: stacked autoencoders",
    source="[exercise](http://ufldl.stanford.edu/wiki/index.php/Exercise:_Implement_deep_networks_for_digit_classification)",
    protocol=(
        "MNIST, 60,000 digits to train, 10,000 to test: two autoencoders 784-200-200 (rho 0.1, alpha 3e-3, beta 3, 400 "
        "iterations each), a softmax with alpha 3e-3 on top (100 iterations); then all layers are trained together "
        "(400 iterations of L-BFGS), where, says the exercise, only the weights of the softmax decay. Without decay of "
        "the hidden layers, a smaller J is no gain: all training digits are right, and L-BFGS stops before the minimum."
    ),
    needs=("mnist.npz",),
    figures=(
        Figure("before", "test digits correct, softmax alone", "87.7 %", 0.877),
        Figure("after", "all layers trained together", "97.6 %", 0.976),
    ),
    ways=(
        Way("as published", as_published),
        Way("as published, but by this library's solver", nearer_the_minimum),
        Way("the same alpha on all weights", same_alpha),
        Way("alpha chosen by held-out training digits", chosen_alpha),
    ),
)
