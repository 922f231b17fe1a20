"""scikit-learn's checks of the estimators with default parameters.

None fails, except those that fit an autoencoder with logistic outputs to data outside [0, 1]: each of these fails for
that reason, and passes with linear outputs.
"""

import pytest
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_transformer_preserve_dtypes,
    estimator_checks_generator,
    parametrize_with_checks,
)

from sparsam import (
    AutoencoderOutlierDetector,
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sparsam.DegenerateCovarianceWarning"),
]

OUTSIDE = {
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_readonly_memmap_input",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_transformer_n_iter",
}
"""List the checks that fit data outside [0, 1], which a logistic output does not accept."""


@parametrize_with_checks([MultivariateNormalRegressor(), NoisyLabelClassifier(), AutoencoderOutlierDetector()])
def test_with_default_parameters_every_check_passes(estimator, check):
    check(estimator)


STACK = StackedAutoencoder(
    [
        SparseAutoencoder(5, beta=0.0, output_activation="identity", max_iter=50),
        SparseAutoencoder(2, beta=0.0, max_iter=50),
    ],
    max_iter=50,
)


@parametrize_with_checks([STACK])
def test_a_stack_with_linear_outputs_passes_every_check(estimator, check):
    check(estimator)


@parametrize_with_checks([SparseAutoencoder()])
def test_an_autoencoder_with_default_parameters_fails_only_checks_with_data_outside_0_and_1(estimator, check):
    if check.func.__name__ not in OUTSIDE:
        check(estimator)
        return
    with pytest.raises(Exception) as caught:  # noqa: PT011
        check(estimator)
    assert any("outside [0, 1]" in str(error) for error in chain(caught.value))


def chain(error):
    """Yield the error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def those_outside(estimator):
    """The checks that an autoencoder with logistic outputs fails."""
    return [
        pytest.param(check, id=check.func.__name__)
        for _, check in estimator_checks_generator(estimator)
        if check.func.__name__ in OUTSIDE
    ]


@pytest.mark.parametrize("check", those_outside(SparseAutoencoder()))
def test_with_linear_outputs_these_pass_too(check):
    check(SparseAutoencoder(output_activation="identity"))


@pytest.mark.parametrize(
    "estimator",
    [MultivariateNormalRegressor(()), NoisyLabelClassifier((), epsilon=0.05)],
    ids=["regressor", "classifier"],
)
def test_weights_are_repetitions_without_hidden_layers_too(estimator):
    check_sample_weight_equivalence_on_dense_data(type(estimator).__name__, estimator)


@pytest.mark.exhaustive
@parametrize_with_checks(
    [
        SparseAutoencoder(output_activation="identity"),
        MultivariateNormalRegressor(()),
        NoisyLabelClassifier((), epsilon=0.05),
    ]
)
def test_with_linear_outputs_or_without_hidden_layers_every_check_passes(estimator, check):
    check(estimator)


def test_float64_is_kept_with_dtype_float64():
    check_transformer_preserve_dtypes("", SparseAutoencoder(output_activation="identity", dtype="float64"))


def test_the_expected_failures_are_names_of_checks():
    """A name without a check would not test anything."""
    names = {check.func.__name__ for _, check in estimator_checks_generator(SparseAutoencoder())}
    assert names >= OUTSIDE
    assert len(names - OUTSIDE) > 15
