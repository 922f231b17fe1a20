"""The objective and its gradient by hand, in plain float64 NumPy: executable documentation, and the tests' oracle.

This package and the engine do not import each other, so where they agree, two independent derivations agree. Comments
give each step of the derivation next to the line that computes it. Samples are in rows; symbols are PRML's: a for a
pre-activation, z = h(a) for an activation, delta = dE/da.

Readers of the CS294A notes can pass `sparse_autoencoder_cost` directly to `scipy.optimize.fmin_l_bfgs_b`.
"""

from sparsam.reference.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from sparsam.reference.network import network_cost
from sparsam.reference.notes import quadratic, sparse_autoencoder_cost

__all__ = ["ACTIVATIONS", "OUTPUT_ACTIVATIONS", "network_cost", "quadratic", "sparse_autoencoder_cost"]
