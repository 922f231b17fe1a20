"""Linear systems as linearmodels estimates them, and as systemfit prints them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.published.rows import sur
from sparsam import fit_linear_system

OPTIONS = pytest.mark.parametrize("small_sample", [False, True], ids=["", "small_sample"])
STEPS = pytest.mark.parametrize("n_steps", [1, None], ids=["one_step", "iterated"])


def by_linearmodels(X, y, mask, *, kind, n_steps, small_sample, R=None, q=None):
    """Fit the same system by linearmodels; its coefficients have the same order."""
    system = pytest.importorskip("linearmodels.system")
    X, y = np.asarray(X), np.asarray(y)
    ones = np.ones((len(X), 1))
    equations = {
        f"e{k}": {"dependent": y[:, k], "exog": np.hstack([X[:, mask[:, k]], ones])} for k in range(y.shape[1])
    }
    model = system.SUR(equations)
    if R is not None:
        model.add_constraints(pd.DataFrame(R, columns=model.param_names), pd.Series(q))
    return model.fit(
        method="gls", iterate=n_steps is None, iter_limit=10_000, tol=1e-11, cov_type=kind, debiased=small_sample
    )


def check_against_linearmodels(X, y, mask, n_steps, small_sample, R=None, q=None):
    """Compare coefficients in standard errors, covariances of coefficients in products of standard errors."""
    system = fit_linear_system(
        X, y, mask=mask, n_steps=n_steps, small_sample=small_sample, restrictions=R, restriction_values=q
    )
    for kind in ("unadjusted", "robust"):
        other = by_linearmodels(X, y, mask, kind=kind, n_steps=n_steps, small_sample=small_sample, R=R, q=q)
        summary, V = system.summary(kind), system.coefficient_covariance(kind).to_numpy()
        errors = other.std_errors.to_numpy()
        np.testing.assert_allclose(summary["coefficient"], other.params, rtol=1e-6, atol=1e-9 * errors.max())
        np.testing.assert_allclose(summary["standard_error"], errors, rtol=1e-6)
        np.testing.assert_allclose(V / np.outer(errors, errors), other.cov / np.outer(errors, errors), atol=1e-6)
        np.testing.assert_allclose(system.weighting_covariance, other.sigma, rtol=1e-6)
        if R is None:  # linearmodels does not add the restrictions to the degrees of freedom
            np.testing.assert_allclose(summary["p_value"], other.pvalues, rtol=1e-6, atol=1e-12)
            assert system.degrees_of_freedom == other.df_resid
        np.testing.assert_allclose(summary["statistic"], other.tstats, rtol=1e-6, atol=1e-9)


@STEPS
@OPTIONS
def test_grunfelds_five_firms(grunfeld, n_steps, small_sample):
    check_against_linearmodels(*grunfeld, n_steps, small_sample)


@STEPS
@OPTIONS
def test_grunfelds_five_firms_with_restrictions_across_equations(grunfeld, n_steps, small_sample):
    """The capitals of Chrysler and Westinghouse have one slope, and the values of General Motors twice that of US Steel
    less 0.1."""
    R = np.zeros((2, 15))
    R[0, [1, 13]] = 1, -1
    R[1, [6, 9]] = 2, -1
    check_against_linearmodels(*grunfeld, n_steps, small_sample, R, [0, 0.1])


@STEPS
@OPTIONS
def test_fringe_benefits(n_steps, small_sample):
    """Benefits and earnings of 616 employees (Vella, 1993): equations that share most inputs."""
    table = pytest.importorskip("linearmodels.datasets.fringe").load()
    inputs = ["educ", "exper", "expersq", "union", "south", "nrtheast", "nrthcen", "married", "white", "male"]
    mask = np.array([[name != "married", name not in ("union", "south", "white")] for name in inputs])
    check_against_linearmodels(table[inputs], table[["hrbens", "hrearn"]], mask, n_steps, small_sample)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5), st.booleans(), st.booleans(), st.booleans())
def test_drawn_systems(simulate, seed, n_outputs, n_features, iterated, small_sample, restricted):
    rng = np.random.default_rng(seed)
    X, y, mask = simulate(rng, 60, n_features, n_outputs)
    n_coefficients = mask.sum() + n_outputs
    R, q = (rng.normal(size=(1, n_coefficients)), rng.normal(size=1)) if restricted else (None, None)
    check_against_linearmodels(X, y, mask, None if iterated else 1, small_sample, R, q)


def check_printed(system, coefficients, errors, digits=7):
    """Compare with printed figures, given intercept first; the last digit may be rounded."""
    summary = system.summary()
    intercepts_first = [
        name for output in system.coefficients.index.unique("output") for name in _intercept_first(summary, output)
    ]
    np.testing.assert_allclose(summary.loc[intercepts_first, "coefficient"], coefficients, atol=0.6 * 10.0**-digits)
    np.testing.assert_allclose(summary.loc[intercepts_first, "standard_error"], errors, atol=0.6 * 10.0**-digits)


def _intercept_first(summary, output):
    names = [name for name in summary.index if name[0] == output]
    return [names[-1], *names[:-1]]


def test_systemfit_prints_kmentas_demand_and_supply(kmenta):
    """systemfit's tests/test_sur.Rout.save: fitsur1 (methodResidCov = "geomean", its default), fitsur1e ("noDfCor")."""
    X, y, mask = kmenta
    corrected = fit_linear_system(X, y, mask=mask, n_steps=1, small_sample=True)
    check_printed(
        corrected,
        [99.3328942, -0.2754857, 0.2985505, 61.9661660, 0.1468841, 0.2140040, 0.3393039],
        [7.5144525, 0.0885091, 0.0419454, 11.0807901, 0.0944351, 0.0398684, 0.0679113],
    )
    np.testing.assert_allclose(corrected.weighting_covariance, [[3.72539, 4.13696], [4.13696, 5.78444]], atol=0.6e-5)
    np.testing.assert_allclose(corrected.covariance, [[3.86370, 4.92431], [4.92431, 6.50365]], atol=0.6e-5)

    plain = fit_linear_system(X, y, mask=mask, n_steps=1)
    check_printed(
        plain,
        [99.2756619, -0.2713333, 0.2948791, 62.2942138, 0.1461467, 0.2121429, 0.3322117],
        [6.9279829, 0.0816013, 0.0386717, 9.9109599, 0.0844653, 0.0356594, 0.0607417],
    )
    np.testing.assert_allclose(plain.weighting_covariance, [[3.16658, 3.41143], [3.41143, 4.62755]], atol=0.6e-5)
    np.testing.assert_allclose(plain.covariance, [[3.30928, 4.06638], [4.06638, 5.17749]], atol=0.6e-5)


