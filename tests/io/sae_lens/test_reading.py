"""A folder of another program is a fitted model like any other; damaged ones and other kinds are refused by name."""

import json
import os
import re

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sparsam import from_sae_folder, load, report, save, sparsity_report

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("applied", [True, False])
def test_it_computes_what_sae_lens_computes(foreign, sae_lens, X, applied):
    folder = foreign(lambda config, tensors: config.update(apply_b_dec_to_input=applied))
    model = from_sae_folder(folder)
    code, reconstruction = sae_lens(folder, X)
    assert_allclose(model.transform(X), code, atol=1e-5)
    assert_allclose(model.predict(X), reconstruction, atol=2e-5)
    assert_allclose(model.inverse_transform(code), reconstruction, atol=2e-5)
    assert -model.score(X) == pytest.approx(np.sum((X - reconstruction) ** 2) / 2 / len(X), rel=1e-5)


def test_far_from_the_origin_it_is_as_precise_as_sae_lens(foreign, X):
    """b_enc is small and b_1 large: the sums are those of centered inputs."""

    def far(config, tensors):
        tensors["b_dec"] = (tensors["b_dec"] + 1e6).astype(np.float32)

    folder = foreign(far)
    W = {
        name: tensor.astype(np.float64)
        for name, tensor in safetensors.numpy.load_file(folder / "sae_weights.safetensors").items()
    }
    exact = np.maximum((X + 1e6 - W["b_dec"]) @ W["W_enc"] + W["b_enc"], 0)
    assert_allclose(from_sae_folder(folder).transform(X + 1e6), exact, atol=1e-4)


def test_it_is_saved_and_loaded(foreign, X, tmp_path):
    model = from_sae_folder(foreign())
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert vars(again).keys() == vars(model).keys()
    assert_array_equal(again.predict(X), model.predict(X))
    assert again.stop_reason_ == "imported"
    assert np.isnan(again.loss_curve_).all()


def test_it_is_reported_and_measured(foreign, X):
    model = from_sae_folder(foreign())
    page = report(model, X)
    assert "Another program trained these weights" in page
    assert "from nan to nan" not in page
    assert sparsity_report(model, X).density.tolist() == (model.transform(X) > 0).mean(axis=0).tolist()
    assert len(model.history_) == 1
    assert model.terms_ == {}


def test_a_fit_can_continue_from_it(foreign, X):
    model = from_sae_folder(foreign())
    before = model.cost(X)
    model.set_params(warm_start=True, max_iter=20).fit(X)
    assert model.stop_reason_ != "imported"
    assert -model.score(X) < before
    assert not hasattr(clone(model), "coefs_")


def test_old_versions_say_less(foreign, X):
    """Before version 6, metadata were beside the rest, and normalization was a truth value."""

    def old(config, tensors):
        for name in ("architecture", "apply_b_dec_to_input", "metadata"):
            del config[name]
        config |= {"normalize_activations": False, "activation_fn_str": "relu", "hook_name": "blocks.0.hook_resid_pre"}
        config |= {"dtype": "torch.float32", "finetuning_scaling_factor": False, "l1_coefficient": 5e-5}
        tensors["scaling_factor"] = np.ones(7, np.float32)

    expected = from_sae_folder(foreign(lambda config, tensors: None))
    assert expected.n_components == 7
    assert from_sae_folder(foreign(old)).transform(X).shape == (len(X), 7)


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_widened_exactly(foreign, kind):
    kept = {}

    def narrow(config, tensors):
        for name in tensors:
            tensors[name] = tensors[name].astype(kind)
        kept.update(tensors)

    model = from_sae_folder(foreign(narrow))
    assert model.dtype == "float32"
    assert_array_equal(model.coefs_[1], kept["W_dec"].astype(np.float32))
    assert_array_equal(model.intercepts_[1], kept["b_dec"].astype(np.float64))


def refused(folder, why):
    with pytest.raises(ValueError, match=f"^cannot load {re.escape(str(folder))}: .*{why}"):
        from_sae_folder(folder)


ARCHITECTURES = (
    *("gated", "jumprelu", "topk", "batchtopk", "matryoshka_batchtopk", "matching_pursuit", "temporal"),
    *("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder", "of the future", None, 3, []),
)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_architectures_are_refused_by_name_and_with_a_reason(foreign, architecture):
    folder = foreign(lambda config, tensors: config.update(architecture=architecture))
    refused(folder, rf"its architecture is {re.escape(repr(architecture))}: .+ Only 'standard'")


@pytest.mark.parametrize(
    "normalization", ["expected_average_only_in", "constant_norm_rescale", "layer_norm", True, "other", 1.5]
)
def test_normalized_inputs_are_refused_by_name(foreign, normalization):
    folder = foreign(lambda config, tensors: config.update(normalize_activations=normalization))
    name = "expected_average_only_in" if normalization is True else normalization
    refused(folder, f"normalize_activations is {name!r}: .+ Only 'none'")


