"""Likelihood-ratio test of two nested linear models with a noise covariance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.multivariate_normal import independent, log_density, patterns_of, squared_distances
from sparsam.engine.objective.error_functions.covariance import STRUCTURES
from sparsam.estimators import _validation as validation
from sparsam.estimators._regression.standard_errors import check_at_minimum, count_determined
from sparsam.estimators._regression.targets import validate_targets

__all__ = ["LikelihoodRatio", "likelihood_ratio_test"]

SAME_DATA = 1e-6  # largest relative difference of two numbers that are equal on the training data
SINGULAR = 1e-6  # least eigenvalue of the correlations of a regular covariance; rounding ends a descent to less


class LikelihoodRatio(NamedTuple):
    """Result of `likelihood_ratio_test`."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def likelihood_ratio_test(
    larger: Any,
    smaller: Any,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> LikelihoodRatio:
    """Test whether the data need more structure than a smaller model allows (Wilks, 1938).

    The larger model has a less restricted noise covariance, or a mask that allows more inputs. If the smaller model is
    true, ::

        2 (ln L_larger - ln L_smaller)

    has, for many samples, a chi-squared distribution, whose degrees of freedom are the number of additional parameters
    of the larger model.

    Parameters
    ----------
    larger, smaller : Any
        Linear models (``hidden_layer_sizes=()``), fitted to the minimum on X and y with alpha = 0. ``covariance`` of
        the smaller one is at most that of the larger one in the order "spherical", "diag", "full", and its ``mask``
        allows no weight that the larger one's forbids.
    X : array-like of shape (n_samples, n_features)
        The training data.
    y : array-like of shape (n_samples, n_outputs) or (n_samples,)
    sample_weight : array-like of shape (n_samples,), optional
        Number of copies of each row.

    Returns
    -------
    LikelihoodRatio
        The statistic; its degrees of freedom, which do not count weights of inputs that are constant or linearly
        dependent, nor covariances of targets that are never observed together; and the p-value.

    Raises
    ------
    ValueError
        If the test is not valid: with hidden layers, whose weights are not identifiable; with weight decay, a prior,
        tangents or early stopping, because the likelihood is not at its maximum; with a singular covariance, where the
        likelihood has no maximum; if a fit did not converge, or used other data; or if the models are not nested. The
        message names the reason.

    Notes
    -----
    With few samples the test rejects too often. In 1,000 draws of independent outputs it rejected "diag" for "full" at
    5 % in 14 % of the draws with 50 samples and 7 outputs, and in 5 to 6 % with 200 samples and 2 or 3 outputs (see
    `benchmarks/VALIDITY.md` in the repository, which has a factor for the statistic in the first case: 6 %).

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
    >>> y = X + rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=100)
    >>> models = [MultivariateNormalRegressor((), covariance=c, alpha=0.0).fit(X, y) for c in ("full", "diag")]
    >>> test = likelihood_ratio_test(*models, X, y)
    >>> test.degrees_of_freedom, bool(test.p_value < 1e-6)
    (1, True)
    """
    for name, model in (("larger", larger), ("smaller", smaller)):
        check_is_fitted(model)
        _check_maximum(model, name)
    inputs = np.asarray(X, dtype=np.float64)
    weights = validation.check_sample_weight(sample_weight, inputs)
    counts = np.ones(len(inputs)) if weights is None else weights
    targets, _ = validate_targets(y, inputs)
    observed = ~np.isnan(targets)
    for name, model in (("larger", larger), ("smaller", smaller)):
        _check_covariance(model, name, targets)
        check_at_minimum(model.gradient_norm_, model.stop_reason_, f"the {name} model")
        _check_data(model, name, X, targets, counts)
    _check_nested(larger, smaller)
    n_additional = _n_parameters(larger, inputs, observed, counts) - _n_parameters(smaller, inputs, observed, counts)
    if n_additional <= 0:
        raise ValueError(
            "the models are not nested: the larger model must have more parameters than the smaller one "
            f"(covariance={larger.covariance!r} and {smaller.covariance!r}), not counting weights of inputs that are "
            "constant or linearly dependent, and covariances of outputs that are never observed together"
        )
    statistic = 2 * float(counts @ (_log_densities(larger, X, targets) - _log_densities(smaller, X, targets)))
    return LikelihoodRatio(statistic, n_additional, float(chi2.sf(statistic, n_additional)))


