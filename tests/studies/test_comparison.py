"""Two studies are joined on what they have in common."""

import numpy as np
import pandas as pd
import pytest

from sparsam import SparseAutoencoder, compare_studies, parameter_study
from sparsam.studies import write_table

X = np.random.default_rng(0).uniform(0.1, 0.9, size=(60, 16))


pytestmark = pytest.mark.slow


def study(out=None, *, rho=(0.1, 0.2), seeds=2, **parameters):
    model = SparseAutoencoder(2, max_iter=5).set_params(**parameters)
    return parameter_study(model, {"rho": list(rho)}, X, held_out=0.2, seeds=seeds, out=out)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return study(tmp_path_factory.mktemp("one") / "study")


def test_settings_of_both_are_compared(one):
    other = study(rho=(0.2, 0.3))
    table = compare_studies(one, other)
    assert table[["rho", "seed"]].values.tolist() == [[0.2, 0], [0.2, 1]]
    np.testing.assert_array_equal(table.J_one, one.J[one.rho == 0.2])
    np.testing.assert_array_equal(table.J_difference, 0.0)
    for name in ("J", "held_out_error", "quality", "seconds"):
        np.testing.assert_array_equal(table[f"{name}_other"] - table[f"{name}_one"], table[f"{name}_difference"])


def test_folders_tables_and_files_are_the_same(one, tmp_path):
    again = study(tmp_path / "study")
    write_table(one, tmp_path / "one.parquet")
    table = compare_studies(tmp_path / "one.parquet", tmp_path / "study")
    pd.testing.assert_frame_equal(table, compare_studies(one, again), check_dtype=False)
    assert len(table) == 4


def test_what_differs_throughout_is_named_and_can_be_ignored(one):
    other = study(solver="lbfgs")
    with pytest.raises(ValueError, match="solver is kronecker-lbfgs in one, lbfgs in the other"):
        compare_studies(one, other)
    table = compare_studies(one, other, ignore=["solver"])
    assert len(table) == 4
    assert (table.J_difference != 0).any()


def test_nothing_in_common_is_an_error(one):
    with pytest.raises(ValueError, match=r"nothing|no setting in common: rho is 0.1 or 0.2 in one, 0.4 in the other"):
        compare_studies(one, one.assign(rho=0.4).drop_duplicates(["rho", "seed"]))
    with pytest.raises(ValueError, match="different estimators"):
        compare_studies(one, one.rename(columns={"beta": "gamma"}))
    with pytest.raises(ValueError, match="is not the table of a study"):
        compare_studies(one, pd.DataFrame({"J": [1.0]}))
    with pytest.raises(ValueError, match="differ only in rho"):
        compare_studies(one, one, ignore=["rho"])
