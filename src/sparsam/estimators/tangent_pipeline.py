"""Preprocessing that takes the tangents along."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sparsam.estimators.tangents import Tangents, checked_tangents
from sparsam.estimators.validation import validate_inputs

__all__ = ["TangentPipeline", "transform_tangents"]

RELATIVE_STEP = 1e-3  # of a typical deviation


def _estimator_has(name: str) -> Any:
    return available_if(lambda self: hasattr(getattr(self, "estimator_", self.estimator), name))


class TangentPipeline(MetaEstimatorMixin, BaseEstimator):
    """A transformer, and a network with tangents behind it.

    Tangents are directions among the inputs as they are given, pixels for example. Where a transformer phi stands
    before the network, directions among what the network sees are their images under its derivative ::

        D phi tau  =  [phi(x + h tau) - phi(x - h tau)] / (2 h)

    which is what the network is fitted with: exactly where phi is affine (scaling, centering, PCA), and to the order
    h^2 elsewhere. A plain scikit-learn pipeline would hand ``tangents`` on as they are, and call the network's own
    parameter ``tangents`` with phi(x), which is no image any more.

    Parameters
    ----------
    transformer : estimator
        With ``fit`` and ``transform``; a scikit-learn pipeline for several steps.
    estimator : MultivariateNormalRegressor or NoisyLabelClassifier
        Whose own parameter ``tangents`` is None.
    tangents : callable X -> array (n_samples, n_tangents, n_features), or None, default None
        Called with the inputs as they are given. None for those that `fit` gets.

    Attributes
    ----------
    transformer_, estimator_ : estimators
        Fitted.
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sparsam import NoisyLabelClassifier, TangentPipeline
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 2)) * [1.0, 100.0]
    >>> y = X[:, 0] > 0
    >>> along_second = np.tile([[[0.0, 1.0]]], (60, 1, 1))                 # which is known not to matter
    >>> network = NoisyLabelClassifier((), epsilon=0.0, tangent_weight=1.0)
    >>> model = TangentPipeline(StandardScaler(), network).fit(X, y, tangents=along_second)
    >>> bool(abs(model.estimator_.coefs_[0][1, 0]) < 0.01 * abs(model.estimator_.coefs_[0][0, 0]))
    True
    """

    def __init__(self, transformer: Any, estimator: Any, *, tangents: Tangents | None = None) -> None:
        self.transformer = transformer
        self.estimator = estimator
        self.tangents = tangents

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        tangents: ArrayLike | None = None,
    ) -> Self:
        """Fit the transformer, transform inputs and tangents, and fit the network on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
            For the network; the transformer does without.
        tangents : array-like of shape (n_samples, n_tangents, n_features), optional
            Among the inputs as they are given; of cross-validation each part gets its own.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If tangents are given twice, or do not fit X; and whatever the two parts raise.
        """
        inputs = validate_inputs(self, X, reset=True)
        own = getattr(self.estimator, "tangents", None)
        if sum(source is not None for source in (tangents, self.tangents, own)) > 1:
            raise ValueError("tangents are given twice: to fit, to the TangentPipeline, or to its estimator; leave one")
        if own is not None:
            raise ValueError(
                "the estimator's own parameter tangents would be called with transformed inputs: give it to the "
                "TangentPipeline instead"
            )
        tau = self.tangents(inputs) if self.tangents is not None else tangents
        self.transformer_ = clone(self.transformer).fit(inputs, y)
        transformed = self.transformer_.transform(inputs)
        options: dict[str, Any] = {}
        if tau is not None:
            options["tangents"] = transform_tangents(self.transformer_, inputs, checked_tangents(tau, inputs))
        if sample_weight is not None:
            options["sample_weight"] = sample_weight
        self.estimator_ = clone(self.estimator).fit(transformed, y, **options)
        return self

    @_estimator_has("predict")  # type: ignore[untyped-decorator]
    def predict(self, X: ArrayLike, **options: Any) -> Any:
        """Transform X and let the network predict."""
        transformed = self._transformed(X)
        return self.estimator_.predict(transformed, **options)

    @_estimator_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, X: ArrayLike) -> Any:
        """Transform X and let the network predict probabilities."""
        transformed = self._transformed(X)
        return self.estimator_.predict_proba(transformed)

    @_estimator_has("score")  # type: ignore[untyped-decorator]
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Transform X and let the network score it."""
        transformed = self._transformed(X)
        return float(self.estimator_.score(transformed, y, sample_weight=sample_weight))

    @_estimator_has("mean_log_likelihood")  # type: ignore[untyped-decorator]
    def mean_log_likelihood(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Transform X and ask the network for its mean log-likelihood."""
        transformed = self._transformed(X)
        return float(self.estimator_.mean_log_likelihood(transformed, y, sample_weight))

    @property
    def classes_(self) -> NDArray[Any]:
        """Of a classifier."""
        return self.estimator_.classes_

    def _transformed(self, X: ArrayLike) -> Any:
        check_is_fitted(self)
        return self.transformer_.transform(validate_inputs(self, X, reset=False))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags"):
            setattr(tags, name, getattr(own, name))
        return tags


def transform_tangents(transformer: Any, X: NDArray[np.floating], tangents: NDArray[np.floating]) -> NDArray[Any]:
    """Take tangents (n_samples, n_tangents, n_features) at X through a fitted transformer, by central differences.

    The step is a thousandth of a typical deviation of X along them, in float64.
    """
    x, tau = X.astype(np.float64), tangents.astype(np.float64)
    length = np.sqrt(np.mean(tau**2))
    step = RELATIVE_STEP * (x.std(axis=0).mean() or 1.0) / (length or 1.0)
    images = [
        (transformer.transform(x + step * along) - transformer.transform(x - step * along)) / (2 * step)
        for along in np.moveaxis(tau, 1, 0)
    ]
    return np.stack(images, axis=1)
