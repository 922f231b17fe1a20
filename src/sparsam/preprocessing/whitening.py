"""Whitening: rotate and scale rows so that their covariance becomes, nearly, the identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted

from sparsam.engine.data.sources import is_large, source_of
from sparsam.preprocessing._validation import float_rows

__all__ = ["Whitening"]

KINDS = ("zca", "pca")
BATCH_ROWS = 10_000

Array = NDArray[np.float64]


class Whitening(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Whiten rows: make their features uncorrelated, with nearly the same variance.

    With the covariance :math:`C = U \Lambda U^\top` of the rows of the fit, divided by N, ZCA is

    .. math:: (x - \bar x) \, U (\Lambda + \epsilon)^{-1/2} U^\top ,

    and PCA the same without the last :math:`U^\top`.

    Whitened pictures are the usual inputs of a linear decoder (``output_activation="identity"``): without it, the
    first filters are smooth shades, since most of the variance of pictures is at low frequencies.

    Parameters
    ----------
    kind : {"zca", "pca"}, default "zca"
        "zca" rotates back to the axes of the inputs, so that whitened pictures still look like pictures; of all
        whitenings it changes the rows least. "pca" stays on the principal axes, the strongest first.
    epsilon : float, default 0.1
        Added to the variance along each axis, in squared units of X, so that axes with hardly any variance, mostly
        noise, are not blown up. The default is that of UFLDL's color pictures in [0, 1]. 0 whitens exactly, which needs
        variance along every axis that is kept.
    n_components : int or None, default None
        Number of principal axes to keep; the others are set to zero. None keeps all, with "pca" those along which X has
        variance.

    Attributes
    ----------
    mean_ : array of shape (n_features,)
        Mean of the rows.
    components_ : array of shape (n_components, n_features)
        Principal axes, :math:`U^\top`, the one of the largest variance first. The largest entry of each is positive.
    explained_variance_ : array of shape (n_components,)
        Variance along each axis, :math:`\Lambda`, divided by N.
    whitening_ : array of shape (n_features_out, n_features)
        The matrix by which rows without their mean are multiplied, transposed.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Names of the columns of X; only if all are strings.

    References
    ----------
    A. J. Bell and T. J. Sejnowski, "The 'independent components' of natural scenes are edge filters", Vision Research
    37, 1997, sec. 3 (ZCA). UFLDL Tutorial, Stanford, "Whitening" (epsilon).

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.preprocessing import Whitening
    >>> X = np.random.default_rng(0).normal(size=(500, 3)) @ np.array([[5, 4, 0], [0, 1, 2], [0, 0, 0.5]])
    >>> white = Whitening(epsilon=0).fit_transform(X)
    >>> np.abs(np.cov(white.T, bias=True).round(9))
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """

    def __init__(self, kind: str = "zca", *, epsilon: float = 0.1, n_components: int | None = None) -> None:
        self.kind = kind
        self.epsilon = epsilon
        self.n_components = n_components

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Find the mean and the principal axes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Or rows that are not in memory, as for `SparseAutoencoder.fit`: they are read once.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows; an integer weight is like that many copies. Not for rows that are read.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter or the data cannot be used, or if ``epsilon=0`` and there is no variance along an axis.
        """
        self.check_hyperparameters()
        moments = _Moments()
        for rows, weights in self._batches(X, sample_weight):
            moments.add(rows, weights)
        variance, axes = moments.principal_axes()
        n_features = axes.shape[1]
        rank = _rank(variance, moments.n_rows, n_features)
        k = self.n_components
        if k is None:  # without variance, the axes themselves are arbitrary, which ZCA does not depend on
            k = max(rank, 1) if self.kind == "pca" else n_features
        if k > n_features:
            raise ValueError(f"n_components = {k} is more than the {n_features} features of X")
        if self.epsilon == 0 and rank < k:
            raise ValueError(
                f"epsilon = 0 needs variance along all {k} axes, but X has it along {rank} only: set epsilon > 0, or "
                f"n_components to at most {rank}"
            )
        self.mean_ = moments.mean
        self.components_, self.explained_variance_ = axes[:k], variance[:k]
        scaled = self.components_ / np.sqrt(self.explained_variance_ + self.epsilon)[:, None]
        self.whitening_ = scaled if self.kind == "pca" else self.components_.T @ scaled
        self._n_features_out = len(self.whitening_)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Whiten rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples, n_features), with "pca" (n_samples, n_components)
            In the precision of X.
        """
        check_is_fitted(self)
        rows = float_rows(self, X, reset=False)
        return self._product((rows - self.mean_).astype(rows.dtype), self.whitening_.T)

    def inverse_transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Undo the whitening; what lies along axes that were not kept is lost, and replaced by its mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), with "pca" (n_samples, n_components)
            Whitened rows, or reconstructions of them.

        Returns
        -------
        array of shape (n_samples, n_features)
            In the units of the rows of the fit.
        """
        check_is_fitted(self)
        with config_context(array_api_dispatch=False):
            white = check_array(X, dtype=[np.float64, np.float32])
        if white.shape[1] != self._n_features_out:
            raise ValueError(f"X has {white.shape[1]} features, but whitened rows have {self._n_features_out}")
        unscaled = self.components_ * np.sqrt(self.explained_variance_ + self.epsilon)[:, None]
        matrix = unscaled if self.kind == "pca" else self.components_.T @ unscaled
        return (self._product(white, matrix) + self.mean_).astype(white.dtype)

    def input_filters(self, filters: ArrayLike) -> NDArray[np.floating]:
        """Express filters of whitened rows as filters of the rows themselves, to draw them.

        A unit's input is ``w @ x_white``, which is ``input_filters(w) @ (x - mean_)``.

        Parameters
        ----------
        filters : array-like of shape (n_filters, n_features_out)
            ``components_`` of an autoencoder of whitened rows.

        Returns
        -------
        array of shape (n_filters, n_features)
        """
        check_is_fitted(self)
        filters = np.asarray(filters)
        return self._product(filters, self.whitening_)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return names of the whitened features: those of the inputs for "zca", "whitening0" and so on for "pca"."""
        check_is_fitted(self)
        if self.kind == "pca":
            return np.asarray(super().get_feature_names_out(input_features))
        from sklearn.utils.validation import _check_feature_names_in

        return np.asarray(_check_feature_names_in(self, input_features))

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: floating types are preserved."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def check_hyperparameters(self) -> None:
        """Raise TypeError or ValueError unless every hyperparameter can be used; `fit` begins with this."""
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}; got {self.kind!r}")
        if not isinstance(self.epsilon, Real) or isinstance(self.epsilon, bool):
            raise TypeError(f"epsilon must be a number; got {self.epsilon!r}")
        if not 0 <= self.epsilon < np.inf:
            raise ValueError(f"epsilon must be at least 0 and finite; got {self.epsilon!r}")
        k = self.n_components
        if k is not None and (not isinstance(k, Integral) or isinstance(k, bool)):
            raise TypeError(f"n_components must be an integer or None; got {k!r}")
        if k is not None and k < 1:
            raise ValueError(f"n_components must be at least 1; got {k}")

    def _batches(self, X: Any, sample_weight: Any) -> Iterator[tuple[NDArray[Any], Array]]:
        """Yield validated rows and weights, a batch at a time."""
        if is_large(X):
            if sample_weight is not None:
                raise ValueError("sample_weight is for rows in memory; these are read")
            first = True
            for parts in source_of(X).batches(BATCH_ROWS):
                rows = float_rows(self, parts[0], reset=first)
                yield rows, np.ones(len(rows))
                first = False
            return
        rows = float_rows(self, X, reset=True)
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
        for start in range(0, len(rows), BATCH_ROWS):
            yield rows[start : start + BATCH_ROWS], weights[start : start + BATCH_ROWS]

    @staticmethod
    def _product(rows: NDArray[Any], matrix: Array) -> NDArray[np.floating]:
        return np.asarray(rows @ matrix.astype(rows.dtype))


