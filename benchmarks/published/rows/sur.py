"""Seemingly unrelated regressions of Grunfeld's investments, as systemfit prints them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.published.data import Data
from benchmarks.published.row import Figure, Result, Row, Way
from sparsam import MultivariateNormalRegressor, fit_linear_system

INVESTMENTS = Path(__file__).parents[3] / "tests" / "estimators" / "data" / "grunfeld.csv"

THEILS_FIRMS = ["General Electric", "Westinghouse"]
FIVE_FIRMS = ["Chrysler", "General Electric", "General Motors", "US Steel", "Westinghouse"]

# Intercept last; coefficients with the standard errors of systemfit's test_panel.Rout.save (theilSur, "noDfCor").
THEIL = [0.0383102, 0.1390363, -27.7193171, 0.0576298, 0.0639781, -1.2519882]
THEIL_ERRORS = [0.0132901, 0.0230356, 27.0328280, 0.0134110, 0.0489010, 6.9563467]
THEIL_DIGITS = 7  # after the point

# Seven digits of systemfit(..., method = "SUR", methodResidCov = "noDfCor"), in the tests of statsmodels' sysreg.
FIVE = [
    *(0.06886083, 0.3083878, 0.9979992),
    *(0.03705313, 0.1286866, -21.1374),
    *(0.1219063, 0.3821666, -168.1134),
    *(0.1214024, 0.3691114, 62.25631),
    *(0.05635611, 0.04290209, 1.407487),
]


def investments(firms: list[str]) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Return X, y and the mask of investments, explained by value and capital of the same firm, 1935 to 1954."""
    table = pd.read_csv(INVESTMENTS).pivot(index="year", columns="firm")
    columns = {f"{name} {firm}": table[name][firm] for firm in firms for name in ("value", "capital")}
    return pd.DataFrame(columns), table["invest"][firms], np.kron(np.eye(len(firms)), np.ones((2, 1))) > 0


def one_step(data: Data, seed: int) -> Result:
    """Compare with the printed figures, in units of the last printed digit."""
    X, y, mask = investments(THEILS_FIRMS)
    summary = fit_linear_system(X, y, mask=mask, n_steps=1).summary()
    off = np.abs([summary["coefficient"] - THEIL, summary["standard_error"] - THEIL_ERRORS]).max()
    X, y, mask = investments(FIVE_FIRMS)
    five = fit_linear_system(X, y, mask=mask, n_steps=1).coefficients.to_numpy()
    last_digits = 10.0 ** (np.floor(np.log10(np.abs(FIVE))) - 6)
    return {
        "theil": float(off * 10.0**THEIL_DIGITS),
        "five": float(np.max(np.abs(five - FIVE) / last_digits)),
    }


def iterated(data: Data, seed: int) -> Result:
    """Compare the network without hidden layers, at its minimum, with linear equations iterated to the end."""
    X, y, mask = investments(FIVE_FIRMS)
    system = fit_linear_system(X, y, mask=mask)
    network = MultivariateNormalRegressor((), alpha=0.0, mask=mask, tol=1e-9, cv=None, random_state=seed).fit(X, y)
    W = np.vstack([network.coefs_[0], network.intercepts_[0]])
    mine = np.concatenate([W[[*np.flatnonzero(mask[:, k]), -1], k] for k in range(len(FIVE_FIRMS))])
    errors = system.summary()["standard_error"].to_numpy()
    return {"iterated": float(np.max(np.abs(mine - system.coefficients.to_numpy()) / errors))}


ROW = Row(
    name="sur",
    title="Seemingly unrelated regressions",
    source="systemfit's [tests](https://github.com/cran/systemfit/tree/master/tests); H. Theil, 1971, p. 300",
    protocol=(
        "Grunfeld's investments, 20 years: two firms (General Electric, Westinghouse) as in Theil's book, and five. "
        "One step of SUR, without a correction for degrees of freedom; and iterated to the end, which is the "
        "maximum-likelihood estimate, by linear equations and by a network without hidden layers."
    ),
    needs=(),
    figures=(
        Figure(
            "theil",
            "two firms: largest difference of 12 numbers, in units of the seventh digit after the point",
            "the numbers printed",
            0.5,
            higher=False,
            form=".2f",
        ),
        Figure(
            "five",
            "five firms: of 15 coefficients, in units of the seventh digit",
            "the numbers printed",
            0.6,
            higher=False,
            form=".2f",
        ),
        Figure(
            "iterated",
            "iterated, five firms: network and linear equations, in standard errors",
            "none printed",
            1e-5,
            higher=False,
            form=".0e",
            letter="iterated",
        ),
    ),
    ways=(Way("one step", one_step), Way("iterated", iterated)),
)
