"""Inputs that alone determine a target are found; false alarms are rare."""

import numpy as np
import pandas as pd
import pytest

from sparsam.io.determined_targets import determining_inputs


def table(seed, n=100):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"x": rng.normal(size=n), "age": rng.integers(20, 60, n).astype(float), "color": rng.choice(list("rgb"), n)}
    ), pd.DataFrame({"y": rng.normal(size=n), "label": rng.choice(["a", "b"], n)})


@pytest.mark.parametrize(
    ("make", "target", "relation"),
    [
        (lambda inputs, targets: targets.y, "y", "is equal to"),
        (lambda inputs, targets: targets.y.where(targets.y > -1), "y", "is equal to"),
        (lambda inputs, targets: np.exp(-targets.y), "y", "alone determines"),
        (lambda inputs, targets: targets.label, "label", "is equal to"),
        (lambda inputs, targets: (targets.label == "a") * 1.0, "label", "alone determines"),
        (lambda inputs, targets: targets.label + inputs.color, "label", "alone determines"),
        (lambda inputs, targets: (targets.label == "a") + 0.5 * inputs.x.rank(pct=True), "label", "alone determines"),
    ],
)
def test_a_planted_one_is_found(make, target, relation):
    inputs, targets = table(0)
    found = determining_inputs(inputs.assign(leak=make(inputs, targets)), targets)
    assert [text.split(":")[0] for text in found] == [f"the input 'leak' {relation} {target!r}"]


def test_unrelated_inputs_are_not_named():
    """With a false-alarm rate of 1e-6 per table, this test's 900 tables give one with a probability below 1e-3."""
    for seed in range(300):
        for n in (2, 5, 20):
            inputs, targets = table(seed, n)
            assert determining_inputs(inputs, targets) == []


def test_a_noisy_copy_and_a_rare_class_are_not_named():
    inputs, targets = table(1, 300)
    noisy = targets.y + 0.1 * inputs.x
    rare = pd.DataFrame({"label": ["a", *["b"] * 299]})
    assert determining_inputs(inputs.assign(noisy=noisy), targets) == []
    assert determining_inputs(inputs[["age"]], rare) == []
