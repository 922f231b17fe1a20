"""Unusable input raises one clear error, before anything is computed."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from sparsam.estimators._training import train_estimator as minimizing

METHODS_OF_X = ("transform", "predict", "score", "score_samples", "cost")


@pytest.fixture(autouse=True)
def nothing_is_trained(model, monkeypatch):
    """Fail if a training begins. (`model` is already fitted.)"""

    def train(*arguments, **keywords):
        raise AssertionError("trained with what cannot be used")

    monkeypatch.setattr(minimizing, "train", train)


# Hyperparameters

HYPERPARAMETERS = [
    ({"n_components": 0}, ValueError, "n_components must be finite and at least 1, got 0"),
    ({"n_components": 1.5}, TypeError, "n_components must be an integer, got "),
    ({"n_components": True}, TypeError, "n_components must be an integer, got True"),
    ({"n_components": "25"}, TypeError, "n_components must be an integer, got "),
    ({"n_components": None}, TypeError, "n_components must be an integer, got "),
    ({"rho": 0}, ValueError, r"rho must be in \(0, 1\), and at least 1.2e-07 from 0 and 1, .*float32, got "),
    ({"rho": 1.0}, ValueError, r"rho must be in \(0, 1\), and at least 1.2e-07 from 0 and 1, .*float32, got "),
    ({"rho": -0.1}, ValueError, r"rho must be in \(0, 1\), and at least 1.2e-07 from 0 and 1, .*float32, got "),
    ({"rho": np.nan}, ValueError, r"rho must be in \(0, 1\), and at least 1.2e-07 from 0 and 1, .*float32, got "),
    ({"rho": 1 - 1e-9}, ValueError, "at least 1.2e-07 from 0 and 1, which is the precision of float32"),
    ({"rho": 1e-40}, ValueError, "at least 1.2e-07 from 0 and 1, which is the precision of float32"),
    ({"rho": "0.1"}, TypeError, "rho must be a number, got "),
    ({"rho": [0.1]}, TypeError, "rho must be a number, got "),
    ({"beta": -1.0}, ValueError, r"beta must be in \[0, 1e\+30\], got "),
    ({"beta": np.inf}, ValueError, r"beta must be in \[0, 1e\+30\], got "),
    ({"alpha": -1e-9}, ValueError, r"alpha must be in \[0, 1e\+30\], got "),
    ({"alpha": np.nan}, ValueError, r"alpha must be in \[0, 1e\+30\], got "),
    ({"alpha": 1e39}, ValueError, r"alpha must be in \[0, 1e\+30\], got 1e\+39"),
    ({"alpha": None}, TypeError, "alpha must be a number, got "),
    ({"hidden_activation": "satlin"}, ValueError, "satlin units may be 0 on all rows: use .*'logistic'.*, or beta=0"),
    ({"hidden_activation": "relu"}, ValueError, "relu units are unbounded: use .*'logistic' or 'tanh', or beta=0"),
    (
        {"hidden_activation": "sigmoid"},
        ValueError,
        "hidden_activation must be one of 'logistic', 'tanh', 'relu', 'satlin', got 's",
    ),
    (
        {"hidden_activation": None},
        ValueError,
        "hidden_activation must be one of 'logistic', 'tanh', 'relu', 'satlin', got None",
    ),
    ({"hidden_activation": ["tanh"]}, ValueError, "hidden_activation must be one of"),
    (
        {"output_activation": "tanh"},
        ValueError,
        "output_activation must be one of 'logistic', 'identity', 'satlin', got 'tanh'",
    ),
    ({"max_iter": 0}, ValueError, r"max_iter must be in \[1, 2147483647\], got 0"),
    ({"max_iter": 1e3}, TypeError, "max_iter must be an integer, got "),
    ({"max_iter": 10**10}, ValueError, r"max_iter must be in \[1, 2147483647\], got 10000000000"),
    ({"tol": -1e-5}, ValueError, "tol must be finite and at least 0, got -1e-05"),
    ({"tol": np.nan}, ValueError, "tol must be finite and at least 0, got nan"),
    ({"time_budget": 0}, ValueError, "time_budget must be positive and finite, got 0"),
    ({"time_budget": np.inf}, ValueError, "time_budget must be positive and finite, got inf"),
    ({"time_budget": "1 h"}, TypeError, "time_budget must be a number, got "),
    ({"chunk_size": 0}, ValueError, "chunk_size must be finite and at least 1, got 0"),
    ({"chunk_size": 10.0}, TypeError, "chunk_size must be an integer, got "),
    ({"dtype": "float16"}, ValueError, "dtype must be one of 'float32', 'float64', got 'float16'"),
    ({"dtype": np.float64}, ValueError, "dtype must be one of 'float32', 'float64', got <class 'numpy.float64'>"),
    ({"warm_start": "no"}, TypeError, "warm_start must be True or False, got 'no'"),
    ({"verbose": "yes"}, TypeError, "verbose must be an integer, got 'yes'"),
    ({"callback": "print"}, TypeError, "callback must be callable or None, got 'print'"),
    ({"random_state": "seed"}, ValueError, "'seed' cannot be used to seed"),
]


@pytest.mark.parametrize(
    ("parameters", "error", "message"), HYPERPARAMETERS, ids=[str(case[0]) for case in HYPERPARAMETERS]
)
def test_hyperparameters_that_cannot_be_used(build, X, parameters, error, message):
    with pytest.raises(error, match=message):
        build(**parameters).fit(X)


# X


def spoiled(X, value, row=17, column=4):
    X = X.copy()
    X[row, column] = value
    return X


UNUSABLE_X = {
    "NaN": (lambda X: spoiled(X, np.nan), ValueError, "X contains NaN: first in row 17, column 4; 1 of 60 rows"),
    "infinity": (lambda X: spoiled(X, -np.inf), ValueError, "X contains infinity: first in row 17, column 4; 1 of 60"),
    "two rows": (
        lambda X: spoiled(spoiled(X, np.nan, 40, 0), np.nan, 40, 5),
        ValueError,
        "first in row 40, column 0; 1 of 60 rows have NaN or infinity. Remove these rows or impute them",
    ),
    "NaN of a frame": (
        lambda X: pd.DataFrame(spoiled(X, None)),
        ValueError,
        "X contains NaN: first in row 17, column 4",
    ),
    "no rows": (lambda X: X[:0], ValueError, r"0 sample\(s\) .*a minimum of 1 is required"),
    "no columns": (lambda X: X[:, :0], ValueError, r"0 feature\(s\) .*a minimum of 1 is required"),
    "1-D": (lambda X: X[0], ValueError, "Expected 2D array, got 1D array instead(.|\n)*Reshape your data"),
    "3-D": (lambda X: X[None], ValueError, "dim 3, while dim <= 2 is required"),
    "a number": (lambda X: 0.5, ValueError, "Expected 2D array, got scalar array instead"),
    "None": (lambda X: None, ValueError, "Expected 2D array, got scalar array instead"),
    "sparse": (
        scipy.sparse.csr_array,
        TypeError,
        "Sparse data was passed for X, but dense data is required. Use '.toarray",
    ),
    "complex": (lambda X: X + 0j, ValueError, "Complex data not supported"),
    "words": (lambda X: np.full((60, 6), "dark"), ValueError, "could not convert string to float: .*dark"),
    "ragged": (lambda X: [[0.1, 0.2], [0.3]], ValueError, "inhomogeneous"),
}


@pytest.mark.parametrize("case", UNUSABLE_X)
def test_X_that_cannot_be_fitted(build, X, case):
    spoil, error, message = UNUSABLE_X[case]
    with pytest.raises(error, match=message):
        build().fit(spoil(X))


@pytest.mark.parametrize("method", METHODS_OF_X)
@pytest.mark.parametrize("case", UNUSABLE_X)
@pytest.mark.filterwarnings("ignore:X has feature names:UserWarning")
def test_X_that_cannot_be_applied(model, X, method, case):
    spoil, error, message = UNUSABLE_X[case]
    with pytest.raises(error, match=message):
        getattr(model, method)(spoil(X))


@pytest.mark.parametrize("method", METHODS_OF_X)
def test_wrong_number_of_columns(model, X, method):
    with pytest.raises(ValueError, match="X has 4 features, but SparseAutoencoder is expecting 6 features"):
        getattr(model, method)(X[:, :4])


def test_inverse_transform_takes_hidden_activations_only(model, X):
    with pytest.raises(ValueError, match="X has 6 columns, but there are 3 hidden units: pass the result of transform"):
        model.inverse_transform(X)
    with pytest.raises(ValueError, match="Input X contains NaN: first in row 2, column 1"):
        model.inverse_transform(spoiled(X[:, :3], np.nan, 2, 1))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        model.inverse_transform(X[0, :3])
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        model.inverse_transform(scipy.sparse.csr_array(X[:, :3]))


@pytest.mark.parametrize("value", [1 + 1.1e-6, -1.1e-6, 255.0, -1.0])
def test_logistic_outputs_refuse_data_outside_the_unit_range(build, X, value):
    message = (
        r"X ranges from .* \(first outside \[0, 1\] in row 17\), but logistic outputs can only reach \(0, 1\)\. "
        r"Normalize X \(.*normalize_patches.*MinMaxScaler.*\) or set output_activation='identity'"
    )
    with pytest.raises(ValueError, match=message):
        build().fit(spoiled(X, value))


def test_data_outside_the_unit_range_may_be_applied(model, X):
    assert np.isfinite(model.score(spoiled(X, 255.0)))


# sample_weight

WEIGHTS = {
    "negative": (spoiled(np.ones((60, 1)), -1.0, 5, 0)[:, 0], "sample_weight must not be negative, got -1 in row 5"),
    "all zero": (np.zeros(60), "sample_weight is zero for every sample: there is nothing to fit"),
    "too few": (np.ones(59), r"inconsistent numbers of samples: \[60, 59\]"),
    "a column": (np.ones((60, 1)), r"sample_weight must have one number per sample, got an array of shape \(60, 1\)"),
    "NaN": (np.full(60, np.nan), "Input sample_weight contains NaN"),
    "infinite": (np.full(60, np.inf), "Input sample_weight contains infinity"),
    "words": (["heavy"] * 60, "could not convert string to float: 'heavy'"),
}


@pytest.mark.parametrize("method", ["fit", "score", "cost"])
@pytest.mark.parametrize("case", WEIGHTS)
def test_sample_weight_that_cannot_be_used(model, X, method, case):
    weights, message = WEIGHTS[case]
    with pytest.raises(ValueError, match=message):
        getattr(copy.deepcopy(model), method)(X, sample_weight=weights)


def test_cost_checks_hyperparameters_set_after_the_fit(model, X):
    changed = copy.deepcopy(model).set_params(rho=5)
    with pytest.raises(ValueError, match="rho must be in"):
        changed.cost(X)