def test_systemfit_prints_kmentas_market_with_restrictions(kmenta):
    """systemfit's tests/test_sur.Rout.save: fitsur2 (one slope of income and trend), fitsur4 and fitsur4e (the price
    of supply is also that of demand plus 0.5)."""
    X, y, mask = kmenta
    income_is_trend = {("demand", "income"): 1, ("supply", "trend"): -1}
    one = fit_linear_system(X, y, mask=mask, restrictions=pd.DataFrame([income_is_trend]), n_steps=1, small_sample=True)
    check_printed(
        one,
        [98.8407612, -0.2397799, 0.2669811, 67.4283376, 0.1332168, 0.1794809, 0.2669811],
        [7.5581367, 0.0859935, 0.0368424, 10.6647167, 0.0953100, 0.0336540, 0.0368424],
    )
    assert one.degrees_of_freedom == 34
    np.testing.assert_allclose(one.summary()["p_value"]["demand"][:2], [0.008613, 2.1812e-8], rtol=6e-5)

    R = pd.DataFrame([income_is_trend, {("demand", "price"): -1, ("supply", "price"): 1}])
    settings = {"mask": mask, "restrictions": R, "restriction_values": [0, 0.5], "n_steps": 1}
    check_printed(
        fit_linear_system(X, y, small_sample=True, **settings),
        [96.8275248, -0.2797707, 0.3286315, 52.9386482, 0.2202293, 0.2326705, 0.3286315],
        [7.4665476, 0.0839707, 0.0206322, 7.6654823, 0.0839707, 0.0212149, 0.0206322],
    )
    check_printed(
        fit_linear_system(X, y, **settings),
        [97.2678098, -0.2850964, 0.3295788, 53.3039977, 0.2149036, 0.2342994, 0.3295788],
        [6.9200220, 0.0767191, 0.0184496, 7.1044956, 0.0767191, 0.0186528, 0.0184496],
    )


