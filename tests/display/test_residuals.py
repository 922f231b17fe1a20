"""Plots of residuals: pairs, ellipses, correlations."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sparsam.display import plot_likelihood_profile, plot_residuals, plot_tangents
from sparsam.estimators._labels.likelihood_profile import LikelihoodProfile

C = np.array([[1.0, 0.8, -0.2], [0.8, 1.0, 0.1], [-0.2, 0.1, 4.0]])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def residuals():
    return np.random.default_rng(0).multivariate_normal(np.zeros(3), C, size=4000)


def test_the_ellipses_hold_the_shares_they_claim(residuals):
    figure = plot_residuals(residuals, C)
    axes = figure.axes[0]
    from matplotlib.path import Path

    for line, share in zip(axes.lines[:2], (0.5, 0.95), strict=True):
        inside = Path(line.get_xydata()).contains_points(residuals[:, :2])
        assert np.mean(inside) == pytest.approx(share, abs=0.02)


def test_every_pair_and_the_correlations_are_drawn(residuals, tmp_path):
    figure = plot_residuals(residuals, C, names=["a", "b", "c"], save=tmp_path / "residuals.png")
    assert (tmp_path / "residuals.png").stat().st_size > 10_000
    labels = {(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes}
    assert ("a", "c") in labels
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"1.00", "0.80", "\N{MINUS SIGN}0.10"} <= texts


def test_long_names_have_lines_and_no_label_is_cut_or_meets_another(residuals, tmp_path):
    names = ["blood glucose (mmol/l)", "systolic_blood_pressure", "a very long name of an output / kg"]
    figure = plot_residuals(residuals, C, names=names, save=tmp_path / "residuals.png")
    figure.draw_without_rendering()
    labels = [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label, axes.title)]
    labels += [*figure.axes[-1].get_xticklabels(), *figure.axes[-1].get_yticklabels()]
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    inside = figure.bbox.padded(1)
    assert len(boxes) > 8
    assert all(inside.contains(*corner) for box in boxes for corner in box.corners())
    below = [axes.xaxis.label.get_window_extent() for axes in figure.axes if axes.get_xlabel()]
    assert below[0].x1 < below[1].x0


def test_of_one_output_a_histogram_and_of_many_the_correlations_alone(residuals):
    assert len(plot_residuals(residuals[:, :1], C[:1, :1]).axes) == 1
    many = np.random.default_rng(0).normal(size=(50, 40))
    figure = plot_residuals(many, np.cov(many.T))
    assert len(figure.axes) == 1
    assert len(figure.axes[0].child_axes) == 1  # its color bar
    some = np.where(np.random.default_rng(0).random(residuals.shape) < 0.3, np.nan, residuals)
    plot_residuals(some, C)


def test_shapes_that_do_not_fit_are_refused(residuals):
    with pytest.raises(ValueError, match=r"covariance must have the shape \(3, 3\) of the residuals, got \(2, 2\)"):
        plot_residuals(residuals, np.eye(2))
    with pytest.raises(ValueError, match="names must hold 3 names, one per output, got 1"):
        plot_residuals(residuals, C, names=["a"])
    with pytest.raises(ValueError, match="suffix"):
        plot_residuals(residuals, C, save="picture.docx")


def test_the_likelihood_profile_shows_the_curve_and_the_interval(tmp_path):
    epsilon = np.linspace(0, 0.5, 501)
    profile = LikelihoodProfile(epsilon, -((epsilon - 0.2) ** 2), 1000, gain=40.0)
    axes = plot_likelihood_profile(profile, save=tmp_path / "profile.png")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "95 %: 0.156 to 0.244",
        r"$\hat\epsilon$ = 0.200",
    ]
    with pytest.raises(TypeError, match="epsilon='estimate'"):
        plot_likelihood_profile(None)


def test_positive_numbers_are_red_and_negative_ones_blue_in_every_picture():
    """Matplotlib and the report use exactly the same colors."""
    pytest.importorskip("altair")
    from sparsam.reports.charts import heatmap

    image = next(axes.images[0] for axes in plot_residuals(np.zeros((5, 3)), C).axes if axes.images)
    negative, positive = (np.rint(255 * np.array(image.to_rgba(value)[:3])) for value in (-1.0, 1.0))
    assert negative[2] > 2 * negative[0]
    assert positive[0] > 2 * positive[2]
    spec = heatmap(np.eye(3), list("abc"), rows=None, columns=None, signed=True, description="")
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == sorted(scale["domain"])
    assert (scale["domain"][0], scale["domain"][-1]) == (-1, 1)
    for color, expected in ((scale["range"][0], negative), (scale["range"][-1], positive)):
        np.testing.assert_array_equal([int(color[k : k + 2], 16) for k in (1, 3, 5)], expected)
    tangents = plot_tangents(np.zeros((1, 4)), np.array([[[-1.0, 1.0, 0.0, 0.0]]]), (2, 2)).axes[1].images[0]
    np.testing.assert_allclose(tangents.to_rgba([-1.0, 1.0]), image.to_rgba([-1.0, 1.0]))
