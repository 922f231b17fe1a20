"""``sparsam anomalies``: rows of a raw table, ranked, with the columns that tell."""

import json

import numpy as np
import pandas as pd
import pytest

from sparsam.io.pipelines import load_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_factors")]

SPEED = {"van": 70.0, "truck": 55.0}


@pytest.fixture(scope="module")
def trips(tmp_path_factory):
    """Return the path of a table of trips, in which three rows have a wrong value, and the table."""
    rng = np.random.default_rng(3)
    n = 200
    km = rng.gamma(3, 100, n)
    vehicle = rng.choice(list(SPEED), size=n)
    hours = km / np.array([SPEED[name] for name in vehicle]) * np.exp(0.05 * rng.normal(size=n))
    liters = km * np.where(vehicle == "van", 0.09, 0.28) * np.exp(0.05 * rng.normal(size=n))
    table = pd.DataFrame(
        {"order": [f"A{k:04d}" for k in range(n)], "km": km, "vehicle": vehicle, "hours": hours, "liters": liters}
    )
    table.loc[17, "hours"] *= 4
    table.loc[33, "vehicle"] = "van" if table.loc[33, "vehicle"] == "truck" else "truck"
    table.loc[50, "km"] = 5 * table["km"].mean()
    table.loc[5, "km"] = None
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    table.to_csv(path, index=False)
    return path, table


