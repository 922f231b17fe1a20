"""Measure how much the outputs of fitted networks change when images are transformed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from sparsam.images.transforms import FINITE_TRANSFORMS, transform_images

__all__ = ["AMOUNTS", "invariance_report"]

AMOUNTS = {
    "translate_x": (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0),
    "translate_y": (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0),
    "rotate": (-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),
    "scale": (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2),
    "shear_x": (-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),
    "shear_y": (-0.3, -0.2, -0.1, 0.1, 0.2, 0.3),
}
"""Pixels; radians; ln of the factor; pixels of shift per pixel. They are typical of handwritten digits."""


def invariance_report(
    estimators: Any | Mapping[str, Any],
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    image_shape: tuple[int, ...],
    transforms: Sequence[str] | Mapping[str, Sequence[float]] = FINITE_TRANSFORMS,
) -> pd.DataFrame:
    """Transform images by finite amounts, and measure how much the outputs of networks change.

    Parameters
    ----------
    estimators : fitted estimator, or dict of name to fitted estimator
        Pass several to compare them, for example with and without tangent propagation.
    X : array-like of shape (n_samples, n_features)
        One image per row, in the form that the estimators take; preferably images that they were not trained on.
    y : array-like, optional
        The targets, for the score.
    image_shape : (height, width) or (height, width, 3)
    transforms : sequence of names, or dict of name to amounts
        Default: all transforms in `sparsam.images.transforms`, with the amounts in `AMOUNTS`.

    Returns
    -------
    pandas.DataFrame
        One row for each estimator, transform and amount (including 0), with the columns ::

            change      sqrt(mean_n |y(x'_n) - y(x_n)|^2), y the probabilities of a classifier, or the predictions
            same        for a classifier, the share of samples with the same predicted class
            score       accuracy or R^2 against y on the transformed images, if y is given

    Raises
    ------
    ValueError
        If a transform is unknown, or image_shape does not fit X.

    Examples
    --------
    >>> from sparsam import NoisyLabelClassifier
    >>> X = np.kron(np.eye(2), np.ones((20, 8)))           # 4 x 4 images, bright above or below
    >>> model = NoisyLabelClassifier((), epsilon=0.0).fit(X, np.repeat(["above", "below"], 20))
    >>> amounts = {"translate_x": [1.0], "rotate": [np.pi]}
    >>> report = invariance_report(model, X, image_shape=(4, 4), transforms=amounts)
    >>> report.loc[report.amount > 0, ["transform", "same"]].values.tolist()
    [['translate_x', 1.0], ['rotate', 0.0]]
    """
    named = dict(estimators) if isinstance(estimators, Mapping) else {type(estimators).__name__: estimators}
    names = (transforms,) if isinstance(transforms, str) else transforms
    amounts = dict(transforms) if isinstance(transforms, Mapping) else {name: _amounts(name) for name in names}
    before = {name: _outputs(estimator, X) for name, estimator in named.items()}
    rows = []
    for transform, steps in amounts.items():
        for amount in sorted({0.0, *map(float, steps)}):
            moved = X if amount == 0 else transform_images(X, image_shape, transform, amount)
            for name, estimator in named.items():
                after = _outputs(estimator, moved)
                row: dict[str, Any] = {"estimator": name, "transform": transform, "amount": amount}
                row["change"] = float(np.sqrt(np.mean(np.sum((after - before[name]) ** 2, axis=1))))
                if is_classifier(estimator):
                    row["same"] = float(np.mean(after.argmax(axis=1) == before[name].argmax(axis=1)))
                if y is not None:
                    row["score"] = float(estimator.score(moved, y))
                rows.append(row)
    return pd.DataFrame(rows)


def _amounts(transform: str) -> Sequence[float]:
    if transform not in AMOUNTS:
        raise ValueError(f"unknown transform {transform!r}; choose from {', '.join(AMOUNTS)}")
    return AMOUNTS[transform]


def _outputs(estimator: Any, X: ArrayLike) -> Any:
    outputs = estimator.predict_proba(X) if is_classifier(estimator) else estimator.predict(X)
    return np.asarray(outputs).reshape(len(outputs), -1)
