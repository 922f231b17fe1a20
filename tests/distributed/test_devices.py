"""Several devices and several processes: J, gradient and minimum of one, and little that crosses the wires."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("worker.py")
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).uniform(0.1, 0.9, (203, 8))


VARIANTS = [{"dtype": "float64", "stored": False}, {"dtype": "float32", "stored": True}]


def run(folder, rows, cuts, port, n_devices=1):
    """Fit in as many processes as there are parts, each with so many devices, held in float64 and stored in float32."""
    parameters = {"n_components": 3, "rho": 0.2, "beta": 0.5, "random_state": 0, "max_iter": 20}
    np.save(folder / "rows.npy", rows)
    (folder / "job.json").write_text(json.dumps({"cuts": cuts, "variants": VARIANTS, "parameters": parameters}))
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={n_devices}"}
    n_processes, address = len(cuts) - 1, f"127.0.0.1:{port}"
    processes = [
        subprocess.Popen(
            [sys.executable, WORKER, folder, address, str(n_processes), str(k)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for k in range(n_processes)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * n_processes, "\n".join(outputs)
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def alone(rows, tmp_path_factory, free_port):
    return run(tmp_path_factory.mktemp("alone"), rows, [0, 203], free_port())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cuts", "n_devices"),
    [([0, 203], 4), ([0, 120, 203], 2), ([0, 1, 150, 203], 1)],
    ids=["4 devices", "2 processes of 2 devices", "3 processes"],
)
def test_the_result_is_that_of_one_device(rows, tmp_path, alone, free_port, cuts, n_devices):
    got = run(tmp_path, rows, cuts, free_port(), n_devices)
    assert got["n_devices"] == n_devices * (len(cuts) - 1)
    for variant in VARIANTS:
        dtype, found, expected = variant["dtype"], got[json.dumps(variant)], alone[json.dumps(variant)]
        for name in ("J", "gradient_norm"):
            np.testing.assert_allclose(found[name][0], expected[name][0], rtol=TOLERANCES[dtype])
        np.testing.assert_allclose(found["J"][-1], expected["J"][-1], rtol={"float64": 1e-9, "float32": 1e-3}[dtype])
        if dtype == "float64":
            np.testing.assert_allclose(found["mean_activation"], expected["mean_activation"], rtol=1e-6)


VOLUME = """
import re, json, jax, numpy as np
from sparsam.burst import run_burst
from sparsam.curvature import kronecker_factors, input_moments
from sparsam.devices import all_devices
from sparsam.error_functions import SquaredError
from sparsam.network import Network
from sparsam.objective import Objective
from sparsam.passes import passes_over
from sparsam.penalties import KLSparsity, WeightDecay
from sparsam.samples import Samples, on_every_device
from sparsam.train import begin

network = Network((6, 3, 6))
terms = (SquaredError(), WeightDecay(np.float32(1e-4)), KLSparsity(np.float32(0.1), np.float32(3)))
objective = Objective(network, terms)
X = np.random.default_rng(0).uniform(0.1, 0.9, (100, 6)).astype("float32")
samples = Samples.from_arrays(X, chunk_size=8, dtype="float32", mesh=all_devices())
theta = network.initialize(np.random.default_rng(0)).astype("float32")
passes = passes_over(objective, samples)
state = begin(passes, theta, "kronecker-lbfgs", tol=1e-5, max_iter=10)
inputs = jax.eval_shape(input_moments, samples)


FLOATS = r"f32\\[([0-9,]*)\\]"


def sums(program):
    text = program.compile().as_text()
    return sorted(
        sum(int(np.prod([int(n) for n in shape.split(",") if n])) for shape in re.findall(FLOATS, result))
        for result in re.findall(r"= (\\S.*?) all-reduce\\(", text)
    )


evaluation = jax.jit(on_every_device(run_burst)).lower(objective, samples, state, 1, 100)
factors = kronecker_factors.lower(objective, theta, samples, inputs, 0)
print(json.dumps({"evaluation": sums(evaluation), "factors": sums(factors), "parameters": network.n_parameters}))
"""


@pytest.mark.slow
def test_only_the_moments_and_one_gradient_cross_the_wires():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    output = subprocess.run(
        [sys.executable, "-c", VOLUME], env=environment, capture_output=True, text=True, check=True
    ).stdout
    counted = json.loads(output)
    moments = 2 * 3  # the means of z and of 1 - z
    gradient = counted["parameters"]
    assert gradient + moments <= sum(counted["evaluation"]) <= gradient + 2 * moments + 2
    assert sum(counted["factors"]) <= 4**2 + 2 * 3**2 + 7 * 3 + 6**2 + 2 * moments + 2
    assert sum(counted["factors"]) > 0
