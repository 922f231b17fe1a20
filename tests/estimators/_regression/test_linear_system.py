"""Linear systems: formulas by brute force, units, restrictions, weights, coverage, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm
from sklearn.exceptions import ConvergenceWarning

from sparsam import MultivariateNormalRegressor, fit_linear_system
from sparsam.estimators._regression import generalized_least_squares
from sparsam.estimators._regression.coefficient_names import coefficient_names

KINDS = ("unadjusted", "robust")


@pytest.fixture(scope="module")
def system(simulate):
    """X, y and the mask of a system of 60 rows and three outputs, which have one, two and three of four inputs."""
    return simulate(np.random.default_rng(0), 60, 4, 3)


def stacked(X, mask):
    """Return Z, (n_samples, n_outputs, n_coefficients): output by output, its inputs and a one."""
    ones = np.ones((len(X), 1))
    blocks = [np.hstack([X[:, allowed], ones]) for allowed in mask.T]
    Z = np.zeros((len(X), mask.shape[1], sum(block.shape[1] for block in blocks)))
    start = 0
    for k, block in enumerate(blocks):
        Z[:, k, start : start + block.shape[1]] = block
        start += block.shape[1]
    return Z


def by_kronecker(X, y, mask, C):
    """Compute generalized least squares with a known C by X' (C^-1 (x) I) X: beta, H^-1, and the robust covariance."""
    Z = stacked(X, mask)
    tall, weights = Z.transpose(1, 0, 2).reshape(-1, Z.shape[2]), np.kron(np.linalg.inv(C), np.eye(len(X)))
    V = np.linalg.inv(tall.T @ weights @ tall)
    beta = V @ tall.T @ weights @ y.T.ravel()
    slopes = np.einsum("nkp,kl,nl->np", Z, np.linalg.inv(C), y - Z @ beta)
    return beta, V, V @ slopes.T @ slopes @ V


