"""Edge cases: values that are barely usable, overflows, and the state after a failed fit."""

import copy

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow


def spoiled(X, value):
    X = X.copy()
    X[17, 4] = value
    return X


# Barely usable


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_components": np.int64(3), "rho": np.float32(0.2), "beta": np.int32(1), "max_iter": np.int16(5)},
        {"chunk_size": np.int64(64), "alpha": np.float64(1e-3), "tol": np.float32(1e-3), "verbose": np.int8(0)},
        {"tol": 0, "beta": 0, "alpha": 0, "hidden_activation": "relu", "output_activation": "identity", "max_iter": 1},
        {"time_budget": 3600, "random_state": np.random.RandomState(0), "max_iter": 1},
    ],
    ids=lambda options: "-".join(options),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_hyperparameters_at_the_edge_and_of_numpy_types_are_used(build, X, parameters):
    assert np.isfinite(build(**parameters).fit(X).loss_)


@pytest.mark.parametrize("value", [0.0, 1.0, 1 + 1e-7, -1e-7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logistic_outputs_accept_the_unit_range_up_to_rounding(build, X, value, dtype):
    assert build(dtype=dtype).fit(spoiled(X, value)).converged_


# Overflow


@pytest.mark.parametrize(
    ("scale", "parameters", "terms"),
    [
        (1e38, {}, "squared_error"),
        (1e25, {"hidden_activation": "relu", "beta": 0.0}, "squared_error"),
        (1e200, {"hidden_activation": "tanh", "dtype": "float64"}, "squared_error"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_overflow_names_the_term_and_sets_no_weights(build, X, scale, parameters, terms):
    new = build(output_activation="identity", **parameters)
    with pytest.raises(FloatingPointError, match=rf"not finite in the term\(s\) {terms}\. Look for extreme values"):
        new.fit(scale * X)
    assert not hasattr(new, "coefs_")  # no finite J, so that there are no weights


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_data_beyond_float32_are_an_overflow_too(build, X):
    with pytest.raises(FloatingPointError, match="squared_error"):
        build(output_activation="identity").fit(1e39 * X)


@pytest.mark.slow  # another compiled program
def test_data_that_overflow_in_float32_may_fit_in_float64(build, X):
    model = build(output_activation="identity", dtype="float64", beta=0.0, max_iter=1)
    with pytest.warns(UserWarning, match="max_iter"):
        model.fit(1e25 * X)
    assert all(np.isfinite(coef).all() for coef in model.coefs_)


# Failed fits


FAILURES = {
    "hyperparameter": (lambda model, X: model.set_params(rho=2.0).fit(X), ValueError),
    "NaN": (lambda model, X: model.fit(spoiled(X, np.nan)), ValueError),
    "range": (lambda model, X: model.fit(X + 1), ValueError),
    "weights": (lambda model, X: model.fit(X, sample_weight=np.zeros(60)), ValueError),
    "no rows": (lambda model, X: model.fit(X[:0]), ValueError),
    "warm start": (lambda model, X: model.set_params(warm_start=True, n_components=5).fit(X), ValueError),
    "features": (
        lambda model, X: model.set_params(warm_start=True).fit(pd.DataFrame(X[:, :4], columns=[*"abcd"])),
        ValueError,
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failed_fit_keeps_the_previous_fit(model, X, same_bits, case):
    fail, error = FAILURES[case]
    again = copy.deepcopy(model)
    with pytest.raises(error):
        fail(again, X)
    assert same_bits(again, model)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_an_overflow_at_the_start_keeps_the_previous_fit(model, X, same_bits):
    again = copy.deepcopy(model).set_params(output_activation="identity")
    with pytest.raises(FloatingPointError, match="squared_error"):
        again.fit(1e38 * X)
    assert same_bits(again, model)
