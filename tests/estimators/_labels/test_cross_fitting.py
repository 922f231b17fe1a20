"""Suspicious labels, judged by networks that have not seen them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from sparsam import NoisyLabelClassifier, TangentPipeline

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]

DIGITS, TRUE = load_digits(return_X_y=True)
DIGITS = DIGITS[:600] / 16
TRUE = TRUE[:600]


def flipped(seed):
    """Flip a fifth of the labels to other digits."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(TRUE)) < 0.2
    given = np.where(wrong, (TRUE + rng.integers(1, 10, len(TRUE))) % 10, TRUE)
    return given, wrong


@pytest.mark.slow
def test_networks_that_have_not_seen_a_label_judge_it_better():
    gains = []
    for seed in range(3):
        given, wrong = flipped(seed)
        options = {"epsilon": 0.2, "alpha": 0.0, "early_stopping": False, "max_iter": 200}  # learns labels by heart
        model = NoisyLabelClassifier((50,), random_state=seed, **options).fit(DIGITS, given)
        own, others = (roc_auc_score(wrong, model.label_error_proba(DIGITS, given, cv=cv)) for cv in (None, 5))
        gains.append(others - own)
    assert min(gains) > 0.03


def test_folds_are_fitted_with_the_noise_of_the_fit():
    given, _ = flipped(0)
    folds = list(KFold(3).split(DIGITS))
    model = NoisyLabelClassifier((), epsilon=0.2, alpha=1e-2, random_state=0, max_iter=30).fit(DIGITS, given)
    judged = model.label_error_proba(DIGITS, given, cv=folds)
    T = model.transition_matrix_
    for training, held_out in folds:
        own = clone(model).set_params(epsilon=T).fit(DIGITS[training], given[training])
        expected = own.label_error_proba(DIGITS[held_out], given[held_out])
        np.testing.assert_allclose(judged[held_out], expected, rtol=1e-4, atol=1e-7)
    suspects = model.find_label_errors(DIGITS, given, cv=folds)
    assert set(suspects) == set(np.flatnonzero(judged > 0.5))
    assert (np.diff(judged[suspects]) <= 0).all()


def test_a_number_of_folds_is_reproducible_and_takes_frames_and_text():
    given, _ = flipped(0)
    names = np.array([f"digit {label}" for label in given])
    frame = pd.DataFrame(DIGITS, index=np.arange(600) + 7).add_prefix("pixel ")
    model = NoisyLabelClassifier((), epsilon=0.2, alpha=1e-2, random_state=0, max_iter=30)
    numbers = clone(model).fit(DIGITS, given).label_error_proba(DIGITS, given, cv=4)
    texts = clone(model).fit(frame, names).label_error_proba(frame, names, cv=4)
    np.testing.assert_allclose(texts, numbers, rtol=1e-4, atol=1e-7)
    behind = TangentPipeline(StandardScaler(), model).fit(DIGITS, given)
    assert behind.label_error_proba(DIGITS, given, cv=4).shape == (600,)


@pytest.mark.parametrize(
    ("labels", "cv", "message"),
    [
        (flipped(0)[0], 1, r"cv must be in \[2, 600\], got 1"),
        (flipped(0)[0] + 5, 4, "y contains the label 10"),
        (flipped(0)[0], [(np.arange(300), np.arange(300, 600))], "cv holds out row 0 0 times"),
    ],
)
def test_bad_requests_are_refused(labels, cv, message):
    model = NoisyLabelClassifier((), epsilon=0.2, random_state=0, max_iter=5).fit(DIGITS, flipped(0)[0])
    with pytest.raises(ValueError, match=message):
        model.label_error_proba(DIGITS, labels, cv=cv)