def test_systemfit_prints_kmentas_market_iterated_with_restrictions(kmenta):
    """systemfit's tests/test_sur.Rout.save: fitsurio4, which stops where steps are 1e-5 of the coefficients."""
    X, y, mask = kmenta
    R = pd.DataFrame(
        [{("demand", "income"): 1, ("supply", "trend"): -1}, {("demand", "price"): -1, ("supply", "price"): 1}]
    )
    system = fit_linear_system(X, y, mask=mask, restrictions=R, restriction_values=[0, 0.5], small_sample=True)
    printed = [-0.2276118, 0.3202701, 92.4261738, 0.2723882, 0.2231504, 0.3202701, 48.7294507]
    errors = [0.0850135, 0.0184936, 7.3542961, 0.0850135, 0.0189763, 0.0184936, 7.4586896]
    np.testing.assert_allclose(system.coefficients, printed, rtol=1e-5)
    np.testing.assert_allclose(system.summary()["standard_error"], errors, rtol=1e-5)
    np.testing.assert_allclose(system.covariance, [[3.95327, 5.02454], [5.02454, 6.82710]], rtol=1e-5)


def test_systemfit_prints_theils_two_firms(grunfeld_theil):
    """systemfit's tests/test_panel.Rout.save: theilSur ("noDfCor"), as Theil (1971), p. 300."""
    X, y, mask = grunfeld_theil
    system = fit_linear_system(X, y, mask=mask, n_steps=1)
    last_digit = 10.0**-sur.THEIL_DIGITS
    np.testing.assert_allclose(system.coefficients, sur.THEIL, rtol=0, atol=0.51 * last_digit)
    np.testing.assert_allclose(system.summary()["standard_error"], sur.THEIL_ERRORS, rtol=0, atol=0.51 * last_digit)
    np.testing.assert_allclose(system.weighting_covariance, [[660.829, 176.4491], [176.4491, 88.6617]], rtol=1e-6)
    np.testing.assert_allclose(system.covariance, [[689.419, 190.636], [190.636, 90.065]], rtol=3e-6)


def test_systemfit_computes_grunfelds_five_firms(grunfeld):
    """systemfit(formula = formula, method = "SUR", data = panel, methodResidCov = "noDfCor"), kept to seven digits in
    the results of test_sysreg, the tests of statsmodels' sysreg."""
    X, y, mask = grunfeld
    system = fit_linear_system(X, y, mask=mask, n_steps=1)
    variances = [
        *(0.0002886686, 0.0006704354, 133.7852),
        *(0.0001458083, 0.0004741078, 635.1519),
        *(0.0004695548, 0.001079986, 8026.788),
        *(0.002739435, 0.0134136, 11369.52),
        *(0.0001316823, 0.001730147, 39.2104),
    ]
    np.testing.assert_allclose(system.coefficients, sur.FIVE, rtol=6e-7)
    V = system.coefficient_covariance()
    np.testing.assert_allclose(np.diag(V), variances, rtol=6e-7)
    across = {
        (("Chrysler", "intercept"), ("US Steel", "intercept")): 158.6378,
        (("Chrysler", "value Chrysler"), ("General Electric", "value General Electric")): -1.927362e-05,
        (("General Motors", "capital General Motors"), ("US Steel", "capital US Steel")): -0.0009010479,
        (("General Electric", "intercept"), ("Westinghouse", "capital Westinghouse")): 0.2297848,
        (("US Steel", "value US Steel"), ("Westinghouse", "value Westinghouse")): 0.0002158356,
    }
    for (one, other), printed in across.items():
        assert V.loc[one, other] == pytest.approx(printed, rel=6e-7)
    assert system.weighting_covariance[0, 3] == pytest.approx(367.8402, rel=6e-7)
    assert system.covariance[1, 2] == pytest.approx(601.6316, rel=6e-7)
