"""The likelihood-ratio test of two structures of a noise covariance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2
from sklearn.utils.validation import check_is_fitted

__all__ = ["LikelihoodRatio", "likelihood_ratio_test"]


class LikelihoodRatio(NamedTuple):
    """Result of `likelihood_ratio_test`."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def likelihood_ratio_test(
    larger: Any, smaller: Any, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None
) -> LikelihoodRatio:
    """Whether outputs' noise has more structure than a smaller model allows (Wilks, 1938).

    Parameters
    ----------
    larger, smaller : MultivariateNormalRegressor
        Fitted on X and Y with the same network, ``covariance`` "full" and "diag" (or "spherical"), or "diag" and
        "spherical", and alpha = 0.
    X : array-like of shape (n_samples, n_features)
        The training data.
    Y : array-like of shape (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), optional
        Counts of the rows.

    Returns
    -------
    LikelihoodRatio
        statistic 2 (ln L_larger - ln L_smaller), its degrees of freedom, the number of parameters that the larger
        covariance has more, and the p-value by the chi-squared distribution.

    Raises
    ------
    ValueError
        If the models are not nested, or their weights decay: they have no greatest likelihood to compare.

    References
    ----------
    S. S. Wilks, "The large-sample distribution of the likelihood ratio for testing composite hypotheses", Annals of
    Mathematical Statistics 9, 1938.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam import MultivariateNormalRegressor, likelihood_ratio_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> Y = X + rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=100)
    >>> models = [MultivariateNormalRegressor((), covariance=c, alpha=0.0).fit(X, Y) for c in ("full", "diag")]
    >>> test = likelihood_ratio_test(*models, X, Y)
    >>> test.degrees_of_freedom, bool(test.p_value < 1e-6)
    (1, True)
    """
    parameters = []
    for model in (larger, smaller):
        check_is_fitted(model)
        K = model.n_outputs_
        structure = model.covariance
        if not isinstance(structure, str):
            raise ValueError(
                "a model with a known covariance has nothing to be tested: use covariance='full' or 'diag'"
            )
        if model.alpha > 0:
            raise ValueError(f"a likelihood ratio is that of fits without weight decay: use alpha=0, not {model.alpha}")
        parameters.append({"full": K * (K + 1) // 2, "diag": K, "spherical": 1}[structure])
    more = parameters[0] - parameters[1]
    if more <= 0 or [coef.shape for coef in larger.coefs_] != [coef.shape for coef in smaller.coefs_]:
        raise ValueError(
            f"the models are not nested: the same network with more structure must come first, got covariance="
            f"{larger.covariance!r} and {smaller.covariance!r} with networks of {[c.shape for c in larger.coefs_]} and "
            f"{[c.shape for c in smaller.coefs_]}"
        )
    weights = np.ones(len(np.asarray(X))) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    difference = larger.score_samples(X, Y) - smaller.score_samples(X, Y)
    statistic = 2 * float(weights @ difference)
    return LikelihoodRatio(statistic, more, float(chi2.sf(statistic, more)))
