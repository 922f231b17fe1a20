"""A sparse ReLU code, the encoder and decoder of SAELens in NumPy, and folders with errors in them."""

import json

import numpy as np
import pytest
import safetensors.numpy

from sparsam import SparseAutoencoder

RELU = {"sparsity": "l1", "hidden_activation": "relu", "output_activation": "identity", "random_state": 0}


@pytest.fixture(scope="session")
def X():
    return np.random.default_rng(0).laplace(size=(200, 5)) + 3


@pytest.fixture(scope="session")
def models(X):
    """Return fitted models by their precision; tests must not change them."""
    return {
        dtype: SparseAutoencoder(7, max_iter=20, tol=1e-2, dtype=dtype, **RELU).fit(X)
        for dtype in ("float32", "float64")
    }


@pytest.fixture(scope="session")
def sae_lens():
    """Return a function that computes code and reconstruction as SAELens' StandardSAE does."""

    def run(folder, X):
        config = json.loads((folder / "cfg.json").read_bytes())
        W = safetensors.numpy.load_file(folder / "sae_weights.safetensors")
        x = np.asarray(X, dtype=config["dtype"])
        code = np.maximum((x - W["b_dec"] * config["apply_b_dec_to_input"]) @ W["W_enc"] + W["b_enc"], 0)
        return code, code @ W["W_dec"] + W["b_dec"]

    return run


@pytest.fixture
def foreign(tmp_path):
    """Return a function that writes the folder of another program; ``edit`` changes its config and tensors."""
    rng = np.random.default_rng(1)

    def write(edit=lambda config, tensors: None):
        config = {"architecture": "standard", "d_in": 5, "d_sae": 7, "dtype": "float32", "apply_b_dec_to_input": True}
        config |= {"normalize_activations": "none", "metadata": {"sae_lens_version": "6.12.1", "hook_name": "here"}}
        shapes = {"W_enc": (5, 7), "W_dec": (7, 5), "b_enc": (7,), "b_dec": (5,)}
        tensors = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        edit(config, tensors)
        folder = tmp_path / "foreign"
        folder.mkdir(exist_ok=True)
        (folder / "cfg.json").write_text(json.dumps(config))
        safetensors.numpy.save_file(tensors, folder / "sae_weights.safetensors")
        return folder

    return write
