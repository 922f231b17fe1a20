"""Plots of the benchmarks: no label lies over another one or over a curve."""

from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

from benchmarks.records import Records
from benchmarks.report.plots import draw_race, draw_scaling

RECORDS = Path(__file__).parents[2] / "benchmarks" / "results.jsonl"


@pytest.fixture(params=["notes", "mnist", "scaling"])
def figure(request):
    if not RECORDS.exists():
        pytest.skip(f"no records of measured runs: {RECORDS}")
    records = Records(RECORDS)
    figure = draw_scaling(records) if request.param == "scaling" else draw_race(records, request.param)
    figure.canvas.draw()
    yield figure
    plt.close(figure)


def labels(figure):
    """Texts that are drawn, with their boxes; ticks beyond the ends of an axis are not."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            least, most = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {tick.label1 for tick in ticks if not least <= tick.get_loc() <= most}
            hidden |= {tick.label2 for tick in ticks}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in hidden]
    return [(text.get_text(), text.get_window_extent()) for text in texts]


def test_labels_do_not_overlap(figure):
    found = labels(figure)
    assert len(found) > 10
    assert [(one, other) for (one, a), (other, b) in combinations(found, 2) if a.overlaps(b)] == []


def test_labels_do_not_lie_on_curves(figure):
    found = labels(figure)
    crossed = []
    for axes in figure.axes:
        inside = [(text, box) for text, box in found if axes.bbox.overlaps(box)]
        for line in axes.lines:
            curve = line.get_path().transformed(line.get_transform())
            crossed += [text for text, box in inside if curve.intersects_bbox(box, filled=False)]
    assert crossed == []


def test_labels_end_within_the_figure(figure):
    beyond = [text for text, box in labels(figure) if not (box.x0 >= 0 and box.x1 <= figure.bbox.x1)]
    assert beyond == []
