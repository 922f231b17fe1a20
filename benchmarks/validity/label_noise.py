"""Estimate how many labels are wrong, and which ones, with default parameters on known truths."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from benchmarks.validity.cells import Cell, Subject
from sparsam import NoisyLabelClassifier

__all__ = ["FEW_LABELS", "PLANTED_ERRORS", "RIGHT_LABELS", "estimate", "true_labels"]

Array = np.ndarray

BIAS, COVERS, INCLUDES_0 = "epsilon - rate", "95 % interval covers the rate", "interval includes 0, to 0.01"
PRECISION, RECALL = "precision of suspects", "recall of suspects"
WARNED = "warned that the rate is hardly known"
TRUTHS = {
    "linear": "classes are apart along x1 + x2/2",
    "curved": "classes are apart along x1 + x2^2",
    "overlapping": "log-odds are linear in x, and unbounded",
}
CUTS = {("linear", 2): [0.0], ("linear", 3): [-0.5, 0.5], ("curved", 2): [0.7], ("curved", 3): [0.2, 1.2]}


def true_labels(rng: np.random.Generator, truth: str, n_classes: int, X: Array) -> Array:
    """Draw labels without errors."""
    if truth == "overlapping":
        slope = 2 * X[:, 0] + X[:, 1]
        log_odds = np.stack([np.zeros_like(slope), slope, -slope][:n_classes], axis=1)
        return np.argmax(log_odds + rng.gumbel(size=log_odds.shape), axis=1)
    along = X[:, 0] + (X[:, 1] / 2 if truth == "linear" else X[:, 1] ** 2)
    return np.digitize(along, CUTS[truth, n_classes])


def estimate(rng: np.random.Generator, truth: str, rate: float, n_classes: int, n: int) -> dict[str, float]:
    """Fit with all defaults, and compare with the truth."""
    X = rng.normal(size=(n, 2))
    labels = true_labels(rng, truth, n_classes, X)
    wrong = rng.random(n) < rate
    given = np.where(wrong, (labels + rng.integers(1, n_classes, size=n)) % n_classes, labels)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = NoisyLabelClassifier(random_state=int(rng.integers(2**31))).fit(X, given)
    low, high = model.likelihood_profile_.interval
    suspects = np.zeros(n, bool)
    suspects[model.find_label_errors(X, given)] = True
    found = {BIAS: model.epsilon_ - rate, COVERS: low <= rate <= high, INCLUDES_0: low <= 0.01}
    found[WARNED] = any("very uncertain" in str(warning.message) for warning in caught)
    if rate:
        found[PRECISION] = np.mean(wrong[suspects]) if suspects.any() else 0.0
        found[RECALL] = np.mean(suspects[wrong])
    return found


def _cell(
    truth: str, rate: float, n_classes: int, n: int, n_draws: int, claims: dict[str, tuple[float, float]]
) -> Cell:
    wrong = f"{100 * rate:g} % of the labels wrong" if rate else "no label wrong"
    return Cell(
        f"{truth}, {wrong}, {n_classes} classes, n = {n}",
        TRUTHS[truth],
        partial(estimate, truth=truth, rate=rate, n_classes=n_classes, n=n),
        claims,
        n_draws,
    )


PLANTED_ERRORS = Subject(
    "Planted label errors, with all defaults",
    """`NoisyLabelClassifier()` on two normal inputs, with true labels that are functions of the inputs. The interval is
for the error rate, not for the share of labels that happen to be wrong. Suspects are the labels that
`find_label_errors` returns.""",
    [
        _cell(truth, rate, n_classes, n, 25, {BIAS: (-0.02, 0.02), PRECISION: (0.85, 1.0), RECALL: (0.85, 1.0)})
        for n in (1500, 4000)
        for truth in ("linear", "curved")
        for rate in (0.1, 0.3)
        for n_classes in (2, 3)
    ],
    {COVERS: (0.9, 1.0)},
)
RIGHT_LABELS = Subject(
    "Labels that are all right, with all defaults",
    """The lower end of the interval should be at most 0.01. If classes overlap, labels in the overlap must not be
mistaken for wrong ones.""",
    [
        _cell(truth, 0.0, n_classes, 1500, 30, {INCLUDES_0: (0.9, 1.0)})
        for truth in ("linear", "curved", "overlapping")
        for n_classes in (2, 3)
    ],
)
FEW_LABELS = Subject(
    "Few labels, with all defaults",
    """As above, without claims except that the fit warns. For linear classes, networks are soon certain of more than
the 30 % of labels that an estimate uses at least; the interval is then no wider than for 1,500 labels of curved
classes.""",
    [_cell(truth, rate, 2, 500, 25, {WARNED: (0.9, 1.0)}) for truth in ("linear", "curved") for rate in (0.1, 0.3)],
)
