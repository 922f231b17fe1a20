"""The objective and its gradient by hand, in plain float64 NumPy: executable documentation, and the tests' oracle.

Nothing of the engine imports this package and it imports nothing of the engine: where both agree, two derivations
agree. Every step of the derivation stands beside the line that computes it. Samples are in rows; symbols are PRML's: a
for a pre-activation, z = h(a) for an activation, delta = dE/da.

A reader of the CS294A notes can hand `sparse_autoencoder_cost` to `scipy.optimize.fmin_l_bfgs_b` as it is.
"""

from sparsam.reference.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from sparsam.reference.network import network_cost
from sparsam.reference.notes import quadratic, sparse_autoencoder_cost

__all__ = ["ACTIVATIONS", "OUTPUT_ACTIVATIONS", "network_cost", "quadratic", "sparse_autoencoder_cost"]
