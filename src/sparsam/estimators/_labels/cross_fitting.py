"""Probabilities of the true labels by networks that have not seen the rows: the noise is that of the fit."""

from __future__ import annotations

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


def cross_fitted_probabilities(model: Any, X: ArrayLike, y: ArrayLike, cv: Any) -> NDArray[np.float64]:
    """Compute P(true label) of each row by a network trained on the other folds, with the transition matrix of the fit.

    ``cv`` is a number of folds, which are shuffled and stratified by the given labels, or a splitter or an iterable of
    pairs (training rows, held-out rows).

    Raises
    ------
    ValueError
        If the number of folds is less than 2 or greater than that of the rows, or a row is not held out exactly once.
    """
    labels = np.asarray(y).reshape(-1)
    if isinstance(cv, Integral):
        validation.check_number("cv", cv, Integral, low=2, high=len(labels))
        seed = model.random_state if isinstance(model.random_state, Integral) else None
        cv = StratifiedKFold(int(cv), shuffle=True, random_state=seed)
    fold = clone(model).set_params(
        epsilon=model.transition_matrix_,
        alpha=model.alpha_,
        classes=model.classes_,
        early_stopping=model._stops_early(),
        **OF_THE_FIT,
    )
    times_held_out = np.zeros(len(labels), int)
    probabilities = np.empty((len(labels), len(model.classes_)))
    for training, held_out in check_cv(cv, labels, classifier=True).split(X, labels):
        fold.fit(_safe_indexing(X, training), labels[training])
        probabilities[held_out] = fold.predict_proba(_safe_indexing(X, held_out))
        times_held_out[held_out] += 1
    if (times_held_out != 1).any():
        row = int(np.argmax(times_held_out != 1))
        raise ValueError(
            f"cv holds out row {row} {times_held_out[row]} times: each row needs to be held out exactly once"
        )
    return probabilities
