"""Probabilities of the true labels by networks that have not seen the rows: the noise is that of the fit."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import _safe_indexing

from sparsam.estimators import _validation as validation

__all__ = ["cross_fitted_probabilities"]

OF_THE_FIT = {"verbose": 0, "callback": None, "checkpoint": None, "warm_start": False}

Rows = NDArray[np.intp]


def cross_fitted_probabilities(
    model: Any, X: ArrayLike, numbers: Rows, cv: Any, *, add_unlabeled: bool
) -> NDArray[np.float64]:
    """Compute P(true label) of each row by a network trained on the other folds, with the transition matrix of the fit.

    Parameters
    ----------
    model : NoisyLabelClassifier
    X : array-like of shape (n_samples, n_features)
    numbers : int array of shape (n_samples,)
        Numbers of the given labels' classes; -1 for a row without a label.
    cv : int, splitter or iterable
        A number of folds, which are shuffled and stratified by the given labels, or a splitter or an iterable of pairs
        (training rows, held-out rows).
    add_unlabeled : bool
        Whether to add the rows without a label to the training rows of each fold, for the pretraining.

    Returns
    -------
    array of shape (n_samples, n_classes)
        NaN for rows without a label.

    Raises
    ------
    ValueError
        If the number of folds is less than 2 or greater than that of the rows, or a row is not held out exactly once.
    """
    labels = model.classes_.astype(object)[numbers]
    labels[numbers < 0] = None
    fold = clone(model).set_params(
        epsilon=model.transition_matrix_,
        alpha=model.alpha_,
        classes=model.classes_,
        early_stopping=model._stops_early(),
        **OF_THE_FIT,
    )
    unlabeled = np.flatnonzero(numbers < 0) if add_unlabeled else np.array([], np.intp)
    times_held_out = np.where(numbers < 0, 1, 0)
    probabilities = np.full((len(numbers), len(model.classes_)), np.nan)
    for training, held_out in _splits(cv, X, numbers, model.random_state):
        training = np.concatenate([training, unlabeled])
        fold.fit(_safe_indexing(X, training), labels[training])
        probabilities[held_out] = fold.predict_proba(_safe_indexing(X, held_out))
        times_held_out[held_out] += 1
    if (times_held_out != 1).any():
        row = int(np.argmax(times_held_out != 1))
        raise ValueError(
            f"cv holds out row {row} {times_held_out[row]} times: each row needs to be held out exactly once"
        )
    return probabilities


def _splits(cv: Any, X: ArrayLike, numbers: Rows, random_state: Any) -> Iterator[tuple[Rows, Rows]]:
    """Yield the training rows and the held-out rows of each fold: only rows with a label."""
    labeled = np.flatnonzero(numbers >= 0)
    if isinstance(cv, Integral):
        validation.check_number("cv", cv, Integral, low=2, high=len(labeled))
        seed = random_state if isinstance(random_state, Integral) else None
        folds = StratifiedKFold(int(cv), shuffle=True, random_state=seed)
        for training, held_out in folds.split(labeled, numbers[labeled]):
            yield labeled[training], labeled[held_out]
        return
    for rows in check_cv(cv, numbers, classifier=True).split(X, numbers):
        training, held_out = (np.arange(len(numbers))[part] for part in rows)  # rows may be masks
        yield training[numbers[training] >= 0], held_out[numbers[held_out] >= 0]