def infinite(config, tensors):
    tensors["b_enc"][2] = np.inf


def not_a_number(config, tensors):
    tensors["W_dec"][2, 1] = np.nan


EDITS = {
    "d_out": (lambda c, t: c.update(d_out=9), "transcoder"),
    "activation": (lambda c, t: c.update(activation_fn_str="tanh-relu"), "activation_fn_str is 'tanh-relu'"),
    "reshaping": (lambda c, t: c.update(reshape_activations="other"), "reshape_activations is 'other'"),
    "b_dec": (lambda c, t: c.update(apply_b_dec_to_input="yes"), "apply_b_dec_to_input must be true or false"),
    "no d_in": (lambda c, t: c.pop("d_in"), "it has no d_in"),
    "text for d_sae": (lambda c, t: c.update(d_sae="7"), "d_sae must be a positive integer, got '7'"),
    "a truth value": (lambda c, t: c.update(d_sae=True), "d_sae must be a positive integer, got True"),
    "no units": (lambda c, t: c.update(d_sae=0), "d_sae must be a positive integer, got 0"),
    "huge": (lambda c, t: c.update(d_sae=10**30), "W_dec|W_enc|b_enc"),
    "other sizes": (lambda c, t: c.update(d_in=6), r"has the shape .+ means"),
    "transposed": (lambda c, t: t.update(W_enc=np.ascontiguousarray(t["W_enc"].T)), r"W_enc has the shape \(7, 5\)"),
    "no W_dec": (lambda c, t: t.pop("W_dec"), "it has no W_dec"),
    "gated": (lambda c, t: t.update(r_mag=np.ones(7)), "it has r_mag: a gated architecture"),
    "threshold": (lambda c, t: t.update(threshold=np.ones(7)), "it has threshold: a JumpReLU architecture"),
    "unknown": (lambda c, t: t.update(other=np.ones(7)), "tensors that the standard architecture does not have: other"),
    "scaled": (lambda c, t: t.update(scaling_factor=np.full(7, 2.0)), "scaling_factor"),
    "integers": (lambda c, t: t.update(b_enc=np.ones(7, np.int64)), "b_enc has the type I64"),
    "infinity": (infinite, "b_enc has NaN or infinity"),
    "NaN": (not_a_number, "W_dec has NaN or infinity"),
    "own hyperparameters": (lambda c, t: c.update(metadata={"sparsam": {"alpha": -1}}), "alpha"),
    "own types": (lambda c, t: c.update(metadata={"sparsam": {"sparsity": ["l1"]}}), "sparsity"),
    "a penalty that ReLU units do not have": (
        lambda c, t: c.update(metadata={"sparsam": {"sparsity": "kl", "beta": 3.0}}),
        "relu units are unbounded",
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_what_does_not_fit_is_refused(foreign, what):
    edit, why = EDITS[what]
    refused(foreign(lambda config, tensors: (edit(config, tensors), None)[1]), why)


CONTENTS = {
    "empty": (b"", "is not JSON"),
    "no JSON": (b"\x80\x04\x95 pickle", "is not JSON"),
    "not an object": (b"[]", "is not a JSON object"),
    "deep": (b"[" * 200_000, "is not JSON"),
    "large": (b" " * (2**20 + 1), "is larger than"),
    "metadata of another kind": (b'{"metadata": 3}', "it has no d_in"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_damaged_configurations_are_refused(foreign, what):
    folder = foreign()
    content, why = CONTENTS[what]
    (folder / "cfg.json").write_bytes(content)
    refused(folder, why)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, (2**60).to_bytes(8, "little") + b"{}"])
def test_damaged_weights_are_refused(foreign, content):
    folder = foreign()
    (folder / "sae_weights.safetensors").write_bytes(content)
    refused(folder, "is not a safetensors file, or it is truncated")


def test_every_truncation_is_refused(foreign):
    folder = foreign()
    whole = (folder / "sae_weights.safetensors").read_bytes()
    for length in range(0, len(whole), 37):
        (folder / "sae_weights.safetensors").write_bytes(whole[:length])
        refused(folder, "")


def test_missing_files_are_named(foreign, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder at"):
        from_sae_folder(tmp_path / "none")
    folder = foreign()
    for name in ("sae_weights.safetensors", "cfg.json"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"has no file {name}"):
            from_sae_folder(folder)
        os.mkfifo(folder / name)  # reading it would wait forever
        with pytest.raises(FileNotFoundError, match=f"has no file {name}"):
            from_sae_folder(folder)
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    assert json.loads((folder / "cfg.json").read_bytes())["d_in"] == 5
    assert from_sae_folder(folder).n_components == 7
