"""A study of sparse ReLU codes has their sparsity and explained variance on held-out rows, and a picture of both."""

import numpy as np
import pytest

from sparsam import SparseAutoencoder, compare_studies, load, parameter_study, sparsity_report
from sparsam.studies import draw_frontier

rng = np.random.default_rng(0)
DIRECTIONS = np.linalg.qr(rng.normal(size=(10, 10)))[0]
X = (rng.random((500, 10)) < 0.15) * rng.uniform(1, 2, (500, 10)) @ DIRECTIONS
TRAIN, UNSEEN = X[:400], X[400:]
MODEL = SparseAutoencoder(
    12, sparsity="l1", hidden_activation="relu", output_activation="identity", max_iter=60, tol=1e-3
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("frontier") / "study"
    table = parameter_study(MODEL, {"beta": [0.05, 0.4, None]}, TRAIN, X_held_out=UNSEEN, seeds=2, out=out)
    return table, out


def test_rows_are_those_of_separate_fits_and_reports(study):
    table, out = study
    for row in table.itertuples():
        model = load(out / row.model)
        alone = SparseAutoencoder(**(MODEL.get_params() | {"beta": model.beta, "random_state": row.seed})).fit(TRAIN)
        report = sparsity_report(alone, UNSEEN)
        assert row.J == alone.loss_
        assert row.held_out_active == report.active
        assert row.held_out_explained_variance == report.explained_variance
        variance = np.sum((UNSEEN - UNSEEN.mean(axis=0)) ** 2) / len(UNSEEN)
        assert row.held_out_explained_variance == pytest.approx(1 - 2 * row.held_out_error / variance, abs=1e-6)


def test_more_penalty_means_fewer_active_units(study):
    table = study[0]
    light, heavy = (table[table.beta == beta] for beta in (0.05, 0.4))
    assert heavy.held_out_active.max() < light.held_out_active.min()
    assert heavy.held_out_explained_variance.max() < light.held_out_explained_variance.min()


def test_without_held_out_rows_the_columns_are_missing_values():
    table = parameter_study(MODEL, {"beta": [0.1]}, TRAIN)
    assert table[["held_out_active", "held_out_explained_variance"]].isna().all(axis=None)


def test_frontiers_are_drawn_from_folders_and_tables(study):
    table, out = study
    ax = draw_frontier({"the folder": out, "the table": table})
    lines = [line for line in ax.lines if line.get_label().startswith("the ")]
    np.testing.assert_array_equal(lines[0].get_xydata(), lines[1].get_xydata())
    assert len(draw_frontier(out).lines) == 2  # the means, and the single fits


def test_comparisons_have_both_numbers(study):
    table = compare_studies(study[0], study[0])
    assert (table[["held_out_active_difference", "held_out_explained_variance_difference"]] == 0).all(axis=None)