@dataclass
class _Moments:
    """Mean and covariance of rows, from one pass over batches of them.

    Batches are combined as by Chan, Golub & LeVeque, "Algorithms for computing the sample variance" (The American
    Statistician 37, 1983, eq. 1.5), which does not cancel digits if the mean is large. As long as there are no more
    rows than features they are kept, since the axes without any variance are exact only from the rows themselves.

    Attributes
    ----------
    weight : float
        Sum of the weights.
    n_rows : int
        Number of rows with a positive weight.
    mean : array of shape (n_features,)
    scatter : array of shape (n_features, n_features)
        sum_n s_n (x_n - mean)(x_n - mean)'.
    rows : list of (array, array)
        The rows and weights while they are few.
    """

    weight: float = 0.0
    n_rows: int = 0
    mean: Array = field(default_factory=lambda: np.zeros(0))
    scatter: Array = field(default_factory=lambda: np.zeros((0, 0)))
    rows: list[tuple[Array, Array]] = field(default_factory=list)

    def add(self, rows: NDArray[Any], weights: Array) -> None:
        """Add a batch."""
        used = weights > 0
        if not np.any(used):
            return
        x, s = rows[used].astype(np.float64), weights[used]
        weight = float(s.sum())
        mean = s @ x / weight
        deviations = np.sqrt(s)[:, None] * (x - mean)
        if self.n_rows == 0:
            self.mean, self.scatter = np.zeros_like(mean), np.zeros((len(mean), len(mean)))
        self.n_rows += len(x)
        total = self.weight + weight
        shift = mean - self.mean
        self.scatter += deviations.T @ deviations + self.weight * weight / total * np.outer(shift, shift)
        self.mean = self.mean + weight / total * shift
        self.weight = total
        self.rows = [*self.rows, (x, s)] if self.n_rows <= len(mean) else []

    def principal_axes(self) -> tuple[Array, Array]:
        """Return the variances along all axes, the largest first, and the axes, (n_features, n_features)."""
        if self.n_rows == 0:
            raise ValueError("X has no row with a positive weight")
        if self.rows:
            x, s = (np.concatenate(parts) for parts in zip(*self.rows, strict=True))
            root = np.sqrt(s / self.weight)[:, None] * (x - self.mean)
            _, deviations, axes = np.linalg.svd(root, full_matrices=True)
            variance = np.zeros(len(self.mean))
            variance[: len(deviations)] = deviations**2
        else:
            variance, vectors = np.linalg.eigh(self.scatter / self.weight)
            variance, axes = np.maximum(variance[::-1], 0.0), vectors.T[::-1]
        largest = np.argmax(np.abs(axes), axis=1)
        return variance, axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]


def _rank(variance: Array, n_rows: int, n_features: int) -> int:
    """Count the axes with variance beyond rounding."""
    rounding = max(n_rows, n_features) * np.finfo(np.float64).eps * variance[0]
    return int(np.sum(variance > rounding))