def test_a_step_is_generalized_least_squares_with_the_covariance_of_the_residuals_before(system):
    X, y, mask = system
    least_squares = np.hstack([by_kronecker(X, y[:, [k]], mask[:, [k]], np.eye(1))[0] for k in range(3)])
    r = y - stacked(X, mask) @ least_squares
    for n_steps in (1, 2, 3):
        fitted = fit_linear_system(X, y, mask=mask, n_steps=n_steps)
        np.testing.assert_allclose(fitted.weighting_covariance, r.T @ r / 60, rtol=1e-10)
        beta, V, robust = by_kronecker(X, y, mask, r.T @ r / 60)
        np.testing.assert_allclose(fitted.coefficients, beta, rtol=1e-9)
        np.testing.assert_allclose(fitted.coefficient_covariance(), V, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(fitted.coefficient_covariance("robust"), robust, rtol=1e-8, atol=1e-12)
        r = y - stacked(X, mask) @ beta
        np.testing.assert_allclose(fitted.covariance, r.T @ r / 60, rtol=1e-10)
        np.testing.assert_allclose(X @ fitted.coef + fitted.intercept, y - r, rtol=1e-9)


@pytest.mark.parametrize("n_steps", [1, None])
def test_restrictions_correct_the_unrestricted_estimate_by_the_textbook_formula(system, n_steps):
    """beta - V R' (R V R')^-1 (R beta - q) for the same C (Greene, 7th edition, section 5.5.1)."""
    X, y, mask = system
    rng = np.random.default_rng(0)
    R, q = rng.normal(size=(3, mask.sum() + 3)), rng.normal(size=3)
    fitted = fit_linear_system(X, y, mask=mask, restrictions=R, restriction_values=q, n_steps=n_steps)
    beta, V, _ = by_kronecker(X, y, mask, fitted.weighting_covariance)
    correction = V @ R.T @ np.linalg.inv(R @ V @ R.T)
    np.testing.assert_allclose(fitted.coefficients, beta - correction @ (R @ beta - q), rtol=1e-8)
    unadjusted, robust = (fitted.coefficient_covariance(kind).to_numpy() for kind in KINDS)
    np.testing.assert_allclose(unadjusted, V - correction @ R @ V, atol=1e-10 * np.abs(V).max())
    np.testing.assert_allclose(R @ fitted.coefficients, q, atol=1e-12)
    np.testing.assert_allclose(R @ unadjusted, 0, atol=1e-12)
    np.testing.assert_allclose(R @ robust, 0, atol=1e-12)


def test_restrictions_that_hold_already_change_nothing_but_the_standard_errors(system):
    X, y, mask = system
    free = fit_linear_system(X, y, mask=mask)
    R = np.random.default_rng(1).normal(size=(2, len(free.coefficients)))
    restricted = fit_linear_system(X, y, mask=mask, restrictions=R, restriction_values=R @ free.coefficients)
    np.testing.assert_allclose(restricted.coefficients, free.coefficients, rtol=1e-9)
    np.testing.assert_allclose(restricted.covariance, free.covariance, rtol=1e-9)
    gained = free.coefficient_covariance() - restricted.coefficient_covariance()
    assert np.linalg.eigvalsh(gained)[-2:].min() > 1e-6  # of rank two
    np.testing.assert_allclose(np.linalg.eigvalsh(gained)[:-2], 0, atol=1e-10)


def test_a_coefficient_that_is_fixed_has_no_error(system):
    X, y, mask = system
    no_intercept = pd.DataFrame([{("y0", "intercept"): 1.0}])
    table = fit_linear_system(X, y, mask=mask, restrictions=no_intercept).summary("robust")
    fixed = table.loc[("y0", "intercept")]
    assert fixed["coefficient"] == pytest.approx(0, abs=1e-12)
    assert fixed["standard_error"] == 0
    assert np.isnan(fixed[["statistic", "p_value"]]).all()
    assert (table["standard_error"].drop(("y0", "intercept")) > 0).all()


def test_all_coefficients_can_be_fixed(system):
    X, y, mask = system
    n = mask.sum() + 3
    fitted = fit_linear_system(X, y, mask=mask, restrictions=np.eye(n), restriction_values=np.arange(n))
    np.testing.assert_allclose(fitted.coefficients, np.arange(n), atol=1e-12)
    assert not fitted.coefficient_covariance("robust").to_numpy().any()


def test_restrictions_determine_coefficients_that_the_data_do_not(system):
    X, y, _ = system
    twins = np.c_[X, X[:, 0]]
    with pytest.raises(ValueError, match=r"columns [04] of X are linear combinations of the others for output 0"):
        fit_linear_system(twins, y)
    equal = [{(f"y{k}", "x0"): 1, (f"y{k}", "x4"): -1} for k in range(3)]
    fitted, alone = fit_linear_system(twins, y, restrictions=pd.DataFrame(equal)), fit_linear_system(X, y)
    np.testing.assert_allclose(fitted.coef[[0, 4]], np.tile(alone.coef[0] / 2, (2, 1)), rtol=1e-9)
    with pytest.raises(ValueError, match="the data and the restrictions do not determine all coefficients"):
        fit_linear_system(twins, y, restrictions=pd.DataFrame(equal[:2]))


@pytest.mark.parametrize("small_sample", [False, True])
@pytest.mark.parametrize("n_steps", [1, None])
def test_units_change_only_units(system, n_steps, small_sample):
    X, y, mask = system
    of_inputs, of_targets = np.array([1e-6, 1.0, 1e3, 7.0]), np.array([1e5, 1.0, 1e-4])
    settings = {"mask": mask, "n_steps": n_steps, "small_sample": small_sample}
    fitted = fit_linear_system(X, y, **settings)
    other = fit_linear_system(X * of_inputs, y * of_targets, **settings)
    factors = np.concatenate([np.append(u / of_inputs[mask[:, k]], u) for k, u in enumerate(of_targets)])
    np.testing.assert_allclose(other.coefficients / factors, fitted.coefficients, rtol=1e-9)
    for kind in KINDS:
        V = other.coefficient_covariance(kind) / np.outer(factors, factors)
        np.testing.assert_allclose(V, fitted.coefficient_covariance(kind), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(other.summary(kind)["p_value"], fitted.summary(kind)["p_value"], rtol=1e-7)


def test_units_change_only_units_of_an_iterated_estimate_with_restrictions_across_equations(system):
    """In one step they do not: the least squares of all equations together, which is first, depends on units."""
    X, y, mask = system
    units = np.array([1e3, 1.0, 1e-2])
    R = np.random.default_rng(2).normal(size=(2, mask.sum() + 3))
    factors = np.repeat(units, mask.sum(axis=0) + 1)
    changes = {}
    for n_steps in (None, 1):
        fitted = fit_linear_system(X, y, mask=mask, restrictions=R, n_steps=n_steps)
        other = fit_linear_system(X, y * units, mask=mask, restrictions=R / factors, n_steps=n_steps)
        changes[n_steps] = np.abs(other.coefficients / factors / fitted.coefficients - 1).max()
    assert changes[None] < 1e-8
    assert changes[1] > 1e-3


def test_far_origins_and_inputs_that_nearly_depend_on_each_other_leave_the_fit_accurate(system):
    X, y, _ = system
    mixed = np.c_[X[:, 0], X[:, 0] + 1e-3 * X[:, 1], X[:, 2:]]
    fitted, other = fit_linear_system(X, y), fit_linear_system(mixed + 1e4, y - 1e4)
    slopes = np.vstack([other.coef[0] + other.coef[1], 1e-3 * other.coef[1], other.coef[2:]])
    # The inputs are rounded to 1e-12, a part of 1e-9 of the second direction, whose slopes are 1e3 times as large.
    np.testing.assert_allclose(slopes, fitted.coef, atol=1e-6)
    np.testing.assert_allclose(other.covariance, fitted.covariance, rtol=1e-8)


@pytest.mark.parametrize("small_sample", [False, True])
@pytest.mark.parametrize("n_steps", [1, None])
def test_weights_are_numbers_of_copies(system, n_steps, small_sample):
    X, y, mask = system
    copies = np.random.default_rng(4).integers(0, 4, size=len(X))
    R = np.random.default_rng(5).normal(size=(1, mask.sum() + 3))
    settings = {"mask": mask, "n_steps": n_steps, "small_sample": small_sample, "restrictions": R}
    weighted = fit_linear_system(X, y, sample_weight=copies, **settings)
    repeated = fit_linear_system(np.repeat(X, copies, axis=0), np.repeat(y, copies, axis=0), **settings)
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-9)
    assert weighted.degrees_of_freedom == repeated.degrees_of_freedom
    for kind in KINDS:
        np.testing.assert_allclose(weighted.summary(kind), repeated.summary(kind), rtol=1e-7)


def test_of_one_output_it_is_least_squares_with_whites_standard_errors(system):
    X, y, _ = system
    fitted, corrected = (fit_linear_system(X, y[:, 0], small_sample=small) for small in (False, True))
    D = np.hstack([X, np.ones((60, 1))])
    inverse = np.linalg.inv(D.T @ D)
    beta = inverse @ D.T @ y[:, 0]
    r = y[:, 0] - D @ beta
    np.testing.assert_allclose(fitted.coefficients, beta, rtol=1e-9)
    np.testing.assert_allclose(fitted.coefficient_covariance(), r @ r / 60 * inverse, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(corrected.coefficient_covariance(), r @ r / 55 * inverse, rtol=1e-8, atol=1e-12)
    hc0 = inverse @ (D.T * r**2) @ D @ inverse
    np.testing.assert_allclose(fitted.coefficient_covariance("robust"), hc0, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(corrected.coefficient_covariance("robust"), 60 / 55 * hc0, rtol=1e-8, atol=1e-12)


def test_iterated_it_is_the_regressor_of_maximum_likelihood(grunfeld):
    X, y, mask = grunfeld
    fitted = fit_linear_system(X, y, mask=mask)
    model = MultivariateNormalRegressor((), mask=mask, alpha=0.0, tol=1e-10, cv=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rounding may end it before
        model.fit(X, y)
    errors = fitted.summary()["standard_error"].to_numpy()
    np.testing.assert_allclose(model.covariance_, fitted.covariance, rtol=1e-6)
    table = np.vstack([model.coefs_[0], model.intercepts_[0]]).T
    coefficients = table[np.vstack([mask, np.ones(5, bool)]).T]
    np.testing.assert_allclose((coefficients - fitted.coefficients) / errors, 0, atol=1e-6)
    for kind in KINDS:
        V, expected = model.coefficient_covariance(X, y, kind=kind), fitted.coefficient_covariance(kind)
        assert V.index.equals(expected.index)
        assert V.columns.equals(expected.columns)
        np.testing.assert_allclose((V - expected) / np.outer(errors, errors), 0, atol=1e-6)
        coef_errors, intercept_errors = model.standard_errors(X, y, kind=kind)
        own = np.sqrt(np.diag(V))
        np.testing.assert_allclose(np.vstack([coef_errors, intercept_errors]).T[table != 0], own, rtol=1e-12)


def test_with_missing_targets_the_covariance_of_a_regressor_sums_the_slopes_of_what_is_observed(system):
    X, y, mask = system
    rng = np.random.default_rng(6)
    y, weights = np.where(rng.random(y.shape) < 0.2, np.nan, y), rng.integers(1, 3, size=60)
    kept = ~np.isnan(y).all(axis=1)
    X, y, weights = X[kept], y[kept], weights[kept]
    model = MultivariateNormalRegressor((), mask=mask, alpha=0.0, tol=1e-8, cv=None).fit(X, y, weights)
    r = y - model.predict(X)
    H, squares = 0.0, 0.0
    for Z, r_n, s in zip(stacked(X, mask), r, weights, strict=True):
        o = ~np.isnan(r_n)
        B = np.linalg.inv(model.covariance_[np.ix_(o, o)])
        g = Z[o].T @ B @ r_n[o]
        H, squares = H + s * Z[o].T @ B @ Z[o], squares + s * np.outer(g, g)
    V = np.linalg.inv(H)
    expected = {"unadjusted": V, "robust": V @ squares @ V}
    for kind in KINDS:
        found = model.coefficient_covariance(X, y, weights, kind)
        np.testing.assert_allclose(found, expected[kind], rtol=1e-8, atol=1e-12)
    assert found.index.tolist()[:5] == [
        *(("y0", name) for name in ("x1", "intercept")),
        *(("y1", name) for name in ("x0", "x3", "intercept")),
    ]


@pytest.mark.slow
def test_robust_intervals_hold_what_they_say_where_the_noise_depends_on_the_inputs():
    """With x uniform of variance 1 and noise x z, Cov z = R, the noise has the mean covariance R, and B = R^-1. A slope
    g = sum x (B x z)_1 has the variance n E x^4 B_11 = 1.8 n B_11, where the information is n B_11. So unadjusted 95 %
    intervals hold the slope in a share 2 Phi(1.96 / sqrt(1.8)) - 1 = 0.856 of the draws."""
    rng, n_draws, held = np.random.default_rng(7), 400, dict.fromkeys(KINDS, 0)
    quantile = norm.ppf(0.975)
    mask = np.array([[True, False], [False, True]])
    for _ in range(n_draws):
        X = rng.uniform(-np.sqrt(3), np.sqrt(3), size=(500, 2))
        noise = X[:, [0]] * rng.multivariate_normal([0, 0], [[1, 0.3], [0.3, 1]], size=500)
        fitted = fit_linear_system(X, X + noise, mask=mask, n_steps=1)
        for kind in KINDS:
            row = fitted.summary(kind).loc[("y0", "x0")]
            held[kind] += abs(row["coefficient"] - 1) < quantile * row["standard_error"]
    low, high = binom.ppf([0.001, 0.999], n_draws, 0.95)
    assert low <= held["robust"] <= high
    low, high = binom.ppf([0.001, 0.999], n_draws, 2 * norm.cdf(quantile / np.sqrt(1.8)) - 1)
    assert low <= held["unadjusted"] <= high


def test_names_of_frames_are_those_of_the_coefficients(grunfeld):
    X, y, mask = grunfeld
    fitted = fit_linear_system(X, y, mask=mask, n_steps=1)
    assert fitted.coefficients["Chrysler"].index.tolist() == ["value Chrysler", "capital Chrysler", "intercept"]
    assert fitted.coefficient_covariance().loc["Chrysler", "US Steel"].shape == (3, 3)
    named = pd.DataFrame([{("US Steel", "intercept"): 2.0, ("Chrysler", "value Chrysler"): np.nan}])
    R = np.zeros((1, 15))
    R[0, 11] = 2.0
    by_name, by_place = (
        fit_linear_system(X, y, mask=mask, restrictions=restrictions, restriction_values=[4.0])
        for restrictions in (named, R)
    )
    pd.testing.assert_frame_equal(by_name.summary(), by_place.summary())
    assert by_name.coefficients[("US Steel", "intercept")] == pytest.approx(2.0, abs=1e-10)


def test_names_that_occur_twice_are_refused():
    twice = pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match="'a' occurs twice among the columns of y"):
        coefficient_names(np.zeros((2, 2)), twice, np.ones((2, 3), bool))


def refuse(message, X, y, **settings):
    with pytest.raises(ValueError, match=message):
        fit_linear_system(X, y, **settings)


def test_restrictions_that_cannot_be_used_are_refused(system):
    X, y, mask = system
    n = mask.sum() + 3
    R = np.random.default_rng(8).normal(size=(2, n))
    refuse("row 2 of restrictions follows from the rows before it", X, y, mask=mask, restrictions=[*R, R[0] - R[1]])
    refuse(
        "row 2 of restrictions contradicts the rows before it",
        *(X, y),
        mask=mask,
        restrictions=[*R, R[0] - R[1]],
        restriction_values=[1.0, 1.0, 1e-3],
    )
    everything = np.vstack([np.eye(n), np.ones(n)])
    refuse(
        f"row {n} of restrictions contradicts",
        X,
        y,
        mask=mask,
        restrictions=everything,
        restriction_values=[*[1.0] * n, 0],
    )
    refuse("row 1 of restrictions contains only 0", X, y, mask=mask, restrictions=[R[0], 0 * R[0]])
    refuse(rf"shape \(n_restrictions, n_coefficients\), here \(any, {n}\)", X, y, mask=mask, restrictions=R[:, 1:])
    refuse("got an array of shape", X, y, mask=mask, restrictions=R[0])
    refuse(r"one number for each of the 2 restrictions", X, y, mask=mask, restrictions=R, restriction_values=[1.0])
    refuse("must be finite", X, y, mask=mask, restrictions=R * np.inf)
    refuse("pass both", X, y, mask=mask, restriction_values=[1.0])
    refuse("have a column 'x0'", X, y, mask=mask, restrictions=pd.DataFrame({"x0": [1.0]}))
    masked = ("y0", f"x{np.flatnonzero(~mask[:, 0])[0]}")
    refuse("have a column", X, y, mask=mask, restrictions=pd.DataFrame([{masked: 1.0}]))


def test_data_that_do_not_determine_a_system_are_refused(system):
    X, y, mask = system
    refuse("5 rows are too few for an output with 5 coefficients", X[:5], y[:5])
    refuse("6 rows are too few for 3 outputs", X[:6], y[:6])
    refuse("outputs are linear combinations of others", X, np.c_[y, y[:, 0] + y[:, 1]])
    refuse("output 1 has no residuals", X, np.c_[y[:, 0], X @ [1.0, 2.0, 3.0, 4.0]])
    refuse("output 3 has no residuals", X, np.c_[y, np.ones(60)])
    refuse("columns 4 of X are constant", np.c_[X, np.ones(60)], y)
    refuse("y contains NaN in 1 of 60 rows, first in row 7", X, np.where(np.arange(60)[:, None] == 7, np.nan, y))
    refuse("sample_weight must be numbers of copies", X, y, small_sample=True, sample_weight=np.full(60, 0.05))
    refuse(r"mask must have the shape \(n_features, n_outputs\) = \(4, 3\)", X, y, mask=mask.T)
    refuse("n_steps must be", X, y, n_steps=0)
    refuse("'intercept' occurs twice", pd.DataFrame(X, columns=["intercept", "x", "a", "b"]), y)
    with pytest.raises(ValueError, match="kind must be one of 'unadjusted', 'robust'"):
        fit_linear_system(X, y).summary("hc3")


def test_an_iteration_that_does_not_converge_is_warned_of(system, monkeypatch):
    X, y, mask = system
    monkeypatch.setattr(generalized_least_squares, "MAX_STEPS", 2)
    with pytest.warns(ConvergenceWarning, match="have not converged after 2"):
        fitted = fit_linear_system(X, y, mask=mask)
    expected = fit_linear_system(X, y, mask=mask, n_steps=2)  # without a warning
    np.testing.assert_array_equal(fitted.coefficients, expected.coefficients)


def test_inputs_that_nearly_depend_on_each_other_are_refused(system):
    X, y, _ = system
    twins = np.c_[X, X[:, 0] + 1e-8 * X[:, 1] ** 2]
    message = "the data and the restrictions do not determine all coefficients"
    refuse(message, twins, y)
    model = MultivariateNormalRegressor((), alpha=0.0, cv=None).fit(twins, y)
    with pytest.raises(ValueError, match=message):
        model.coefficient_covariance(twins, y)


def test_a_likelihood_without_a_maximum_is_named(kmenta):
    """Kmenta's equations explain the same output: iterated, their residuals become equal ("do not converge and lead to
    a singular weighting matrix", systemfit's tests/test_sur.R)."""
    X, y, mask = kmenta
    refuse(r"became singular in step \d+: the likelihood has no maximum", X, y, mask=mask)


def test_a_mask_that_is_a_frame_has_the_names_of_the_data_in_their_order():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    y = pd.DataFrame(X[["a", "c"]].to_numpy() + rng.normal(size=(60, 2)), columns=["u", "v"])
    mask = pd.DataFrame([[1, 0], [0, 1], [0, 1]], index=X.columns, columns=y.columns)
    linear = MultivariateNormalRegressor((), alpha=0, cv=None, mask=mask)
    coef = fit_linear_system(X, y, mask=mask).coef
    np.testing.assert_array_equal(fit_linear_system(X.to_numpy(), y, mask=mask.to_numpy()).coef, coef)
    np.testing.assert_allclose(linear.fit(X, y).coefs_[0], coef, atol=1e-4)
    for other, what in [(mask.loc[["c", "b", "a"]], "rows of mask"), (mask[["v", "u"]], "columns of mask")]:
        with pytest.raises(ValueError, match=f"the {what} are named .*: use the same names in the same order"):
            fit_linear_system(X, y, mask=other)
        with pytest.raises(ValueError, match=f"the {what} are named"):
            linear.set_params(mask=other).fit(X, y)


def test_columns_of_text_are_named():
    with pytest.raises(ValueError, match="X has columns that are not numbers: 'color'"):
        fit_linear_system(pd.DataFrame({"x": [1.0, 2.0, 3.0], "color": ["red", "blue", "red"]}), [1.0, 2.0, 3.0])
