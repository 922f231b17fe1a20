"""Train with the library in a whole process: imports, compilation and training, without any cache.

::

    python library.py patches.npy SEED theta.npy N_COMPONENTS ALPHA RHO BETA TOL SOLVER
"""

import inspect
import sys

import numpy as np

from sparsam import SparseAutoencoder


def solver_keyword(solver):
    """Return {"solver": solver}, or {} if the estimator does not have this keyword."""
    return {"solver": solver} if "solver" in inspect.signature(SparseAutoencoder).parameters else {}


def main():
    """Train as a whole process."""
    patches, seed, result = sys.argv[1:4]
    n_components, solver = int(sys.argv[4]), sys.argv[9]
    alpha, rho, beta, tol = map(float, sys.argv[5:9])
    model = SparseAutoencoder(
        n_components,
        alpha=alpha,
        rho=rho,
        beta=beta,
        tol=tol,
        max_iter=10**6,
        random_state=int(seed),
        **solver_keyword(solver),
    ).fit(np.load(patches))
    np.save(result, np.concatenate([array.ravel() for array in (*model.coefs_, *model.intercepts_)]))


if __name__ == "__main__":
    main()
