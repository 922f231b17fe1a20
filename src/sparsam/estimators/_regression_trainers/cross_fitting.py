"""Train in folds: they choose the weight decays and the number of iterations, before the final training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sparsam.estimators._data.splits import Split
from sparsam.estimators._progress.reporter import FitReporter
from sparsam.estimators._regression.out_of_fold import OutOfFold, train_in_folds
from sparsam.estimators._regression_trainers.covariance import CovarianceTrainer
from sparsam.estimators._regression_trainers.means import MeanTrainer

__all__ = ["cross_fit"]

COVARIANCE_ALPHAS = (1.0, 0.1, 0.01, 0.001)
"""Values of covariance_alpha to choose from: the folds try them in this order until the held-out likelihood falls.

Stronger decay than 1 is hardly needed: early stopping may choose the constant covariance, where the training starts.
"""

COVARIANCE_ALPHA = 0.1  # without folds


def cross_fit(
    means: MeanTrainer, splits: list[Split], reporter: FitReporter
) -> tuple[MeanTrainer | CovarianceTrainer, OutOfFold | None]:
    """Prepare the final training by trainings in folds, if there are any, and by a training of the means."""
    if not means.data.depends_on_input:
        return _cross_fit_means(means, splits, reporter) if splits else (means, None)
    given = means.regressor.covariance_alpha
    candidates = COVARIANCE_ALPHAS if given is None else (float(given),)
    # At most: those of the means and of each candidate in the folds, and the last one.
    means = replace(means, n_after=1 + len(splits) * (1 + len(candidates)))
    folds: OutOfFold | None = None
    if splits:
        means, folds = _cross_fit_means(means, splits, reporter)
    with reporter.training("means") as part:
        trainer = CovarianceTrainer.after(means, folds, COVARIANCE_ALPHA if given is None else float(given), part)
    if not splits:
        return trainer, None
    return _cross_fit_covariance(trainer.with_means_without(splits, reporter), candidates, splits, reporter)


def _cross_fit_means(trainer: MeanTrainer, splits: list[Split], reporter: FitReporter) -> tuple[MeanTrainer, OutOfFold]:
    """Train in folds, and again with less weight decay if they explain nothing.

    Under strong decay the weights shrink before they fit a fine structure.
    """
    regressor = trainer.regressor
    train = partial(train_in_folds, splits=splits, observed=trainer.data.patterns, stops=regressor._stops_early())
    folds = train(trainer, reporter=reporter)
    if regressor.alpha is None and trainer.explains_nothing(folds):
        weaker = replace(trainer, alpha=trainer.alpha / 10)
        others = train(weaker, reporter=reporter)
        if others.likelihood > folds.likelihood:
            return weaker, others
    return trainer, folds


def _cross_fit_covariance(
    trainer: CovarianceTrainer, candidates: tuple[float, ...], splits: list[Split], reporter: FitReporter
) -> tuple[CovarianceTrainer, OutOfFold]:
    """Train in folds with each covariance_alpha, until the held-out likelihood falls."""
    best: tuple[CovarianceTrainer, OutOfFold] | None = None
    for covariance_alpha in candidates:
        candidate = replace(trainer, covariance_alpha=covariance_alpha)
        folds = train_in_folds(
            candidate,
            splits=splits,
            observed=trainer.independent,
            stops=trainer.regressor._stops_early(),
            reporter=reporter,
            what=f"covariance of the input, with covariance_alpha={covariance_alpha:g},",
        )
        if best is not None and folds.likelihood <= best[1].likelihood:
            break
        best = candidate, folds
    assert best is not None
    return best
