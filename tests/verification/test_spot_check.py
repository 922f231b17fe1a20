"""The spot check of a few derivatives by three derivations."""

from dataclasses import replace

import numpy as np
import pytest

from sparsam.verification.spot_check import spot_check

X = np.random.default_rng(0).uniform(size=(6, 4))


@pytest.mark.parametrize(("hidden", "output", "beta"), [("logistic", "logistic", 3.0), ("tanh", "identity", 0.0)])
def test_three_derivations_agree(hidden, output, beta):
    check = spot_check(X, n_components=3, beta=beta, hidden_activation=hidden, output_activation=output)
    assert check.verified
    assert {d.block for d in check.derivatives} == {"W1", "W2", "b1", "b2"}
    for d in check.derivatives:
        assert d.by_hand == pytest.approx(d.autodiff, rel=1e-11)
        assert d.by_hand == pytest.approx(d.numerical, rel=1e-7)


def test_a_difference_beyond_its_bound_is_not_verified():
    check = spot_check(X, n_components=2)
    for column in ("autodiff_hand", "hand_numerical", "autodiff_numerical"):
        assert not replace(check, **{column: 1e-3}).verified
        assert not replace(check, **{column: float("nan")}).verified


def test_more_weights_than_a_block_has_are_all_of_them():
    check = spot_check(X, n_components=2, n_each=5)
    assert len([d for d in check.derivatives if d.block == "b1"]) == 2
    assert len({(d.block, d.index) for d in check.derivatives}) == len(check.derivatives)


@pytest.mark.parametrize("seed", range(12))
def test_kinks_are_avoided(seed):
    x = np.random.default_rng(seed).uniform(0.1, 0.9, size=(10, 64))
    check = spot_check(x, beta=0.0, hidden_activation="relu", output_activation="identity")
    assert check.verified
