"""Plots of tangents and of invariance."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sparsam.display import plot_invariance, plot_tangents


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def report():
    rows = [
        {"estimator": name, "transform": transform, "amount": amount, "change": abs(amount) * factor, "same": 1.0}
        for name, factor in (("plain", 2.0), ("tangents", 1.0))
        for transform in ("rotate", "scale", "translate_x", "twist")
        for amount in (-1.0, 0.0, 1.0)
    ]
    return pd.DataFrame(rows)


def test_every_image_has_its_tangents_beside_it(tmp_path):
    rng = np.random.default_rng(0)
    X, tangents = rng.uniform(size=(10, 12)), rng.normal(size=(10, 2, 12))
    figure = plot_tangents(X, tangents, (3, 4), names=["translate_x", "rotate"], save=tmp_path / "tangents.png")
    assert (tmp_path / "tangents.png").stat().st_size > 1000
    assert len(figure.axes) == 8 * 3
    assert [ax.get_title() for ax in figure.axes[:3]] == ["image", "translate x", "rotate"]
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), tangents[1, 0].reshape(3, 4))
    top = np.abs(tangents[:8, 0]).max()
    assert figure.axes[1].images[0].get_clim() == (-top, top)


def test_color_images_and_blank_ones_are_drawn():
    figure = plot_tangents(np.ones((1, 12)), np.zeros((1, 1, 12)), (2, 2, 3))
    assert figure.axes[0].images[0].get_array().shape == (2, 2, 3)
    assert figure.axes[1].images[0].get_array().shape == (2, 2)


@pytest.mark.parametrize(
    ("X", "tangents", "names", "match"),
    [
        (np.ones((2, 11)), np.ones((2, 1, 12)), None, r"X must be \(n_samples, 12\)"),
        (np.ones((2, 12)), np.ones((3, 1, 12)), None, "n_tangents, 12"),
        (np.ones((2, 12)), np.ones((2, 12)), None, "n_tangents, 12"),
        (np.ones((2, 12)), np.ones((2, 1, 12)), ["a", "b"], "2 names for 1 tangents"),
    ],
)
def test_shapes_that_do_not_fit_are_named(X, tangents, names, match):
    with pytest.raises(ValueError, match=match):
        plot_tangents(X, tangents, (3, 4), names=names)


def test_a_curve_for_each_estimator_in_axes_for_each_transform(report, tmp_path):
    figure = plot_invariance(report, save=tmp_path / "invariance.pdf")
    assert (tmp_path / "invariance.pdf").stat().st_size > 1000
    drawn = [ax for ax in figure.axes if ax.lines]
    assert [ax.get_title() for ax in drawn] == ["rotate", "scale", "translate x", "twist"]
    assert drawn[0].get_xlabel() == "radians"
    for line, factor in zip(drawn[1].lines, (2, 1), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), [[-1, factor], [0, 0], [1, factor]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["plain", "tangents"]


def test_another_quantity_must_be_in_the_report(report):
    figure = plot_invariance(report[report["estimator"] == "plain"], quantity="same")
    assert not figure.legends
    for quantity in ("score", "amount"):
        with pytest.raises(ValueError, match=r"quantity must be one of the report's columns \['change', 'same'\]"):
            plot_invariance(report, quantity=quantity)