def _log_densities(model: Any, X: ArrayLike, Y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the log density of each row with the maximum-likelihood covariance, not the one for predictions."""
    return log_density(Y, np.asarray(model.predict(X)).reshape(len(Y), -1), model.covariance_)


def _check_maximum(model: Any, name: str) -> None:
    """Raise ValueError unless the model is fitted by maximum likelihood."""
    if not isinstance(model.covariance, str):
        raise ValueError(
            f"the {name} model has a known covariance, which cannot be tested: use covariance='full' or 'diag'"
        )
    if model.covariance_factor_ is not None:
        raise ValueError(
            f"the {name} model has a covariance that depends on the input, and its likelihood is not at its maximum: "
            "use covariance='full' or 'diag'"
        )
    if len(model.coefs_) > 1:
        raise ValueError(
            f"the {name} model has hidden layers: the weights of a network are not identifiable, and Wilks' theorem "
            "does not hold; use hidden_layer_sizes=()"
        )
    if model.alpha_ > 0:
        raise ValueError(
            f"the {name} model has weight decay, and its likelihood is not at its maximum: use alpha=0, not "
            f"{model.alpha_:g}"
        )
    if model.covariance_prior is not None:
        raise ValueError(f"the {name} model has a prior on the covariance: use covariance_prior=None")
    if model.early_stopping is True:  # "auto" is off for linear models
        raise ValueError(
            f"the {name} model was fitted with early stopping, on a part of the data: use early_stopping=False"
        )
    if model.terms_.get("tangent_propagation", 0.0) > 0:
        raise ValueError(f"the {name} model was fitted with tangents, which are a penalty: fit without tangents")


def _check_covariance(model: Any, name: str, Y: NDArray[np.float64]) -> None:
    """Raise ValueError unless the covariance is regular, and has the structure of its model."""
    C = model.covariance_
    # Check each pattern's block: C is NaN for outputs that are never observed together.
    blocks = (C[np.ix_(pattern, pattern)] for pattern in patterns_of(Y)[0] if pattern.any())
    if any(_is_singular(block) for block in blocks):
        raise ValueError(
            f"the covariance of the {name} model is singular, so that the likelihood has no maximum: remove outputs "
            "that are constant, or linear combinations of others"
        )
    variances = np.diag(C)
    if model.covariance == "spherical" and not np.allclose(variances, variances[0], rtol=1e-9, atol=0):
        raise ValueError(
            f"the {name} model was fitted by version 0.1.0, where covariance='spherical' meant equal shares of the "
            "targets' variances: fit it again"
        )


def _is_singular(C: NDArray[np.float64]) -> bool:
    deviations = np.sqrt(np.diag(C))
    return bool(not independent(C).all() or np.linalg.eigvalsh(C / np.outer(deviations, deviations))[0] < SINGULAR)


def _check_data(model: Any, name: str, X: ArrayLike, Y: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
    """Raise ValueError unless the model was fitted on these data.

    At the maximum of the likelihood the derivative by a factor of C is zero, so that sum_n s_n r_n' C^-1 r_n equals the
    number of observed targets; with other data it does not.
    """
    means = np.asarray(model.predict(X)).reshape(len(Y), -1)
    distances, n_observed = squared_distances(Y, means, model.covariance_)
    expected = float(counts @ n_observed)
    if abs(float(counts @ distances) - expected) > SAME_DATA * expected:
        raise ValueError(f"the {name} model was not fitted on these data: pass the X, y and sample_weight of its fit")


def _check_nested(larger: Any, smaller: Any) -> None:
    # Each structure contains those after it.
    if STRUCTURES.index(larger.covariance) > STRUCTURES.index(smaller.covariance):
        raise ValueError(
            f"the models are not nested: covariance={larger.covariance!r} is more restricted than "
            f"{smaller.covariance!r}; pass the larger model first"
        )
    if not np.all(_free_weights(larger) | ~_free_weights(smaller)):
        raise ValueError(
            "the models are not nested: the mask of the smaller one allows weights that the mask of the larger one "
            "does not; pass the larger model first"
        )


def _free_weights(model: Any) -> NDArray[np.bool_]:
    mask = np.ones(model.coefs_[0].shape) if model.mask is None else np.asarray(model.mask)
    return mask.astype(bool)


def _n_parameters(model: Any, X: NDArray[np.float64], observed: NDArray[np.bool_], counts: NDArray[np.float64]) -> int:
    """Count the parameters that the data determine: weights, biases, and entries of the covariance."""
    n_outputs = observed.shape[1]
    seen = observed[counts > 0].astype(float)
    n_pairs = int(np.triu(seen.T @ seen > 0, 1).sum())
    of_covariance = {"full": n_outputs + n_pairs, "diag": n_outputs, "spherical": 1}[str(model.covariance)]
    free = np.vstack([_free_weights(model), np.ones((1, n_outputs), bool)])
    return count_determined(X, observed, counts, free) + of_covariance
