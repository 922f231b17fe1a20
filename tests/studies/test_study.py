"""The rows of a study are those of separate fits."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sparsam import (
    MultivariateNormalRegressor,
    NoisyLabelClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
    fit_gabors,
    load,
    parameter_study,
    unit_statistics,
)
from sparsam.inspection.weak_fit import examine_fit
from sparsam.studies import read_study, write_table

rng = np.random.default_rng(0)
X = rng.uniform(0.1, 0.9, size=(120, 3)) @ rng.dirichlet(np.ones(16), size=3).repeat(1, axis=0)
UNSEEN = rng.uniform(0.1, 0.9, size=(30, 3)) @ rng.dirichlet(np.ones(16), size=3)
MODEL = SparseAutoencoder(4, rho=0.1, dtype="float64", tol=1e-4)
GRID = {"n_components": [3, 4], "beta": [0.0, 1.0], "max_iter": [4, 9, 2000]}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("without_factors"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "deep"
    lines = []
    table = parameter_study(MODEL, GRID, X, X_held_out=UNSEEN, seeds=2, out=out, progress=lines.append)
    return table, out, lines


@pytest.fixture(scope="module")
def alone(study):
    return [
        SparseAutoencoder(
            row.n_components,
            rho=0.1,
            beta=row.beta,
            max_iter=row.max_iter,
            random_state=row.seed,
            dtype="float64",
            tol=1e-4,
        ).fit(X)
        for row in study[0].itertuples()
    ]


def test_rows_are_the_grid_in_order(study):
    table, _, _ = study
    expected = [(m, b, k, s) for m in (3, 4) for b in (0.0, 1.0) for k in (4, 9, 2000) for s in (0, 1)]
    assert [tuple(row) for row in table[[*GRID, "seed"]].itertuples(index=False)] == expected
    fixed = {name: value for name, value in MODEL.get_params().items() if name in table and name not in GRID}
    assert {"rho", "alpha", "tol", "solver", "dtype", "hidden_activation"} <= fixed.keys()
    for name, value in fixed.items():
        assert table[name].isna().all() if value is None else (table[name] == value).all()


@pytest.mark.slow
def test_rows_are_those_of_separate_fits(study, alone):
    """Equal to the bit, for snapshots during a training and for its end."""
    table, _, _ = study
    for row, model in zip(table.itertuples(), alone, strict=True):
        assert (row.J, row.gradient_norm, row.stop_reason) == (model.loss_, model.gradient_norm_, model.stop_reason_)
        assert (row.iterations, row.evaluations) == (model.n_iter_, model.n_evaluations_)
        assert row.held_out_error == -model.score(UNSEEN)
        assert row.rho_hat_mean == pytest.approx(model.mean_activation_.mean(), rel=1e-12)
        assert row.rho_hat_std == pytest.approx(model.mean_activation_.std(), rel=1e-12)
        assert row.explained_variance_ratio == model.explained_variance_ratio_
        weak = examine_fit(model, X)
        np.testing.assert_equal(row.weakness, weak.kind if weak else np.nan)
        np.testing.assert_equal(row.quality, np.nan if weak else fit_gabors(model.components_).quality())
        shares = unit_statistics(model.transform(X)).shares()
        assert (row.dead, row.saturated) == (shares["dead"], shares["saturated"])
        assert row.J == pytest.approx(row.squared_error + row.weight_decay + row.kl_sparsity)
    assert {"max_iter", "converged"} <= set(table.stop_reason)


@pytest.mark.slow
def test_models_are_those_of_separate_fits(study, alone):
    table, out, _ = study
    for row, model in zip(table.itertuples(), alone, strict=True):
        kept = load(out / row.model)
        assert kept.max_iter == row.max_iter
        assert kept.random_state == row.seed
        np.testing.assert_array_equal(kept.components_, model.components_)
        np.testing.assert_array_equal(kept.mean_activation_, model.mean_activation_)
        assert kept.loss_curve_ == model.loss_curve_


def test_one_training_serves_all_max_iter(study):
    lines = [line for line in study[2] if line.startswith("group")]  # a slow machine prints more lines
    assert len(lines) == 4  # sizes, with and without a penalty
    assert all("6 settings in 2 trainings" in line for line in lines)
    assert "n_components = 3, beta = 0.0" in lines[0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_come_back(study, tmp_path, suffix):
    table, _, _ = study
    write_table(table, tmp_path / f"table{suffix}")
    again = read_study(tmp_path / f"table{suffix}")
    assert list(again) == list(table)
    for name in table:
        assert all((a == b) or (pd.isna(a) and pd.isna(b)) for a, b in zip(table[name], again[name], strict=True)), name


def test_the_folder_has_the_table(study):
    table, out, _ = study
    pd.testing.assert_frame_equal(read_study(out), table)


def test_a_share_is_held_out_of_all_fits_alike():
    weights = rng.uniform(1, 2, size=len(X))
    table = parameter_study(MODEL, {"beta": [0.0]}, X, sample_weight=weights, held_out=0.25, seeds=[3, 5])
    assert table.seed.tolist() == [3, 5]
    from sklearn.model_selection import train_test_split

    training, unseen = (np.sort(rows) for rows in train_test_split(np.arange(len(X)), test_size=0.25, random_state=0))
    model = SparseAutoencoder(4, rho=0.1, beta=0.0, dtype="float64", tol=1e-4, random_state=3)
    model.fit(X[training], sample_weight=weights[training])
    assert (table.J[0], table.held_out_error[0]) == (model.loss_, -model.score(X[unseen]))


@pytest.mark.slow
def test_networks_with_targets_and_their_own_scores():
    Y = X[:, :2] + 0.01 * rng.normal(size=(len(X), 2))
    grid = {"hidden_layer_sizes": [(), (2,)], "early_stopping": [False, True]}
    lines = []
    table = parameter_study(
        MultivariateNormalRegressor(early_stopping=False, cv=None, max_iter=30),
        grid,
        X,
        Y,
        held_out=0.25,
        progress=lines.append,
    )
    assert any(line.startswith("hidden_layer_sizes = (2,), early_stopping = True, seed 0: ") for line in lines)
    assert len(lines) == 4 + 1
    assert table.hidden_layer_sizes.tolist() == ["()", "()", "(2,)", "(2,)"]
    assert np.isfinite(table.held_out_log_likelihood).all()
    assert (table.held_out_score <= 1).all()
    labels = np.where(X.mean(axis=1) > np.median(X.mean(axis=1)), "above", "below")
    estimator = NoisyLabelClassifier((2,), max_iter=20)
    table = parameter_study(estimator, {"epsilon": [0.0, "estimate"]}, X, labels, X_held_out=X, y_held_out=labels)
    assert table.epsilon.tolist() == ["0.0", "estimate"]
    single = NoisyLabelClassifier((2,), max_iter=20, epsilon=0.0, random_state=0).fit(X, labels)
    assert table.held_out_score[0] == single.score(X, labels)
    assert table.held_out_log_likelihood[0] == single.mean_log_likelihood(X, labels)


@pytest.mark.slow
def test_a_long_group_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr("sparsam.studies.results.PROGRESS_INTERVAL", 0.0)
    lines = []
    parameter_study(MODEL.set_params(callback=None), {"beta": [0.5, 1.0], "max_iter": [2, 3]}, X, progress=lines.append)
    counts = [int(line.removesuffix(" of 4 settings are done")) for line in lines[:-1]]
    assert len(counts) == 4
    assert sorted(counts) == counts  # two threads may finish together
    assert counts[-1] == 4
    assert lines[-1].startswith("group 1 of 1")


@pytest.mark.slow
def test_what_cannot_be_trained_with_others_is_fitted_by_itself():
    grid = {"polish": [False, True], "max_iter": [3, 500]}
    table = parameter_study(MODEL.set_params(callback=None), grid, X)
    for row in table.itertuples():
        model = SparseAutoencoder(4, rho=0.1, dtype="float64", tol=1e-4, random_state=0, polish=row.polish)
        assert row.J == model.set_params(max_iter=row.max_iter).fit(X).loss_


def test_every_setting_has_checkpoints_of_its_own(tmp_path):
    model = SparseAutoencoder(4, rho=0.1, max_iter=3, checkpoint=tmp_path / "run")
    table = parameter_study(model, {"beta": [0.0, 1.0]}, X)
    assert len(table) == 2
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["0000", "0001"]


def test_a_setting_that_is_not_finite_is_a_row(tmp_path):
    model = SparseAutoencoder(2, output_activation="identity", beta=0.0, max_iter=3)
    table = parameter_study(model, {"dtype": ["float32", "float64"]}, X * 1e25, out=tmp_path / "study")
    assert table.stop_reason.tolist() == ["not_finite", "max_iter"]  # squares of 1e25 overflow in float32 alone
    assert np.isfinite(table.J).tolist() == [False, True]
    assert len(read_study(tmp_path / "study")) == 2


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        ([{"rho": [0.1]}], {}, "must be a dict of names and lists of values, got list"),
        ({"lambda": [1]}, {}, "'lambda' cannot be an axis of the grid for SparseAutoencoder; choose from alpha, beta"),
        ({"random_state": [1]}, {}, "use seeds"),
        ({"verbose": [1]}, {}, "cannot be an axis"),
        ({"rho": 0.1}, {}, "a list of values of rho"),
        ({"solver": "lbfgs"}, {}, "a list of values of solver"),
        ({"rho": []}, {}, "no values of rho"),
        ({"rho": [0.1, 0.1]}, {}, "twice"),
        ({"alpha": [0, 0.0]}, {}, "twice"),
        ({"max_iter": [5, np.int64(5)]}, {}, "twice"),
        ({"rho": [0.1, 1.5], "beta": [1.0]}, {}, "rho = 1.5, beta = 1.0: rho must be"),
        ({}, {"seeds": 0}, "at least 1"),
        ({}, {"seeds": [1, 1]}, "twice"),
        ({}, {"seeds": "three"}, "a number of seeds, or"),
        ({}, {"held_out": 1.0}, "held_out must be in"),
        ({}, {"held_out": 0.5, "X_held_out": UNSEEN}, "both given: drop one"),
        ({}, {"X_held_out": UNSEEN[:, :4]}, "same features"),
        ({}, {"X_held_out": np.full_like(UNSEEN, np.nan)}, "X_held_out contains NaN"),
        ({}, {"y_held_out": [1]}, "without X_held_out"),
        ({}, {"resume": True}, "pass it as out"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_fitted(monkeypatch, tmp_path, grid, options, message):
    monkeypatch.setattr("sparsam.studies.study.fit_group", lambda *_: pytest.fail("something was fitted"))
    with pytest.raises((ValueError, TypeError), match=message.replace("(", r"\(")):
        parameter_study(MODEL, grid, X, **options)


def test_stacks_are_measured_by_their_innermost_code():
    stack = StackedAutoencoder([SparseAutoencoder(4, rho=0.1), SparseAutoencoder(2, rho=0.1)], random_state=0)
    table = parameter_study(stack, {"fine_tune": [False, True]}, X, X_held_out=UNSEEN)
    for fine_tune, row in zip([False, True], table.itertuples(), strict=True):
        single = clone(stack).set_params(fine_tune=fine_tune, random_state=0).fit(X)
        shares = unit_statistics(single.transform(X), hidden_activation="logistic").shares()
        assert (row.dead, row.saturated) == (shares["dead"], shares["saturated"])
        assert row.held_out_error == -single.score(UNSEEN)
        assert row.explained_variance_ratio == single.explained_variance_ratio_


def test_strangers_are_refused():
    from sklearn.decomposition import PCA

    with pytest.raises(TypeError, match="SparseAutoencoder"):
        parameter_study(PCA(), {"n_components": [2]}, X)
