"""Cost curves: every value is drawn at its place, for any history."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from sparsam.display import plot_cost_curve

pytestmark = pytest.mark.slow


@pytest.fixture
def history():
    k = np.arange(40)
    terms = {
        "squared_error": 0.4 + 8 * np.exp(-k / 4),
        "weight_decay": 0.06 * (1 - np.exp(-k / 20)) + 1e-4,
        "sparsity": 30 * np.exp(-k / 6) + 0.02,
    }
    return pd.DataFrame(
        {"iteration": k, "evaluations": 2 * k + 1, "seconds": 0.01 * k, "J": sum(terms.values())}
        | terms
        | {"gradient_norm": np.exp(-k / 10.0)}
    )


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(ax):
    """Return the lines by their labels in the legend."""
    ax.figure.figure.canvas.draw()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    return dict(zip(texts, ax.lines, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("x", ["iteration", "evaluations", "seconds"])
@pytest.mark.parametrize("kind", [lambda frame: frame, dict, lambda frame: frame.to_dict("list")])
def test_every_term_is_drawn_against_x(history, x, kind):
    ax = plot_cost_curve(kind(history), x=x)
    lines = drawn(ax)
    names = ["$J$", "squared error", "weight decay", "sparsity"]
    assert [label.split("\n")[0] for label in lines] == names
    for line, column in zip(ax.lines, ["J", "squared_error", "weight_decay", "sparsity"], strict=True):
        assert_array_equal(line.get_xdata(), history[x])  # starts at 0
        assert_array_equal(line.get_ydata(), history[column])
    assert ax.get_yscale() == "log"
    assert {"iteration": "iteration", "evaluations": "evaluations", "seconds": "time / s"}[x] in ax.get_xlabel()
    assert "$J$" in ax.get_ylabel()


def test_time_begins_with_the_training_that_is_drawn(history):
    later = history.assign(seconds=history["seconds"] + 100)  # after trainings in folds
    assert_allclose(plot_cost_curve(later, x="seconds").lines[0].get_xdata(), history["seconds"], atol=1e-9)


def test_x_is_iteration_by_default(history):
    assert_array_equal(plot_cost_curve(history).lines[0].get_xdata(), history["iteration"])


def test_only_the_columns_that_are_needed(history):
    ax = plot_cost_curve(history[["evaluations", "J"]], x="evaluations")
    assert len(ax.lines) == 1
    assert ax.get_ylabel() == "$J$"


def test_lines_differ_by_color_and_by_dashes(history):
    many = history.assign(tangent_propagation=1.0, first_other=2.0, second_other=3.0)
    lines = plot_cost_curve(many).lines
    assert len({line.get_color() for line in lines}) == len(lines) == 7
    assert len({str(line._dash_pattern) for line in lines}) == len(lines)


def test_a_term_keeps_its_look_without_the_others(history):
    full = drawn(plot_cost_curve(history))
    part = drawn(plot_cost_curve(history.drop(columns=["squared_error", "weight_decay"])))
    (label,) = [label for label in part if label.startswith("sparsity")]
    assert part[label].get_color() == full[label].get_color()


def test_term_of_zeros_is_in_the_legend_only(history):
    ax = plot_cost_curve(history.assign(sparsity=0.0))
    *_, (label, line) = drawn(ax).items()
    assert label.endswith("= 0")
    assert not np.isfinite(line.get_ydata()).any()
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[0] > 1e-5


def test_zeros_and_values_that_are_not_finite_leave_gaps(history):
    history = history.astype(float)
    history.loc[0, "weight_decay"] = 0.0
    history.loc[[5, 6], "J"] = np.nan, np.inf
    ax = plot_cost_curve(history)
    ax.figure.canvas.draw()
    assert_array_equal(np.flatnonzero(~np.isfinite(ax.lines[0].get_ydata())), [5, 6])
    assert_array_equal(np.flatnonzero(~np.isfinite(ax.lines[2].get_ydata())), [0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_nothing_to_draw_at_all(value):
    ax = plot_cost_curve({"iteration": [0, 1], "J": [value, value]})
    (label,) = drawn(ax)
    assert label == ("$J$ = 0" if value == 0 else "$J$ (not finite)")


def test_negative_values_need_a_linear_axis(history):
    ax = plot_cost_curve(history.assign(J=history["J"] - 1))
    assert ax.get_yscale() == "linear"
    assert_array_equal(ax.lines[0].get_ydata(), history["J"] - 1)


@pytest.mark.parametrize("x", ["iteration", "seconds"])
def test_single_row_is_visible(history, x):
    ax = plot_cost_curve(history[:1], x=x)
    ax.figure.canvas.draw()
    assert all(line.get_marker() == "o" for line in ax.lines)
    lower, upper = ax.get_xlim()
    assert lower < history[x][0] < upper


def test_iterations_are_marked_by_whole_numbers(history):
    for rows in (1, 2, 3, 40):
        ax = plot_cost_curve(history[:rows])
        ticks = ax.get_xticks()
        assert_array_equal(ticks, np.round(ticks))


def test_names_that_matplotlib_would_take_for_markup(history):
    ax = plot_cost_curve(history.assign(**{"_hidden": 1.0, "cost_in_$": 2.0, "$a_b": 3.0}))
    assert list(drawn(ax))[-3:] == ["hidden", r"cost in \$", r"\$a b"]


def test_legend_covers_no_curve_in_a_new_figure(history):
    ax = plot_cost_curve(history)
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= ax.bbox.x1
    assert legend.x1 <= ax.figure.bbox.x1
    assert legend.y0 >= 0


def test_given_axes_are_used(history):
    figure, (left, right) = plt.subplots(1, 2)
    assert plot_cost_curve(history, ax=right) is right
    assert len(right.lines) == 4
    assert not left.lines
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()
    legend = right.get_legend().get_window_extent()
    assert right.bbox.x0 <= legend.x0 < legend.x1 <= right.bbox.x1


def test_saved_at_the_resolution_of_print_and_shown_afterwards(history, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append((tmp_path / "a.png").exists()))
    plot_cost_curve(history, save=tmp_path / "a.png", show=True)
    assert shown == [True]
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 1800
        assert image.info["dpi"] == pytest.approx((300, 300), rel=0.01)
    plot_cost_curve(history, save=tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (
            lambda h: h,
            {"x": "epoch"},
            ValueError,
            "x must be one of iteration, evaluations, seconds; got 'epoch'",
        ),
        (lambda h: h, {"save": "a.doc"}, ValueError, "a.doc"),
        (lambda h: h, {"ax": "here"}, TypeError, "Axes"),
        (lambda h: h.drop(columns="J"), {}, ValueError, 'no column "J"; it has iteration'),
        (lambda h: h.drop(columns="seconds"), {"x": "seconds"}, ValueError, 'no column "seconds"'),
        (lambda h: h[:0], {}, ValueError, "no rows"),
        (lambda h: h.assign(note="good"), {}, ValueError, 'column "note".*not numeric.*drop it'),
        (lambda h: {"J": [1.0, 2.0], "iteration": [1]}, {}, ValueError, r"different lengths: \[1, 2\]"),
        (lambda h: [1.0, 2.0], {}, TypeError, "DataFrame or a dict"),
    ],
)
def test_errors_name_cause_and_cure_and_leave_no_figure(history, change, options, error, message):
    with pytest.raises(error, match=message):
        plot_cost_curve(change(history), **options)
    assert plt.get_fignums() == []
