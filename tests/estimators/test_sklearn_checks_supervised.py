"""scikit-learn's own checks of the estimators with targets."""

import pytest
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data, parametrize_with_checks

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sparsam.DegenerateCovarianceWarning"),
]


# They call score_samples(X), as of a density of X; that of a regression is a density of y given X.
WITHOUT_TARGETS = dict.fromkeys(
    ("check_methods_sample_order_invariance", "check_methods_subset_invariance"), "score_samples takes targets too"
)
# It sets a hyperparameter named cv to a list of splits; here it is a number (see below).
WITH_SPLITS = {"check_sample_weight_equivalence_on_dense_data": "cv is a number of folds"}


@parametrize_with_checks(
    [
        MultivariateNormalRegressor((5,), max_iter=200),
        MultivariateNormalRegressor((), dtype="float64"),
        NoisyLabelClassifier((5,), epsilon=0.05, max_iter=200),
        NoisyLabelClassifier((), epsilon=0.05, dtype="float64"),
        NoisyLabelClassifier((), max_iter=100),  # epsilon is estimated
    ],
    expected_failed_checks=lambda estimator: (
        WITHOUT_TARGETS | WITH_SPLITS if isinstance(estimator, MultivariateNormalRegressor) else {}
    ),
)
def test_every_check_passes(estimator, check):
    check(estimator)


class WithFolds(MultivariateNormalRegressor):
    """A regressor that keeps its folds whatever a check sets."""

    def get_params(self, deep=True):
        return {name: value for name, value in super().get_params(deep).items() if name != "cv"}


@pytest.mark.parametrize("hidden", [(5,), ()])
def test_weights_are_repetitions_in_the_folds_too(hidden):
    check_sample_weight_equivalence_on_dense_data("WithFolds", WithFolds(hidden, max_iter=100))
