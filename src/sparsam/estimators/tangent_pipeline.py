"""Pipeline of a transformer and a network, which also transforms the tangents."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from sparsam.estimators._progress.sklearn_callbacks import CallbackSupportMixin, SklearnTask, with_callbacks
from sparsam.estimators._tangents import Tangents, checked_tangents
from sparsam.estimators._validation import as_numpy

__all__ = ["TangentPipeline", "transform_tangents"]

RELATIVE_STEP = 1e-3  # relative to a typical deviation
ROUNDING = 256  # least difference that is not rounding, in units in the last place of a sample's largest number


def _delegated(name: str, *, with_targets: bool = False) -> Any:
    """Make a method that transforms X and calls the network's method of this name, if the network has it."""

    def of_inputs(self: TangentPipeline, X: ArrayLike, **options: Any) -> Any:
        return self._call(name, X, **options)

    def of_both(self: TangentPipeline, X: ArrayLike, y: ArrayLike, **options: Any) -> Any:
        return self._call(name, X, y, **options)

    method = of_both if with_targets else of_inputs
    method.__name__, method.__qualname__ = name, f"TangentPipeline.{name}"
    method.__doc__ = f"Transform X and call the network's `{name}`."
    return available_if(lambda self: hasattr(getattr(self, "estimator_", self.estimator), name))(method)


class TangentPipeline(CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator):
    """Pipeline of a transformer and a network, which also transforms the tangents.

    Tangents are directions in the space of the original inputs, pixels for example. The network behind a transformer
    phi needs their images under the derivative of phi ::

        D phi tau  =  [phi(x + h tau) - phi(x - h tau)] / (2 h)

    The network is fitted with these: they are exact if phi is affine (scaling, centering, PCA), and otherwise have an
    error of order h^2. A scikit-learn pipeline would pass ``tangents`` on unchanged, and call the network's own
    parameter ``tangents`` with phi(x), which is no longer an image.

    Parameters
    ----------
    transformer : estimator
        Estimator with ``fit`` and ``transform``; use a scikit-learn pipeline for several steps.
    estimator : MultivariateNormalRegressor or NoisyLabelClassifier
        The network. Its own parameter ``tangents`` must be None.
    tangents : callable X -> array (n_samples, n_tangents, n_features), or None, default None
        Called with the original inputs. None for the tangents passed to `fit`, if any.

    Attributes
    ----------
    transformer_, estimator_ : estimators
        The fitted transformer and network.
    n_features_in_ : int

    Notes
    -----
    The transformer gets X unchanged, a data frame as a data frame. With tangents X must be numeric, and may have
    missing values only if the transformer supports them. `sparsam.save` saves ``estimator_``, not the pipeline.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sparsam import NoisyLabelClassifier, TangentPipeline
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 2)) * [1.0, 100.0]
    >>> y = X[:, 0] > 0
    >>> along_second = np.tile([[[0.0, 1.0]]], (60, 1, 1))  # the second feature is known to be irrelevant
    >>> network = NoisyLabelClassifier((), epsilon=0.0, tangent_weight=1.0)
    >>> model = TangentPipeline(StandardScaler(), network).fit(X, y, tangents=along_second)
    >>> bool(abs(model.estimator_.coefs_[0][1, 0]) < 0.01 * abs(model.estimator_.coefs_[0][0, 0]))
    True
    """

    def __init__(self, transformer: Any, estimator: Any, *, tangents: Tangents | None = None) -> None:
        self.transformer = transformer
        self.estimator = estimator
        self.tangents = tangents

    @with_callbacks
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
            Weights for the network; the transformer does not use them.
        tangents : array-like of shape (n_samples, n_tangents, n_features), optional
            Directions in the space of the original inputs; cross-validation selects the rows of each part.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If tangents are given twice, or do not fit X.
        """
        _check_shape(self, X, reset=True)
        own = getattr(self.estimator, "tangents", None)
        if sum(source is not None for source in (tangents, self.tangents, own)) > 1:
            raise ValueError(
                "tangents are given twice: pass them either to fit or to the TangentPipeline, and not to its estimator"
            )
        if own is not None:
            raise ValueError(
                "the estimator's own parameter tangents would be called with transformed inputs: set the parameter "
                "tangents of the TangentPipeline instead"
            )
        tau = self.tangents(np.asarray(X)) if self.tangents is not None else tangents
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        task = SklearnTask.of_fit(self, 2, {"X": X, "y": y, "metadata": metadata})
        transformer, network = clone(self.transformer), clone(self.estimator)
        with task.fitting("fit transformer", transformer):
            self.transformer_ = transformer.fit(X, y)
        transformed = self.transformer_.transform(X)
        options: dict[str, Any] = {}
        if tau is not None:
            options["tangents"] = transform_tangents(self.transformer_, X, checked_tangents(tau, np.asarray(X)))
        if sample_weight is not None:
            options["sample_weight"] = sample_weight
        with task.fitting("fit estimator", network):
            self.estimator_ = network.fit(transformed, y, **options)
        task.end({})
        return self

    predict = _delegated("predict")
    predict_proba = _delegated("predict_proba")
    predict_log_proba = _delegated("predict_log_proba")
    predict_noisy_proba = _delegated("predict_noisy_proba")
    label_error_proba = _delegated("label_error_proba", with_targets=True)
    find_label_errors = _delegated("find_label_errors", with_targets=True)
    predict_conditional = _delegated("predict_conditional", with_targets=True)
    log_density = _delegated("log_density", with_targets=True)
    mean_log_likelihood = _delegated("mean_log_likelihood", with_targets=True)
    score = _delegated("score", with_targets=True)
    sample = _delegated("sample")
    predict_covariance = _delegated("predict_covariance")
    predict_region = _delegated("predict_region")

    def _call(self, name: str, X: ArrayLike, *arguments: Any, **options: Any) -> Any:
        check_is_fitted(self)
        _check_shape(self, X, reset=False)
        return getattr(self.estimator_, name)(self.transformer_.transform(X), *arguments, **options)

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes of a classifier."""
        return self.estimator_.classes_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags, own = super().__sklearn_tags__(), get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags"):
            setattr(tags, name, getattr(own, name))
        return tags


