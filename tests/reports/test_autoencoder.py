"""The page of an autoencoder describes the model correctly."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

import sparsam
from sparsam import SparseAutoencoder
from sparsam.reports.autoencoder import _format_explained_variance
from sparsam.reports.diagnostics import diagnose_inputs
from sparsam.reports.unit_pages import losses_without

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]


@pytest.fixture(scope="module")
def page(pages, contents):
    return contents(pages["autoencoder"])


def logistic(a):
    return 1 / (1 + np.exp(-a))


def outputs(model, Z):
    return logistic(Z @ model.coefs_[1] + model.intercepts_[1])


def test_every_unit_has_a_button_and_a_page(page):
    assert [a["aria-controls"] for a in page.all("button") if "aria-controls" in a] == [f"unit-{j}" for j in range(6)]
    assert [a["id"] for a in page.all("article")] == [f"unit-{j}" for j in range(6)]
    assert sum("hidden" not in a for a in page.all("article")) == 1


def test_the_loss_without_a_unit_is_that_with_its_mean(autoencoder, patches):
    Z = autoencoder.transform(patches).astype(float)
    losses, n_rows = losses_without(autoencoder, patches, Z)
    assert n_rows == 300
    for j in range(6):
        without = Z.copy()
        without[:, j] = Z[:, j].mean()
        expected = 0.5 * np.mean(
            np.sum((outputs(autoencoder, without) - patches) ** 2 - (outputs(autoencoder, Z) - patches) ** 2, axis=1)
        )
        assert losses[j] == pytest.approx(expected, rel=1e-2, abs=1e-6)


def test_large_data_judge_units_by_some_rows(autoencoder, patches, monkeypatch):
    monkeypatch.setattr("sparsam.reports.unit_pages.MOST_VALUES", 50 * 16 * 6)
    Z = autoencoder.transform(patches).astype(float)
    losses, n_rows = losses_without(autoencoder, patches, Z)
    assert n_rows == 50
    assert losses.shape == (6,)


def test_reconstructions_go_from_no_unit_to_all(page, autoencoder, patches):
    Z = autoencoder.transform(patches).astype(float)
    assert len(page.json["patches"]) == 8
    for patch in page.json["patches"]:
        x = patches[patch["row"]]
        errors = [0.5 * np.sum((outputs(autoencoder, z) - x) ** 2) for z in (Z.mean(axis=0), Z[patch["row"]])]
        assert [patch["errors"][0], patch["errors"][-1]] == pytest.approx(errors, rel=2e-3)
        assert len(patch["frames"]) == len(patch["errors"]) == 7
        strength = np.abs(Z[patch["row"]] - Z.mean(axis=0)) * np.linalg.norm(autoencoder.coefs_[1], axis=1)
        assert patch["units"] == np.argsort(-strength).tolist()


def test_the_histograms_count_every_row(page):
    for a in page.all("div"):
        if a.get("data-chart") == "activation":
            assert sum(bar["count"] for bar in json.loads(a["data-values"])) == 300


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rho": 0.2, "beta": 0.5}, "The target mean activation is rho = 0.2; the mean activations range from"),
        (
            {"beta": 0},
            "An autoencoder without a sparsity penalty (beta = 0): 6 hidden units reconstruct each row. Their mean"
            " activations range from",
        ),
        ({"beta": 0, "hidden_activation": "tanh"}, "Their mean activations of (z + 1)/2 range from"),
        ({"beta": 0, "hidden_activation": "relu"}, "Their mean activations range from"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_how_active_the_units_are_is_said_as_it_was_measured(patches, contents, options, said):
    model = SparseAutoencoder(6, max_iter=20, random_state=0, **options).fit(patches)
    text = contents(sparsam.report(model, patches)).text
    mean = model.mean_activation_
    assert f"{said} {mean.min():.3g} to {mean.max():.3g}, with median {np.median(mean):.3g}." in text
    assert "seldom" not in text


def test_a_training_cut_short_is_a_warning_with_a_cure(page):
    assert "Warning. The training has not converged" in page.text
    assert "max_iter" in page.text


def changed(autoencoder, W, b):
    """Copy the model with other weights to the hidden units."""
    model = copy.deepcopy(autoencoder)
    model.coefs_[0], model.intercepts_[0] = W.astype(np.float32), b.astype(np.float32)
    return model


def test_constant_units_are_unmasked(autoencoder, patches, contents):
    model = changed(autoencoder, np.zeros((16, 6)), np.full(6, np.log(0.2 / 0.8)))
    model.mean_activation_ = np.full(6, 0.2, np.float32)
    text = contents(sparsam.report(model, patches)).text
    assert "agree with rho = 0.2 only because every unit is constant" in text
    assert "All 6 units are dead" in text


def test_a_saturated_unit_is_named(autoencoder, patches, contents):
    b = autoencoder.intercepts_[0].astype(float)
    b[3] = 50.0
    text = contents(sparsam.report(changed(autoencoder, autoencoder.coefs_[0], b), patches)).text
    assert "1 of 6 units is saturated (number 3)." in text


def test_data_outside_of_the_outputs_range_are_a_warning(autoencoder, patches, contents):
    assert "outside [0, 1]" not in contents(sparsam.report(autoencoder, patches)).text
    assert "outside [0, 1]" in contents(sparsam.report(autoencoder, patches * 3 - 1)).text


@pytest.mark.parametrize("excess", [2.3e-16, 1e-7, 0.9e-6, 1.1e-6, 1e-3])
@pytest.mark.parametrize("end", [0, 1])
def test_the_report_allows_the_rounding_that_a_fit_allows(patches, excess, end):
    X = patches.copy()
    X[3, 5] = 1 + excess if end else -excess
    try:
        SparseAutoencoder(2, rho=0.2, max_iter=1, tol=1.0, random_state=0).fit(X)
        refused = False
    except ValueError:
        refused = True
    assert refused == (excess > 1e-6)
    assert [finding.kind for finding in diagnose_inputs(X, "logistic")] == (["warning"] if refused else [])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Not converged")
def test_rows_that_are_no_pictures_are_lines(contents):
    X = np.random.default_rng(0).normal(size=(100, 7))
    model = SparseAutoencoder(
        3, beta=0, hidden_activation="relu", output_activation="identity", max_iter=20, random_state=0
    ).fit(X)
    page = contents(sparsam.report(model, X))
    assert "nearest Gabor function" not in page.text
    assert "There is no sparsity penalty" in page.text
    assert "seldom" not in page.text
    assert [a["value"] for a in page.all("option")] == ["number", "activity", "loss"]


@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_tables_are_taken_with_their_names(patches, contents, monkeypatch):
    table = pd.DataFrame(patches, columns=[f"pixel {k}" for k in range(16)])
    model = SparseAutoencoder(2, rho=0.2, tol=0.1, random_state=0).fit(table)
    for most in (10_000, 100):
        monkeypatch.setattr("sparsam.reports.autoencoder.MOST_ROWS", most)
        assert len(contents(sparsam.report(model, table)).all("article")) == 2


def test_of_many_rows_some_are_drawn(autoencoder, patches, monkeypatch, contents):
    monkeypatch.setattr("sparsam.reports.autoencoder.MOST_ROWS", 100)
    for rows in (patches, patches.tolist()):
        assert "This page uses 100 random rows of 300." in contents(sparsam.report(autoencoder, rows)).text


def test_a_network_that_explains_nothing_is_not_called_a_minimum_and_no_more(patches, contents):
    model = SparseAutoencoder(6, rho=0.2, alpha=1e-1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="under 1 %") as caught:
        model.fit(patches)
    text = contents(sparsam.report(model, patches)).text
    assert model.stop_reason_ == "converged"
    assert "this is a minimum of J" not in text
    assert "similar to a Gabor function (R" not in text
    assert str(caught[0].message) in text


def test_a_share_that_rounds_to_zero_has_no_sign():
    X = np.array([[0.0], [1.0]])  # the variance is 1/4, and half of it an error of the mean
    assert _format_explained_variance(0.125 * (1 + 1e-6), X) == "0.0 %"
    assert _format_explained_variance(0.125 * 1.1, X) == "-10.0 %"
