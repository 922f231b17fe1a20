"""Agreement of dictionaries: whether models fitted with other seeds have the same units."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sparsam.inspection.coherence import unit_vectors

__all__ = ["dictionary_agreement"]

Array = NDArray[np.float64]


def dictionary_agreement(*models: Any) -> float:
    """Match the units of models one to one, and compute the mean cosine of matched decoder rows.

    Parameters
    ----------
    *models : fitted SparseAutoencoder, or array-like of shape (n_units, n_features)
        Two or more, of data with the same features: for example the same model with several ``random_state``. Arrays
        are decoders, ``coefs_[1]``.

    Returns
    -------
    float
        Mean over the matched pairs, 1 if the dictionaries are the same up to the order and the lengths of their rows;
        with more than two models, the mean over all pairs of models. If the numbers of units differ, each unit of the
        smaller dictionary has a partner. Units with a decoder row of zeros count as cosine 0.

    Raises
    ------
    TypeError
        If a model is not an autoencoder with one hidden layer.
    NotFittedError
        If a model is not fitted.
    ValueError
        If there are fewer than two models, or they have different features.

    Notes
    -----
    For rows w_j and v_k of the two decoders ::

        max over one-to-one matchings pi of  1/M sum_j cos(w_j, v_pi(j))

    found by the Hungarian method, which needs a table of n_units x n_units numbers. Signs count, since ReLU units act
    in one direction. Directions of dead units are as random as initial weights, and lower the agreement. For scale:
    of random directions in D dimensions the nearest of M has a cosine of about sqrt(2 ln(M) / D).

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2 (1955).

    Examples
    --------
    >>> import numpy as np
    >>> decoder = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> dictionary_agreement(decoder, 3 * decoder[::-1])
    1.0
    """
    if len(models) < 2:
        raise ValueError(f"agreement is that of two models or more, got {len(models)}")
    decoders = [unit_vectors(_decoder(model)) for model in models]
    widths = {decoder.shape[1] for decoder in decoders}
    if len(widths) > 1:
        raise ValueError(f"the models have different numbers of features: {', '.join(map(str, sorted(widths)))}")
    return float(np.mean([_mean_of_matched(one, other) for one, other in itertools.combinations(decoders, 2)]))


def _mean_of_matched(one: Array, other: Array) -> float:
    cosines = np.clip(one @ other.T, -1.0, 1.0)
    return float(cosines[linear_sum_assignment(cosines, maximize=True)].mean())


def _decoder(model: Any) -> Array:
    """Return the decoder's weights, (n_units, n_features)."""
    if hasattr(model, "fit"):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(model)
        coefs: Any = getattr(model, "coefs_", ())
        if not hasattr(model, "inverse_transform") or len(coefs) != 2:
            raise TypeError(f"expected an autoencoder with one hidden layer, got {type(model).__name__}")
        model = coefs[1]
    decoder: Array = np.asarray(model, dtype=np.float64)
    if decoder.ndim != 2 or not decoder.size or not np.isfinite(decoder).all():
        raise ValueError(
            f"a decoder must be finite numbers of shape (n_units, n_features), got an array of shape {decoder.shape}"
        )
    return decoder
