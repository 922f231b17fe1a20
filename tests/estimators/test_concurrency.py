"""Threads can share a fitted estimator, joblib's processes work, and a fork that cannot work raises an error."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder
from sparsam.engine.data.devices import all_devices

X = np.random.default_rng(0).uniform(0.1, 0.9, (200, 6))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_eight_threads_predict_while_another_fits():
    settings = {"random_state": 0, "max_iter": 30}
    models = [
        SparseAutoencoder(3, rho=0.2, **settings).fit(X),
        SparseAutoencoder(3, rho=0.2, dtype="float64", **settings).fit(X),
        MultivariateNormalRegressor((3,), cv=None, **settings).fit(X, X[:, :2]),
        NoisyLabelClassifier((3,), epsilon=0.1, **settings).fit(X, X[:, 0] > 0.5),
    ]
    expected = [model.predict(X) for model in models]
    alone = SparseAutoencoder(4, rho=0.2, max_iter=60, random_state=0).fit(X)
    done = threading.Event()

    def predict(seed):
        rng, count = np.random.default_rng(seed), 0
        while not done.is_set() or count < 20:
            k, n_rows = rng.integers(len(models)), rng.integers(1, 201)
            np.testing.assert_array_equal(models[k].predict(X[:n_rows]), expected[k][:n_rows])
            count += 1
        return count

    with ThreadPoolExecutor(8) as threads:
        counts = [threads.submit(predict, seed) for seed in range(8)]
        beside = [SparseAutoencoder(4, rho=0.2, max_iter=60, random_state=0).fit(X) for _ in range(3)]
        done.set()
        assert all(count.result() >= 20 for count in counts)
    for model in beside:
        np.testing.assert_array_equal(model.coefs_[0], alone.coefs_[0])


@pytest.mark.slow
def test_an_estimator_with_a_mesh_can_be_pickled():
    model = SparseAutoencoder(3, rho=0.2, tol=1.0, max_iter=3, random_state=0, mesh=all_devices()).fit(X)
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 (one's own)
    assert again.mesh is None
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


FORK = """
import os, sys
import numpy as np
from sparsam import SparseAutoencoder

X = np.random.default_rng(0).uniform(0.1, 0.9, (50, 4))
model = SparseAutoencoder(2, max_iter=3, tol=1.0, random_state=0)
if sys.argv[1] == "after":
    model.fit(X)
child = os.fork()
if not child:
    try:
        getattr(model, sys.argv[2])(X)
        os._exit(0)
    except RuntimeError as error:
        print(error, flush=True)
        os._exit(3)
    finally:
        os._exit(4)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    ("when", "method", "code"),
    [("before", "fit", 0), ("after", "fit", 3), pytest.param("after", "transform", 3, marks=pytest.mark.exhaustive)],
)
def test_a_fork_after_jax_has_started_is_refused_and_does_not_hang(when, method, code):
    run = subprocess.run([sys.executable, "-c", FORK, when, method], capture_output=True, text=True, timeout=60)
    assert run.returncode == code, run.stderr
    assert ("forked from one in which JAX had started" in run.stdout) == (code == 3)
