"""Normalization of image patches by a scale found in a fit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sparsam.images.patches import deviation_limit, patch_deviations, scale_deviations
from sparsam.preprocessing._validation import float_rows

__all__ = ["PatchNormalizer"]

FAR = 2.0  # multiple of the limit; 2 % of patches of natural images have a value beyond it, none of MNIST's digits
MOST_FAR, LEAST_SPREAD = 0.05, 0.1


class PatchNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Scale image patches into [0.1, 0.9] by the scale of the patches in the fit.

    First each patch's own mean is subtracted. The deviations are clipped to :math:`\pm p_{std}`, three standard
    deviations of all deviations in the fit, and

    .. math:: p \leftarrow 0.4 \, (p / p_{std} + 1) + 0.1 .

    Unlike :func:`sparsam.images.normalize_patches`, which uses the scale of the patches it is given, new patches are
    scaled like those of the training, so that the code of a patch does not depend on other patches.

    Attributes
    ----------
    limit_ : float
        :math:`p_{std}`, in the units of X.
    n_features_in_ : int
        Number of pixels of a patch.
    feature_names_in_ : ndarray of str
        Names of the columns of X; only if all are strings.

    Notes
    -----
    Source: A. Ng, CS294A lecture notes "Sparse autoencoder", exercise, step 1 (`normalizeData`).

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sparsam import SparseAutoencoder
    >>> from sparsam.images import natural_images, sample_patches
    >>> from sparsam.preprocessing import PatchNormalizer
    >>> patches = sample_patches(natural_images(), n_patches=2000, patch_size=8, random_state=0)
    >>> pipe = make_pipeline(PatchNormalizer(), SparseAutoencoder(n_components=9, random_state=0)).fit(patches)
    >>> bool((pipe.transform(patches)[:5] == pipe.transform(patches[:5])).all())
    True
    """

    def fit(self, X: ArrayLike, y: Any = None) -> PatchNormalizer:
        """Find the scale of patches.

        Parameters
        ----------
        X : array-like of shape (n_patches, n_pixels)
            One patch per row, in any units.
        y : None
            Ignored.

        Returns
        -------
        self : PatchNormalizer

        Raises
        ------
        ValueError
            If X is not 2-D, is empty, or has NaN or infinity.
        """
        deviations, exponent = patch_deviations(float_rows(self, X, reset=True))
        self.limit_ = float(np.ldexp(deviation_limit(deviations), exponent))
        return self

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Normalize patches by the scale of those in the fit.

        Parameters
        ----------
        X : array-like of shape (n_patches, n_pixels)
            In the units of the patches in the fit.

        Returns
        -------
        normalized : ndarray of shape (n_patches, n_pixels)
            In [0.1, 0.9]; 0.5 is a patch's mean.

        Raises
        ------
        ValueError
            If X has another number of columns, or contains NaN or infinity.

        Warns
        -----
        UserWarning
            If more than 5 % of the patches have values beyond twice the limit, or the standard deviation of all is less
            than a tenth of that in the fit: they seem to be in other units.
        """
        check_is_fitted(self)
        deviations, exponent = patch_deviations(float_rows(self, X, reset=False))
        limit = float(np.ldexp(self.limit_, -exponent))
        _warn_of_other_units(deviations, limit)
        return scale_deviations(deviations, limit)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Undo the scaling; patch means, and values beyond the limit, are lost.

        Parameters
        ----------
        X : array-like of shape (n_patches, n_pixels)
            Normalized patches, or reconstructions of them.

        Returns
        -------
        deviations : ndarray of shape (n_patches, n_pixels)
            Deviations from the patch means, in the units of the patches in the fit.
        """
        check_is_fitted(self)
        scaled = float_rows(self, X, reset=False)
        return ((scaled - 0.5) / 0.4 * self.limit_).astype(scaled.dtype)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: floating types are preserved."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _warn_of_other_units(deviations: NDArray[Any], limit: float) -> None:
    far = float((np.abs(deviations).max(axis=1) > FAR * limit).mean())
    spread = deviation_limit(deviations)
    if far > MOST_FAR:
        found = f"{far:.0%} of the patches reach far beyond the range of those in the fit, and are clipped"
    elif 0 < spread < LEAST_SPREAD * limit and len(deviations) > 1:
        found = f"the standard deviation of the patches is {spread / limit:.1%} of that in the fit"
    else:
        return
    warnings.warn(
        f"{found}: pass them in the units of the training (whitened in the same way, and not yet normalized)",
        UserWarning,
        stacklevel=3,
    )