@as_numpy
def _check_shape(estimator: BaseEstimator, X: ArrayLike, *, reset: bool) -> None:
    """Store the number and names of the features, or compare them; the transformer validates the values."""
    validate_data(estimator, X, dtype=None, ensure_all_finite=False, reset=reset)


def transform_tangents(transformer: Any, X: ArrayLike, tangents: NDArray[np.floating]) -> NDArray[Any]:
    """Transform tangents (n_samples, n_tangents, n_features) at X by a fitted transformer, with central differences.

    The step is a thousandth of a typical deviation of X along each tangent, with each feature relative to its standard
    deviation, in float64. Differences as small as rounding errors are set to 0, so that nothing remains of a direction
    that the transformer removes.
    """
    x, tau = np.asarray(X, dtype=np.float64), np.asarray(tangents, dtype=np.float64)
    deviations = np.nanstd(x, axis=0)
    deviations = np.where(deviations > 0, deviations, 1.0)
    lengths = np.linalg.norm(tau / deviations, axis=2)  # (n_samples, n_tangents)
    steps = RELATIVE_STEP / np.where(lengths > 0, lengths, 1.0)

    def transformed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        table = pd.DataFrame(rows, columns=X.columns, index=X.index) if isinstance(X, pd.DataFrame) else rows
        return np.asarray(transformer.transform(table), dtype=np.float64)

    images = []
    for along, step in zip(np.moveaxis(tau, 1, 0), steps.T[:, :, None], strict=True):
        ahead, behind = transformed(x + step * along), transformed(x - step * along)
        rounding = ROUNDING * np.finfo(float).eps * np.maximum(1.0, np.abs(np.stack([ahead, behind])).max(axis=(0, 2)))
        difference = ahead - behind
        images.append(np.where(np.abs(difference) > rounding[:, None], difference, 0.0) / (2 * step))
    return np.stack(images, axis=1)
