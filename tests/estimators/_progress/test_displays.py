"""Progress displays of a fit: lines, bars, notebooks; and warnings at the user's line."""

import io
import re
import warnings

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from rich.console import Console
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier
from sparsam.engine.training.state import Progress
from sparsam.estimators._progress import displays as showing
from sparsam.estimators._progress.bars import Bars, table_of_bars
from sparsam.estimators._progress.displays import Lines, show_fits_on

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ITERATION = r"iteration +\d+   J +-?\d+\.\d{6}   gradient \d\.\de[+-]\d\d   "


def progress(iteration=3, J=-1.5, seconds=2.0):
    return Progress(iteration, 5, seconds, J, {"error": J}, 1e-3)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = [100.0]
    monkeypatch.setattr(showing.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def lines(clock):
    written = []
    return Lines(written.append), written


# Lines


def test_the_first_line_is_printed_at_once_and_then_one_per_second(lines, clock):
    display, written = lines
    display.begin("begins")
    for tenth in range(25):
        clock[0] = 100 + tenth / 10
        display.progress(progress(tenth), 100)
    assert [int(line.split()[1]) for line in written[1:]] == [0, 10, 20]


def test_the_same_iterate_is_not_printed_again(lines, clock):
    display, written = lines
    display.begin("begins")
    same = progress()
    for _ in range(5):
        clock[0] += 2
        display.progress(same, 100)
    assert len(written) == 2


def test_lines_of_a_fit_are_aligned(lines, clock):
    display, written = lines
    for iteration, J in ((1, -1.5), (1000, 0.25), (10, 12.75)):
        clock[0] += 1
        display.progress(progress(iteration, J), 100, held_out=-J)
    assert {line.index("gradient") for line in written} == {written[0].index("gradient")}
    assert {line.index("held out") for line in written} == {written[0].index("held out")}


def test_counts_are_printed_once_per_second_or_per_given_time(lines, clock):
    display, written = lines
    for tenth in range(31):
        clock[0] = 100 + tenth / 10
        display.count("rows", tenth * 1000)
    assert written == ["10,000 rows", "20,000 rows", "30,000 rows"]
    for second in range(12):
        clock[0] = 103 + second
        display.count("rows", second, 5000, every=10.0)
    assert written[3:] == ["10 of 5,000 rows"]


@pytest.mark.slow
@pytest.mark.parametrize("fraction_of_a_second", [0.0, 3600.0])
def test_each_training_of_an_estimate_is_shown(X, capsys, monkeypatch, fraction_of_a_second):
    monkeypatch.setattr(showing, "LINE_SECONDS", fraction_of_a_second)
    model = NoisyLabelClassifier((3,), alpha=1e-2, max_iter=20, random_state=0, verbose=1)
    model.fit(X, X[:, 0] > np.median(X[:, 0]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "estimating epsilon from held-out labels, in at most 36 trainings"
    found = re.compile(
        r"(without noise|round \d): epsilon (\d\.\d{3}), held-out log-likelihood (-\d\.\d{4}) \((\d+) of at most 36\)"
    )
    results = [match.groups() for line in lines if (match := found.fullmatch(line))]
    assert [(name, int(number)) for name, _, _, number in results] == [
        ("without noise" if k == 0 else f"round {k}", 4 * (k + 1)) for k in range(len(results))
    ]
    gain = len(X) * (float(results[-1][2]) - float(results[0][2]))
    assert model.likelihood_profile_.gain == pytest.approx(gain, abs=len(X) * 1.1e-4)
    begins = lines.index("compiling and training a network 6-3-1 in float32")
    # The last line of a training that ended by itself has no score.
    of_estimate = re.compile(rf"(without noise|round \d), fold \d   {ITERATION}(held out +-\d\.\d{{6}}   )?\d+\.\d s")
    assert all(found.fullmatch(line) or of_estimate.fullmatch(line) for line in lines[1:begins])
    # The warning about an uncertain epsilon is not a line of progress.
    assert all(re.fullmatch(rf"{ITERATION}\d+\.\d s", line) for line in lines[begins + 1 : -1])
    if fraction_of_a_second:
        assert len(lines) == 1 + 1 + len(results) + 1 + 1 + 1  # a line at the beginning of each phase


@pytest.mark.slow
def test_early_stopping_shows_the_score_in_the_units_of_y(X, capsys, monkeypatch):
    monkeypatch.setattr(showing, "LINE_SECONDS", 0.0)
    model = MultivariateNormalRegressor((3,), early_stopping=True, cv=None, max_iter=30, random_state=0, verbose=1)
    model.fit(X, 1000 * X[:, :2] ** 2)
    found = re.findall(r"iteration +(\d+) .* held out +(-?\d+\.\d+) ", capsys.readouterr().out)
    scored = zip(model.validation_iterations_, model.validation_scores_, strict=True)
    scores = [(iteration, f"{score:.6f}") for iteration, score in scored]
    assert len(found) > 5
    for iteration, shown in found:
        assert shown == [score for at, score in scores if at <= int(iteration)][-1]


@pytest.mark.slow
def test_rows_that_are_read_are_counted(build, X, capsys, monkeypatch):
    monkeypatch.setattr(showing, "LINE_SECONDS", 0.0)
    monkeypatch.setattr("sparsam.estimators._progress.reporter.PASS_SECONDS", 0.0)
    monkeypatch.setattr("sparsam.estimators._data.streamed.BATCH_BYTES", 4 * 6 * 20)

    class Rows:
        def __iter__(self):
            yield X

    build(verbose=1, max_iter=2).fit(Rows())
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        *(f"{n} rows read and checked" for n in (20, 40, 60)),
        "compiling and training a network 6-3-6 in float32",
    ]
    assert "40 of 60 rows of a pass" in lines
    assert lines[-1].startswith("max_iter iterations are done")


def test_a_program_can_choose_the_display(build, X, capsys):
    written = []
    with show_fits_on(Lines(written.append)):
        build().fit(X)
    assert re.fullmatch(rf"{ITERATION}\d+\.\d s", written[1])
    build().fit(X)
    assert capsys.readouterr() == ("", "")


# Bars


def test_bars_follow_and_are_full_at_the_end():
    table = table_of_bars(console=Console(file=io.StringIO()))
    drawn = []
    bars = Bars(table, drawn.append)
    bars.begin("begins")
    bars.count("rows", 1000)
    bars.part("epsilon 0.1: held-out log-likelihood -0.5", 3, 12)
    bars.progress(progress(40), 100, label="epsilon 0.2", held_out=-0.25)
    training, rows, parts = table.tasks
    assert (training.completed, training.total) == (40, 100)
    assert training.description == "epsilon 0.2   iteration 40 of at most 100"
    assert "held out -0.250000" in training.fields["text"]
    assert (rows.description, rows.total) == ("1,000 rows", None)
    assert (parts.completed, parts.total) == (3, 12)
    bars.end()
    assert all(task.finished for task in table.tasks)
    assert drawn == [False] * 4 + [True]


@pytest.mark.slow
def test_in_a_notebook_progress_is_a_bar():
    cell = """
        import numpy as np
        from sparsam import NoisyLabelClassifier
        X = np.random.default_rng(0).uniform(size=(100, 6))
        model = NoisyLabelClassifier((3,), max_iter=20, random_state=0, verbose=1).fit(X, X[:, 0] > 0.5)
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(map(str.strip, cell.splitlines())))])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for output in notebook.cells[0].outputs if output.get("name") != "stderr"]
    bar, last = outputs
    assert bar.output_type == "display_data"
    assert re.search(r"iteration \d+ of at most 20 .*━━━━━━━━━━.* J \d\.\d+   gradient", bar.data["text/html"])
    assert re.search(r"\d+ of at most 36 trainings .*epsilon \d\.\d{3}, held-out log-likelihood", bar.data["text/html"])
    assert last.text.startswith("the error on held-out data has stopped decreasing (iteration ")


# Warnings


def test_warnings_point_at_the_users_line_through_a_pipeline(build, X):
    pipeline = make_pipeline(MinMaxScaler(), build(max_iter=1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline.fit(X)
    (warning,) = (warning for warning in caught if warning.category is ConvergenceWarning)
    assert warning.filename == __file__
