"""The file cfg.json: write it, and check that it describes an autoencoder that sparsam has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["CONFIG_FILE", "OWN_METADATA", "WEIGHTS_FILE", "FolderConfig", "config_of", "read_config"]

CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae_weights.safetensors"

OWN_METADATA = "sparsam"
"""Key in the metadata under which the hyperparameters of a fit are."""

LAYOUT_VERSION = "6.0.0"
"""Version of SAELens whose layout this is; without one, SAELens takes a file for an older one, without its metadata."""

MOST_BYTES = 2**20

ARCHITECTURES = {
    "gated": "its units have a gate besides their magnitude",
    "jumprelu": "its units have a threshold each, below which they are 0",
    "topk": "it keeps a fixed number of units on each row",
    "batchtopk": "it keeps a fixed number of units in each batch of rows",
    "matryoshka_batchtopk": "it keeps a fixed number of units in each batch of rows",
    "matching_pursuit": "it chooses its units one after another",
    "temporal": "its code depends on the rows before",
    "transcoder": "it predicts other activations than its inputs",
    "skip_transcoder": "it predicts other activations than its inputs",
    "jumprelu_transcoder": "it predicts other activations than its inputs",
    "jumprelu_skip_transcoder": "it predicts other activations than its inputs",
}
"""Architectures of SAELens that are not the standard one, and what sets them apart."""

NORMALIZATIONS = {
    "expected_average_only_in": (
        "inputs are multiplied by a factor that the folder does not contain; in SAELens, "
        "fold_activation_norm_scaling_factor moves it into the weights"
    ),
    "constant_norm_rescale": "each row is scaled to one length before it is encoded",
    "layer_norm": "each row is standardized before it is encoded",
}
"""Values of normalize_activations other than "none", and what they mean."""


@dataclass(frozen=True)
class FolderConfig:
    """The checked content of cfg.json.

    Attributes
    ----------
    d_in, d_sae : int
        Numbers of features and of units.
    apply_b_dec_to_input : bool
        Whether the encoder takes x - b_dec.
    hyperparameters : dict
        Those that sparsam wrote; empty in folders of other programs. Their values are not checked.
    """

    d_in: int
    d_sae: int
    apply_b_dec_to_input: bool
    hyperparameters: Mapping[str, Any]


def config_of(
    d_in: int,
    d_sae: int,
    dtype: str,
    apply_b_dec_to_input: bool,
    metadata: Mapping[str, Any],
    hyperparameters: Mapping[str, Any],
) -> bytes:
    """Make the content of cfg.json.

    Raises
    ------
    TypeError, ValueError
        If the metadata are not JSON values, or have the key that sparsam uses.
    """
    if OWN_METADATA in metadata:
        raise ValueError(f"metadata must not have the key {OWN_METADATA!r}, under which the hyperparameters are")
    config = {
        "architecture": "standard",
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": dtype,
        "device": "cpu",
        "apply_b_dec_to_input": apply_b_dec_to_input,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": LAYOUT_VERSION,
            "sae_lens_training_version": None,
            **metadata,
            OWN_METADATA: {"version": version("sparsam"), **hyperparameters},
        },
    }
    try:
        return json.dumps(config, indent=2, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise type(error)(f"metadata must be values that JSON can hold: {error}") from error


def read_config(path: Path) -> FolderConfig:
    """Read and check cfg.json.

    Raises
    ------
    ValueError
        If it is damaged or incomplete, or describes another kind of autoencoder.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{CONFIG_FILE} is larger than {MOST_BYTES:,} bytes")
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{CONFIG_FILE} is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise ValueError(f"{CONFIG_FILE} is not a JSON object")
    _check_architecture(config)
    _check_inputs(config)
    applied = config.get("apply_b_dec_to_input", True)
    if not isinstance(applied, bool):
        raise ValueError(f"apply_b_dec_to_input must be true or false, got {applied!r}")
    d_in, d_sae = (_size(config, name) for name in ("d_in", "d_sae"))
    metadata = config.get("metadata")
    own = metadata.get(OWN_METADATA) if isinstance(metadata, dict) else None
    return FolderConfig(d_in, d_sae, applied, own if isinstance(own, dict) else {})


def _check_architecture(config: Mapping[str, Any]) -> None:
    architecture = config.get("architecture", "standard")  # files of old versions have none
    if architecture != "standard":
        known = isinstance(architecture, str) and architecture in ARCHITECTURES
        reason = ARCHITECTURES[architecture] if known else "sparsam does not know it"
        raise ValueError(f"its architecture is {architecture!r}: {reason}. Only 'standard' can be loaded")
    for name in ("activation_fn", "activation_fn_str"):
        if config.get(name, "relu") not in ("relu", None):
            raise ValueError(f"{name} is {config[name]!r}: only 'relu' can be loaded")
    if config.get("d_out") is not None:
        raise ValueError("it has d_out: a transcoder predicts other activations than its inputs")


def _check_inputs(config: Mapping[str, Any]) -> None:
    normalization = config.get("normalize_activations")
    if normalization is True:  # of old versions
        normalization = "expected_average_only_in"
    if normalization not in (None, False, "none"):
        known = isinstance(normalization, str) and normalization in NORMALIZATIONS
        reason = NORMALIZATIONS[normalization] if known else "sparsam does not know it"
        raise ValueError(f"normalize_activations is {normalization!r}: {reason}. Only 'none' can be loaded")
    reshaping = config.get("reshape_activations")
    if reshaping not in (None, "none", "hook_z"):  # hook_z only joins the axes of heads
        raise ValueError(f"reshape_activations is {reshaping!r}, which sparsam does not know")


def _size(config: Mapping[str, Any], name: str) -> int:
    size = config.get(name)
    if type(size) is not int or size < 1:
        raise ValueError(f"{name} must be a positive integer, got {size!r}" if name in config else f"it has no {name}")
    return size
