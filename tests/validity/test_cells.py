"""Cells: draws that depend only on name and number, limits, resumed runs, the page."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.records import Records
from benchmarks.validity import run as module
from benchmarks.validity.cells import Cell, Subject
from benchmarks.validity.limits import contradicts, level_of_each, mean_limits
from benchmarks.validity.report import report, verdict
from benchmarks.validity.run import recorded, run


def tossed(rng, probability=0.5):
    return {"heads": rng.random() < probability, "height": rng.normal()}


def cell(name="a coin", **parameters):
    return Cell(name, "a fair coin", tossed, {"heads": (0.4, 0.6)}, **parameters)


def test_a_draw_depends_on_the_name_and_the_number_alone():
    outcomes = cell().outcomes(20)
    assert outcomes["height"][7] == cell().outcome(7)["height"]
    assert len(set(outcomes["height"])) == 20
    assert not set(outcomes["height"]) & set(cell("another coin").outcomes(20)["height"])


def test_a_draw_that_fails_says_which():
    with pytest.raises(ZeroDivisionError) as raised:
        Cell("broken", "", lambda rng: {"x": 1 / 0}, {}).outcome(3)
    assert raised.value.__notes__ == ["in draw 3 of 'broken'"]


@pytest.mark.parametrize("n_events", [0, 1, 5, 20])
def test_limits_of_a_rate_are_where_the_binomial_tails_are_half_of_what_is_left(n_events):
    """Clopper and Pearson's definition."""
    low, high = mean_limits([1.0] * n_events + [0.0] * (20 - n_events), 0.99)
    assert low == 0 if n_events == 0 else binom.sf(n_events - 1, 20, low) == pytest.approx(0.005, rel=1e-6)
    assert high == 1 if n_events == 20 else binom.cdf(n_events, 20, high) == pytest.approx(0.005, rel=1e-6)


def test_limits_of_other_numbers_are_students():
    values = [0.2, 0.4, 0.9]
    low, high = mean_limits(values, 0.95)
    assert (low + high) / 2 == pytest.approx(0.5)
    assert (high - low) / 2 == pytest.approx(4.302652729911275 * np.std(values, ddof=1) / np.sqrt(3))  # t of 2
    assert mean_limits([0.5], 0.95) == (-np.inf, np.inf)


def test_a_family_shares_what_may_be_wrong():
    assert level_of_each(10) == pytest.approx(0.999)
    assert level_of_each(0) == pytest.approx(0.99)


def test_a_claim_is_met_undecided_or_contradicted():
    def rate(n_events):
        return [1.0] * n_events + [0.0] * (100 - n_events)

    assert verdict(rate(5), (0.03, 0.07), 0.99) == "met"
    assert verdict(rate(9), (0.03, 0.07), 0.99) == "undecided"
    assert verdict(rate(20), (0.03, 0.07), 0.99) == "contradicted"
    assert contradicts(rate(20), (0.03, 0.07))
    assert not contradicts(rate(9), (0.03, 0.07))


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", iter(range(10**6)).__next__)
    monkeypatch.setattr(module, "SAVE_EVERY", 3.0)  # ticks of this clock: three draws a record
    whole, path = Records(tmp_path / "whole.jsonl"), tmp_path / "parts.jsonl"
    run(cell(), whole, 8, "a")
    run(cell(), Records(path), 3, "a")
    path.write_bytes(path.read_bytes() + b'{"key": "a coin/3", "sec')  # killed as it wrote
    run(cell(), Records(path), 8, "b")
    parts = Records(path)
    assert len(parts.of("a coin")) > 2
    assert recorded(parts, cell()) == recorded(whole, cell()) == cell().outcomes(8)
    run(cell(), parts, 8, "c")
    assert {row["revision"] for row in parts.rows.values()} == {"a", "b"}


def test_the_page_has_a_row_for_each_number(tmp_path):
    records = Records(tmp_path / "validity.jsonl")
    done, waiting = cell(), cell("not drawn yet")
    run(done, records, 40, "abc")
    page = report([Subject("Coins", "About them.", [done, waiting]), Subject("Nothing yet", "", [])], records)
    heads = np.mean(done.outcomes(40)["heads"])
    assert f"| a coin | a fair coin | heads | 40 | {heads:.3f} |" in page
    assert "| 0.4 to 0.6 | met |" in page
    assert page.count("| a coin |") == 2
    assert "not drawn yet" not in page
    assert "Nothing yet" not in page
    assert "Revisions of the library: abc." in page