@pytest.fixture(scope="module")
def ranked(run, trips):
    folder = trips[0].parent
    result = run("anomalies", trips[0], "-o", folder / "ranked.csv", "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder, pd.read_csv(folder / "ranked.csv")


def test_rows_with_a_wrong_value_come_first_with_the_column_and_what_was_expected(trips, ranked):
    _, table = trips
    _, rows = ranked
    assert len(rows) == len(table)
    assert sorted(rows["row"]) == list(range(len(table)))
    assert rows["error"].is_monotonic_decreasing
    assert {17, 33, 50} <= set(rows["row"][:6])
    assert rows["outlier"][:2].all()
    by_row = rows.set_index("row")
    wrong = {17: ("hours", table["hours"][17] / 4), 50: ("km", table["hours"][50] * SPEED[table["vehicle"][50]])}
    for row, (column, true) in wrong.items():
        assert by_row.loc[row, "column_1"] == column
        assert float(by_row.loc[row, "value_1"]) == pytest.approx(table.loc[row, column])
        assert abs(float(by_row.loc[row, "expected_1"]) - true) < table[column].std() / 2
    names = by_row.loc[33, ["column_1", "column_2", "column_3"]].tolist()
    expected = by_row.loc[33, f"expected_{names.index('vehicle') + 1}"]
    assert {expected, table["vehicle"][33]} == {"van", "truck"}
    for name in ("order", "km", "vehicle"):  # the table itself follows
        assert by_row.loc[17, name] == table.loc[17, name]


def test_the_model_ranks_other_rows_alike(run, trips, ranked):
    _, table = trips
    folder, rows = ranked
    table[["vehicle", "hours", "order", "liters", "km"]][10:40].to_csv(folder / "new.csv", index=False)
    result = run("anomalies", folder / "new.csv", "--model", folder / "run", "-o", folder / "new-ranked.csv")
    assert result.exit_code == 0, result.output
    new = pd.read_csv(folder / "new-ranked.csv")
    assert list(new["order"][:2]) == [order for order in rows["order"] if order in set(new["order"])][:2]
    errors = rows.set_index("order")["error"]
    np.testing.assert_allclose(new["error"], errors[new["order"]], rtol=1e-4)
    named = rows.set_index("order")["column_1"]
    assert new["column_1"][0] == named[new["order"][0]]


def test_metrics_say_what_was_done_and_the_model_is_loaded(ranked):
    folder, rows = ranked
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert metrics["data"]["n_rows"] == len(rows)
    assert metrics["data"]["columns"]["order"].startswith("order: dropped")
    assert metrics["n_outliers"] == int(rows["outlier"].sum()) >= 2
    model = load_pipeline(folder / "run" / "model.skops")
    assert model.pipeline[-1].offset_ == -metrics["threshold"]


def test_the_report_shows_the_rows_and_their_reasons(run, trips, ranked):
    folder, rows = ranked
    result = run("report", folder / "run")
    assert result.exit_code == 0, result.output
    page = (folder / "run" / "report.html").read_text()
    assert f"{int(rows['outlier'].sum())} are beyond the threshold" in page
    first = rows.iloc[0]
    assert f"<strong>{first['column_1']}</strong>" in page
    assert f"expected {first['expected_1']}" in page
    trips[1].head(100).to_csv(folder / "half.csv", index=False)
    result = run("report", folder / "run", "--data", folder / "half.csv", "--out", folder / "half.html")
    assert result.exit_code == 0, result.output
    assert "half.csv has 100 rows, but the run had 200" in (folder / "half.html").read_text()


def test_a_share_of_outliers_is_an_option(run, trips, tmp_path):
    options = ("--contamination", 0.1, "--ignore", "order", "--ignore", "hours", "--validation-fraction", 0.3)
    metrics = run("anomalies", trips[0], *options, "--out", tmp_path / "run", "--json")
    assert metrics.exit_code == 0, metrics.output
    content = json.loads(metrics.stdout)
    assert content["parameters"]["contamination"] == 0.1
    rows = pd.read_csv(tmp_path / "run" / "anomalies.csv")
    assert 0.02 < rows["outlier"].mean() < 0.25
    assert "hours" not in set(rows["column_1"].dropna())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--contamination", "much"), "--contamination much: expected auto, or a share"),
        (("--contamination", 0.9), "contamination must be 'auto' or in (0, 0.5]; got 0.9"),
        (("-o", "ranked.txt"), "expected a name that ends with .csv"),
        (("-o", "none/ranked.csv"), "--ranked none/ranked.csv: there is no folder"),
        (("-o", "{table}", "--overwrite"), "is the table itself: name another file"),
        (("--model", "{run}"), "--model needs a file for the ranked rows"),
        (("--model", "{run}", "--ignore", "km", "-o", "x.csv"), "--ignore applies to training, and cannot be combined"),
        (("--model", "{run}/none", "-o", "x.csv"), "no such file"),
    ],
)
def test_bad_options_are_refused(run, trips, ranked, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    options = [str(option).format(run=ranked[0] / "run", table=trips[0]) for option in options]
    result = run("anomalies", trips[0], *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_category_is_never_its_own_reason(ranked):
    _, rows = ranked
    for k in (1, 2, 3):
        named = rows[rows[f"column_{k}"] == "vehicle"]
        assert (named[f"value_{k}"] != named[f"expected_{k}"]).all()
        assert (rows[f"share_{k}"].dropna() > 0).all()


def test_a_ranked_table_can_be_ranked_again(run, ranked, tmp_path):
    _, rows = ranked
    rows.head(60).to_csv(tmp_path / "again.csv", index=False)
    result = run("anomalies", tmp_path / "again.csv", "-o", tmp_path / "twice.csv", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    header = (tmp_path / "twice.csv").read_text().splitlines()[0].split(",")
    assert len(set(header)) == len(header)


def test_a_new_row_without_a_category_is_ranked_by_a_model_that_knows_gaps(run, trips, tmp_path):
    table = trips[1].drop(columns="order").copy()
    table.loc[::4, "vehicle"] = None
    table.to_csv(tmp_path / "gaps.csv", index=False)
    assert run("anomalies", tmp_path / "gaps.csv", "--out", tmp_path / "run").exit_code == 0
    table.iloc[[0, 4]].to_csv(tmp_path / "new.csv", index=False)
    options = ("--model", tmp_path / "run", "-o", tmp_path / "new-ranked.csv", "--json")
    result = run("anomalies", tmp_path / "new.csv", *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_rows"] == 2
    first = pd.read_csv(tmp_path / "run" / "anomalies.csv").set_index("row")["error"]
    again = pd.read_csv(tmp_path / "new-ranked.csv").set_index("row")["error"]
    np.testing.assert_allclose(again[[0, 1]], first[[0, 4]], rtol=1e-4)


def test_other_models_and_predict_say_where_to_go(run, trips, ranked, tmp_path):
    folder, _ = ranked
    result = run("predict", folder / "run", trips[0], "-o", tmp_path / "predictions.csv")
    assert "use `sparsam anomalies TABLE --model" in result.stderr
    options = ("--label", "vehicle", "--ignore", "order", "--max-iter", 3, "--hidden-layer-sizes", 2, "--epsilon", 0)
    assert run("classify", trips[0], *options, "--out", tmp_path / "classified").exit_code == 0
    result = run("anomalies", trips[0], "--model", tmp_path / "classified", "-o", tmp_path / "x.csv")
    assert "is a model of regress or classify: name a run of `sparsam anomalies`" in result.stderr
