"""Several devices and several processes give the J, gradient and minimum of one, with little communication."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture(scope="module")
def rows():
    """Make rows with repetitions, with targets and labels that are missing in some parts only."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, (203, 8))
    X[160:170] = X[0]
    Y = np.column_stack([X[:, 0] - X[:, 1], X[:, 2] ** 2]) + 0.1 * rng.normal(size=(203, 2))
    Y[160:170] = Y[0]
    Y[190:, 1] = np.nan
    labels = np.digitize(X[:, 0], [0.4, 0.6])
    labels[180:] = 3
    return {"X": X, "Y": Y, "labels": np.array(list("abcd"))[labels], "weights": rng.integers(1, 40, 203) / 8}


AUTOENCODER = {
    "estimator": "SparseAutoencoder",
    "parameters": {
        "n_components": 3,
        "rho": 0.2,
        "beta": 0.5,
        "random_state": 0,
        "max_iter": 20,
        "dtype": "float64",
        "start_on_sample": False,
    },
}
REGRESSOR = {
    "estimator": "MultivariateNormalRegressor",
    "targets": "Y",
    "parameters": {
        "hidden_layer_sizes": (),
        "alpha": 0.01,
        "random_state": 0,
        "max_iter": 20,
        "start_on_sample": False,
    },
}
CLASSIFIER = {
    "estimator": "NoisyLabelClassifier",
    "targets": "labels",
    "parameters": {
        "hidden_layer_sizes": (3,),
        "epsilon": 0.1,
        "alpha": 0.01,
        "random_state": 0,
        "max_iter": 20,
        "dtype": "float64",
        "solver": "lbfgs",  # other fits test the factors of the curvature
        "start_on_sample": False,
    },
}

EVERYWHERE = [0, 1, 2]  # processes whose rows are stored rather than in memory


def changed(variant, more=(), **parameters):
    return variant | dict(more) | {"parameters": variant["parameters"] | parameters}


SAME = {  # as in one process
    "autoencoder": changed(AUTOENCODER, {"weights": True}),
    "autoencoder, stored": changed(AUTOENCODER, {"stored": [0]}, dtype="float32"),
    "regressor": changed(REGRESSOR, {"weights": True, "tangents": True}),
    "regressor, stored": changed(REGRESSOR, {"stored": EVERYWHERE, "tangents": True}, solver="lbfgs"),
    "classifier, stored": changed(CLASSIFIER, {"stored": EVERYWHERE, "weights": True}),
}
FEW = {"hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 5}  # many trainings
DRAWN = {  # each process holds rows of its own out
    "early stopping": changed(REGRESSOR, early_stopping=True, validation_fraction=0.4, solver="lbfgs"),
    "matrix": changed(CLASSIFIER, epsilon="estimate_matrix", **FEW),
    "rate, stored": changed(CLASSIFIER, {"stored": EVERYWHERE}, epsilon="estimate", **FEW),
}
SAMPLED = {  # each process draws from its own rows
    "sample": changed(AUTOENCODER, {"sampled": True, "weights": True}, start_on_sample=True),
    "sample, stored": changed(AUTOENCODER, {"sampled": True, "stored": EVERYWHERE}, start_on_sample=True),
}
FAILING = {
    "source": changed(AUTOENCODER, {"stored": EVERYWHERE, "fails": 1}),
    "alpha": changed(AUTOENCODER, {"others": {"alpha": 0.5, "n_components": 4}}),
    "labels": changed(CLASSIFIER, {"targets": "Y"}),
}


def run(folder, rows, cuts, port, n_devices=1, variants=SAME):
    """Fit in a process for each part, with ``n_devices`` each; return the results of the processes."""
    np.savez(folder / "rows.npz", **rows)
    (folder / "job.json").write_text(json.dumps({"cuts": cuts, "variants": variants}))
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
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * n_processes, "\n".join(outputs)
    return [json.loads((folder / f"result-{k}.json").read_text()) for k in range(n_processes)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cuts", "n_devices", "names"),
    [
        pytest.param([0, 203], 4, ["autoencoder", "classifier, stored"], marks=pytest.mark.exhaustive),
        ([0, 120, 203], 2, ["autoencoder, stored", "regressor"]),
        pytest.param([0, 1, 150, 203], 1, ["autoencoder", "regressor, stored"], marks=pytest.mark.exhaustive),
    ],
    ids=["4 devices", "2 processes of 2 devices", "3 processes"],
)
def test_the_result_is_that_of_one_device(rows, tmp_path, free_port, cuts, n_devices, names):
    variants = {name: SAME[name] for name in names}
    [alone] = run(tmp_path, rows, [0, 203], free_port(), variants=variants)
    got = run(tmp_path, rows, cuts, free_port(), n_devices, variants)
    assert got[0]["n_devices"] == n_devices * (len(cuts) - 1)
    for name, variant in variants.items():
        found, expected = got[0][name], alone[name]
        exact = variant["parameters"].get("dtype") != "float32"
        for value in ("J", "gradient_norm"):
            np.testing.assert_allclose(found[value][0], expected[value][0], rtol=1e-12 if exact else 1e-5, err_msg=name)
        np.testing.assert_allclose(found["J"][-1], expected["J"][-1], rtol=1e-8 if exact else 1e-3)
        for value in ("mean_activation_", "covariance_"):
            if exact and value in expected:
                np.testing.assert_allclose(found[value], expected[value], rtol=1e-5)
        assert all(process[name] == found for process in got)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["rate, stored", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in DRAWN if name != "rate, stored")],
)
def test_all_processes_hold_out_the_same_rows_and_end_with_the_same_model(rows, tmp_path, free_port, name):
    one, other = (found[name] for found in run(tmp_path, rows, [0, 1, 203], free_port(), variants={name: DRAWN[name]}))
    assert "error" not in one, one
    assert one == other
    if name == "early stopping":
        assert len(one["validation_scores_"]) > 1
    else:
        assert 0 <= one["epsilon_"] < 0.7


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize(("cuts", "n_devices"), [([0, 80, 203], 2), ([0, 203], 4)])
def test_all_processes_begin_on_the_same_sample(rows, tmp_path, free_port, cuts, n_devices):
    [first, *others] = run(tmp_path, rows, cuts, free_port(), n_devices, SAMPLED)
    assert all(other == first for other in others)
    for name in SAMPLED:
        assert "error" not in first[name], first[name]
        shares = sorted(set(first[name]["shares"]))
        assert len(shares) > 1
        assert shares[-1] <= 0.6
        assert first[name]["J"][-1] < first[name]["J"][0]


