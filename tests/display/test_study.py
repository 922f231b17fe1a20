"""The page of a study shows every setting at its place with its numbers, for any axes."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sparsam.display import filter_mosaic, plot_study
from sparsam.display.study_layout import Headers, arrange

LENGTHS = [(1,), (7,), (2, 5), (4, 4), (3, 2, 4), (2, 2, 3, 4), (2, 2, 2, 2, 2), (1, 3, 1)]


def job(lengths, seeds=(0,)):
    rng = np.random.default_rng(0)
    names = ("rho", "alpha", "n_components", "beta", "max_iter")
    axes = {name: [10.0**-k for k in range(length)] for name, length in zip(names, lengths, strict=False)}
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    table = pd.DataFrame([{**values, "seed": seed} for values in combinations for seed in seeds])
    table["quality"], table["held_out_error"] = rng.random((2, len(table)))
    return table, rng.normal(size=(len(table), 4, 16)), axes


@pytest.fixture
def draw():
    figures = []

    def draw(*args, **options):
        figures.append(plot_study(*args, **options))
        return figures[-1]

    yield draw
    for figure in figures:
        plt.close(figure)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_every_setting_has_a_cell_of_its_own_on_the_page(draw, lengths):
    table, filters, axes = job(lengths)
    figure = draw(table, filters, axes)
    assert len(figure.axes) == len(table)
    boxes = [cell.get_position() for cell in figure.axes]
    for box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert max(box.x1, box.y1) <= 1 + 1e-9
    for one, other in itertools.combinations(boxes, 2):
        assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
    shown = {cell.images[0].get_array().tobytes() for cell in figure.axes}
    assert shown == {filter_mosaic(A, border_color="white").tobytes() for A in filters}


@pytest.mark.parametrize("lengths", LENGTHS)
def test_texts_keep_apart_and_on_the_page(draw, lengths):
    figure = draw(*job(lengths))
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.texts]
    boxes += [cell.get_window_extent() for cell in figure.axes]
    for one, other in itertools.combinations(boxes, 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(width, height) < 1.5  # pixels
    assert all(box.x0 > -2 and box.x1 < figure.bbox.x1 + 2 for box in boxes)


def test_a_cell_is_where_its_labels_say(draw):
    table, filters, axes = job((2, 3))
    figure = draw(table, filters, axes, rows="rho")
    places = {
        tuple(values): cell.get_position() for values, cell in zip(table[list(axes)].values, figure.axes, strict=True)
    }
    labels = {text.get_text(): text.get_position() for text in figure.texts}
    for (rho, alpha), box in places.items():
        x, _ = labels[r"$\alpha$ = " + f"{alpha:g}"]
        _, y = labels[r"$\rho$ = " + f"{rho:g}"]
        assert box.x0 < x < box.x1
        assert box.y0 < y < box.y1


def test_of_several_seeds_the_first_is_drawn_and_numbers_are_means(draw):
    table, filters, axes = job((2, 2), seeds=(4, 7, 9))
    figure = draw(table, filters, axes)
    means = table.groupby(list(axes), sort=False)[["quality", "held_out_error"]].mean()
    captions = [text.get_text() for text in figure.texts if "\N{MIDDLE DOT}" in text.get_text()]
    for quality, error in means.itertuples(index=False):
        assert any(caption.startswith(f"{quality:.2f}") and caption.endswith(f"{error:.3g}") for caption in captions)
    assert "Filters: seed 4; numbers: means over 3 seeds" in " ".join(text.get_text() for text in figure.texts)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), filter_mosaic(filters[0], border_color="white"))


def test_what_is_missing_is_said(draw):
    table, filters, axes = job((2, 2))
    figure = draw(table[:3], [filters[0], None, filters[2]], axes, numbers=("quality", "unknown"))
    words = [text.get_text() for cell in figure.axes for text in cell.texts]
    assert words == ["not finite", "not done"]


def test_a_weak_fit_has_no_quality_and_the_page_says_why(draw):
    table, filters, axes = job((2, 2))
    table["weakness"] = ["unexplained", np.nan, np.nan, np.nan]
    table.loc[0, "quality"] = np.nan
    words = [text.get_text() for text in draw(table, filters, axes).texts]
    assert f"\N{EN DASH}  \N{MIDDLE DOT}  {table.held_out_error[0]:.3g}" in words
    assert "not counted, because the network explains under 1 % of the variance" in " ".join(words)
    table["quality"], table["weakness"] = np.nan, "uninformative"  # and where no setting has one
    assert "not counted, because the network" in " ".join(text.get_text() for text in draw(table, filters, axes).texts)


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_it_is_saved(draw, tmp_path, suffix):
    draw(*job((2, 2)), save=tmp_path / f"page.{suffix}")
    if suffix == "png":
        with Image.open(tmp_path / "page.png") as image:
            assert image.width > 600


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axes": {"gamma": [1]}}, "no column for the axis gamma"),
        ({"axes": {"rho": []}}, "no values"),
        ({"rows": "gamma"}, "rows = 'gamma' is not an axis; use one of rho, alpha"),
        ({"rows": "rho", "columns": "rho"}, "both rho"),
        ({"filters": []}, "one entry per row of the table, 4; got 0"),
        ({"filters": [None] * 4}, "no filters"),
        ({"save": "page.unknown"}, "suffix"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message):
    table, filters, axes = job((2, 2))
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message):
        plot_study(**{"table": table, "filters": filters, "axes": axes} | changes)
    assert plt.get_fignums() == before


@pytest.mark.parametrize("panels", [1, 2, 3, 5, 12, (2, 3)])
@pytest.mark.parametrize("cells", [(1, 1), (2, 5), (4, 4)])
def test_panels_have_room_and_the_page_is_kept_where_it_can_be(panels, cells):
    layout = arrange(panels, cells, headers=Headers(panels=True, rows=True), caption_lines=1, footer=0.4)
    assert layout.panels[0] * layout.panels[1] >= (panels if isinstance(panels, int) else 6)
    x, y = layout.corner((layout.panels[0] - 1, layout.panels[1] - 1), cells[0] - 1, cells[1] - 1)
    assert x + layout.cell == pytest.approx(layout.width)
    assert y + layout.cell < layout.height
    assert (layout.width <= 7.2 + 1e-9 and layout.height <= 9.3 + 1e-9) or layout.cell == pytest.approx(0.62)
