"""The frontier has a curve per study and setting, with means over seeds, in the order of beta, marked along it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sparsam.display import plot_frontier

BETAS = (0.1, 0.2, 0.4, 0.8)


def study(active=(40.0, 20.0, 8.0, 2.0), explained=(0.95, 0.85, 0.7, 0.4), seeds=1, **parameters):
    rows = [
        {
            **parameters,
            "beta": beta,
            "seed": seed,
            "J": 1.0,
            "held_out_active": a + seed,
            "held_out_explained_variance": e,
        }
        for beta, a, e in zip(BETAS, active, explained, strict=True)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def marks(ax):
    return [text.get_text() for text in ax.texts]


def test_the_points_are_the_settings_in_the_order_of_beta():
    ax = plot_frontier(study().sample(frac=1, random_state=0))
    [line] = ax.lines
    assert line.get_xydata().tolist() == [[40.0, 0.95], [20.0, 0.85], [8.0, 0.7], [2.0, 0.4]]
    assert marks(ax) == [r"$\beta$ = 0.1", "0.2", "0.4", "0.8"]
    assert "L_0" in ax.get_xlabel()
    assert ax.get_ylabel() == "explained variance of held-out rows"
    assert ax.get_legend() is None
    assert ax.get_xscale() == "log"


def test_seeds_are_averaged_and_shown():
    ax = plot_frontier(study(seeds=3))
    means, fits = ax.lines
    assert means.get_xdata().tolist() == [41.0, 21.0, 9.0, 3.0]
    assert len(fits.get_xdata()) == 12


def test_two_studies_lie_over_each_other():
    lower = study(explained=(0.9, 0.8, 0.6, 0.3))
    ax = plot_frontier({"many units": study(), "few units, 5 $": lower})
    one, other = ax.lines
    assert (one.get_ydata() > other.get_ydata()).all()
    assert one.get_color() != other.get_color()
    assert one.get_marker() != other.get_marker()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["many units", r"few units, 5 \$"]
    assert len(marks(ax)) == 8


def test_other_parameters_that_vary_are_other_curves():
    table = pd.concat(
        [study(n_components=50, tol=1e-5), study(explained=(0.9, 0.8, 0.6, 0.3), n_components=100, tol=1e-5)]
    )
    ax = plot_frontier(table)
    assert [line.get_label() for line in ax.lines] == ["n components = 50", "n components = 100"]


def test_labels_do_not_crowd():
    ax = plot_frontier(study(active=(40.0, 39.9, 39.8, 2.0), explained=(0.95, 0.949, 0.948, 0.4)))
    assert marks(ax) == [r"$\beta$ = 0.1", "0.8"]


def test_another_parameter_may_vary_along_the_curve():
    ax = plot_frontier(study().rename(columns={"beta": "rho"}), along="rho")
    assert marks(ax)[0] == r"$\rho$ = 0.1"


def test_the_default_has_its_place_among_the_others():
    ax = plot_frontier(study().assign(beta=[0.1, np.nan, 0.4, 0.8]))
    assert ax.lines[0].get_xdata().tolist() == [40.0, 20.0, 8.0, 2.0]
    assert marks(ax) == [r"$\beta$ = 0.1", "default", "0.4", "0.8"]


def test_a_dead_code_and_fits_that_failed_are_drawn_or_left_out():
    table = study(active=(40.0, 20.0, 8.0, 0.0), explained=(0.95, 0.85, np.nan, 0.0))
    ax = plot_frontier(table)
    assert ax.get_xscale() == "linear"  # a logarithm has no 0
    assert ax.lines[0].get_xdata().tolist() == [40.0, 20.0, 0.0]


def test_given_axes_and_a_file(tmp_path):
    _, ax = plt.subplots()
    assert plot_frontier(study(), ax=ax, save=tmp_path / "frontier.png") is ax
    with Image.open(tmp_path / "frontier.png") as picture:
        assert picture.width > 1000


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(ValueError, match="no held_out_active: pass parameter_study held_out"):
        plot_frontier(study().assign(held_out_active=np.nan))
    with pytest.raises(ValueError, match="mine has no column held_out_explained_variance"):
        plot_frontier({"mine": study().drop(columns="held_out_explained_variance")})
    with pytest.raises(ValueError, match="no column rho"):
        plot_frontier(study(), along="rho")
    with pytest.raises(TypeError, match="DataFrame"):
        plot_frontier([1, 2])
    with pytest.raises(ValueError, match="suffix"):
        plot_frontier(study(), save="frontier.doc")
    assert plt.get_fignums() == []