@pytest.mark.slow
def test_an_error_in_one_process_ends_all_and_they_name_it(rows, tmp_path, free_port):
    first, second = run(tmp_path, rows, [0, 100, 203], free_port(), variants=FAILING)
    assert first["source"]["error"] == (
        "RuntimeError: the data of another process cannot be read: see the log of that process"
    )
    assert "chunk 2 of X" in second["source"]["error"]
    assert "the disk is gone" in second["source"]["error"]
    for process in (first, second):
        assert process["alpha"]["error"] == (
            "ValueError: the processes of this run have different hyperparameters: alpha, n_components. Set the same "
            "values in all processes"
        )
        assert "Error: " in process["labels"]["error"]


SHORT, LONG = ({"solver": "lbfgs", "early_stopping": True, "max_iter": n} for n in (3, 7))
KEPT = {  # one after another
    "whole": changed(REGRESSOR, **LONG),
    "begun": changed(REGRESSOR, {"checkpoint": {"per_fit": True}}, **SHORT),
    "extended": changed(REGRESSOR, {"checkpoint": {"per_fit": True, "resume": True}}, **LONG),
}


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_first_process_locks_a_folder_for_all_and_a_fit_in_it_can_be_extended(rows, tmp_path, free_port):
    cuts = [0, 100, 203]
    for process in run(tmp_path, rows, cuts, free_port(), variants=KEPT):
        assert "error" not in process["extended"], process
        assert process["extended"] == process["whole"] | {"resumed": 1}
    [folder] = (tmp_path / "checkpoints").iterdir()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with FileLock(folder / ".lock"):
        got = run(tmp_path, rows, cuts, free_port(), variants={"held": KEPT["extended"], "whole": KEPT["whole"]})
    assert all(process["held"] == process["whole"] for process in got)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


VOLUME = """
import re, json, jax, numpy as np
from sparsam.engine.training.compiled_loop import run_loop
from sparsam.engine.curvature.factors import kronecker_factors, input_moments
from sparsam.engine.data.devices import all_devices
from sparsam.engine.objective.error_functions import SquaredError
from sparsam.engine.network.network import Network
from sparsam.engine.objective.objective import Objective
from sparsam.engine.training.evaluators import make_evaluator
from sparsam.engine.objective.penalties import KLSparsity, WeightDecay
from sparsam.engine.data.samples import Samples, on_every_device
from sparsam.engine.training.evaluators import initial_state

network = Network((6, 3, 6))
terms = (SquaredError(), WeightDecay(np.float32(1e-4)), KLSparsity(np.float32(0.1), np.float32(3)))
objective = Objective(network, terms)
X = np.random.default_rng(0).uniform(0.1, 0.9, (100, 6)).astype("float32")
samples = Samples.from_arrays(X, chunk_size=8, dtype="float32", mesh=all_devices())
theta = network.initialize(np.random.default_rng(0)).astype("float32")
evaluator = make_evaluator(objective, samples)
state = initial_state(evaluator, theta, "kronecker-lbfgs", tol=1e-5, max_iter=10)
inputs = jax.eval_shape(input_moments, samples)


FLOATS = r"f32\\[([0-9,]*)\\]"


def sums(program):
    text = program.compile().as_text()
    return sorted(
        sum(int(np.prod([int(n) for n in shape.split(",") if n])) for shape in re.findall(FLOATS, result))
        for result in re.findall(r"= (\\S.*?) all-reduce\\(", text)
    )


evaluation = jax.jit(on_every_device(run_loop)).lower(objective, samples, state, 1, 100)
factors = kronecker_factors.lower(objective, theta, samples, inputs, 0)
print(json.dumps({"evaluation": sums(evaluation), "factors": sums(factors), "parameters": network.n_parameters}))
"""


@pytest.mark.slow
def test_only_the_moments_and_one_gradient_are_communicated():
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
