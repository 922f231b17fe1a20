"""Tangents that an autoencoder has learned: the directions in which its hidden activations change the most."""

from __future__ import annotations

from functools import partial
from numbers import Integral

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sparsam._utils.jit import quick_jit
from sparsam.engine.network.network import Network, Parameters, affine
from sparsam.estimators import _validation as validation
from sparsam.estimators._data.apply_network import apply_in_chunks
from sparsam.estimators._training.reconstruction import n_encoders
from sparsam.estimators.autoencoder import SparseAutoencoder
from sparsam.estimators.stacked_autoencoder import StackedAutoencoder

__all__ = ["encoder_tangents"]


def encoder_tangents(
    X: ArrayLike,
    autoencoder: SparseAutoencoder | StackedAutoencoder,
    n_tangents: int = 8,
    *,
    chunk_size: int | None = 256,
) -> NDArray[np.floating]:
    """Compute leading singular vectors of the encoder's Jacobian at each sample (the "manifold tangent classifier").

    The Jacobian of the code by the inputs, of the hidden activations or in a stack of the innermost ones, is ::

        dz/dx = diag(h'(a)) W_1'  =  U diag(sigma) V'                                       (one layer)
        dz/dx = diag(h'(a_L)) W_L' ... diag(h'(a_1)) W_1'  =  U diag(sigma) V'              (a stack)

    Its first right singular vectors span the directions in which the code changes the most. An autoencoder encodes
    changes along the manifold of its data, and hardly any others, so that these vectors are the manifold's tangents.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    autoencoder : SparseAutoencoder or StackedAutoencoder
        Fitted autoencoder; it may be fitted on more samples than these, which need no labels.
    n_tangents : int, default 8
        At most the number of units of the code, and at most n_features.
    chunk_size : int or None, default 256
        Number of samples to decompose at a time.

    Returns
    -------
    array of shape (n_samples, n_tangents, n_features)
        Orthonormal vectors, in the order of decreasing singular values; 0 for those beyond the Jacobian's rank. Their
        signs are arbitrary. Pass them to ``fit(..., tangents=)``, or pass this function, with `functools.partial`, as
        the parameter ``tangents``.

    Raises
    ------
    NotFittedError, ValueError
        If the autoencoder is not fitted, or n_tangents is too large.

    References
    ----------
    S. Rifai, Y. Dauphin, P. Vincent, Y. Bengio & X. Muller, "The manifold tangent classifier", NIPS 2011.

    Examples
    --------
    >>> from sparsam import SparseAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> X = np.hstack([rng.uniform(0.2, 0.8, size=(200, 1)), np.full((200, 2), 0.5)])   # a line in space
    >>> autoencoder = SparseAutoencoder(3, beta=0.0, random_state=0).fit(X)
    >>> tangent = encoder_tangents(X[:1], autoencoder, 1)[0, 0]
    >>> bool(abs(tangent[0]) > 0.99)
    True
    """
    check_is_fitted(autoencoder)
    inputs = validation.validate_inputs(autoencoder, X, reset=False)
    n_units = len(autoencoder.mean_activation_)
    validation.check_number("n_tangents", n_tangents, Integral, low=1, high=min(autoencoder.n_features_in_, n_units))
    return apply_in_chunks(
        partial(_singular_vectors, int(n_tangents)),
        autoencoder._fitted_network(),
        autoencoder._fitted_parameters(),
        inputs,
        dtype=np.float64,  # the products square the singular values
        chunk_size=chunk_size,
    ).astype(inputs.dtype, copy=False)


@partial(quick_jit, static_argnums=(0, 1))
def _singular_vectors(n_tangents: int, network: Network, parameters: Parameters, X: jax.Array) -> jax.Array:
    W = parameters.coefs[0]
    a = affine(X.T, W, parameters.intercepts[0])
    slopes = network.activations[0].slope(a)
    # The Jacobian is J = M' diag(h') W', where M' is the one of the code by the activations of the first layer, for a
    # single layer 1. The eigenvectors u of J J' = M' diag(h') W'W diag(h') M, whose size is that of the code, cost less
    # than decomposing J; v = J' u / |J' u|.
    products = slopes.T[:, :, None] * jnp.matmul(W.T, W) * slopes.T[:, None, :]
    M = _jacobian_after_first(network, parameters, a)
    if M is not None:
        products = jnp.einsum("nmk,nml,nlj->nkj", M, products, M)
    values, u = jnp.linalg.eigh(products)
    values, u = values[:, ::-1][:, :n_tangents], u[:, :, ::-1][:, :, :n_tangents]
    of_first = u if M is None else jnp.matmul(M, u)
    vectors = jnp.einsum("dm,mn,nmk->nkd", W, slopes, of_first)
    vectors /= jnp.sqrt(jnp.where(values > 0, values, 1.0))[:, :, None]
    in_range = values > jnp.finfo(values.dtype).eps * len(W) * values[:, :1]
    return jnp.where(in_range[:, :, None], vectors, 0.0)


def _jacobian_after_first(network: Network, parameters: Parameters, a: jax.Array) -> jax.Array | None:
    """Return the transposed Jacobian of the code by the activations of the first layer; None if they are the code.

    Its shape is (n_samples, n_units of the first layer, n_units of the code); ``a`` are the first pre-activations.
    """
    M = None
    for layer in range(1, n_encoders(network)):
        W = parameters.coefs[layer]
        a = affine(network.activations[layer - 1].function(a), W, parameters.intercepts[layer])
        step = W if M is None else jnp.matmul(M, W)
        M = step * network.activations[layer].slope(a).T[:, None, :]
    return M
