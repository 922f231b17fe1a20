"""The stack of autoencoders: its objective, its trainings one by one and together, and what it refuses."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sparsam import Checkpoint, FilterDisplay, SparseAutoencoder, StackedAutoencoder, load, reference, report, save
from sparsam.reference.activations import ACTIVATIONS
from sparsam.reports.embedded_images import filter_picture

DIGITS = load_digits().data[:200, 8:40] / 16  # 32 pixels
TIGHT = {"dtype": "float64", "tol": 1e-6}


def stack(**options):
    """Make a stack of two small autoencoders."""
    autoencoders = [
        SparseAutoencoder(8, rho=0.2, beta=0.1, alpha=1e-3),
        SparseAutoencoder(4, rho=0.3, beta=0.05, alpha=2e-3),
    ]
    return StackedAutoencoder(autoencoders, **{"random_state": 0, "max_iter": 2000} | options)


@pytest.fixture(scope="module")
def fitted():
    return stack(**TIGHT).fit(DIGITS)


def reference_cost(model, X, **changes):
    """Compute J and its gradient at the fitted weights by the reference."""
    options = {
        "hidden_activation": ["logistic"] * 3,
        "alpha": [1e-3, 2e-3, 2e-3, 1e-3],
        "rho": [0.2, 0.3, 0.5],
        "beta": [0.1, 0.05, 0.0],
    }
    return reference.network_cost(model.coefs_, model.intercepts_, X, X, **options | changes)


def test_it_minimizes_the_sum_of_the_errors_and_of_each_autoencoders_penalties(fitted):
    J, coef_gradients, intercept_gradients = reference_cost(fitted, DIGITS)
    assert fitted.loss_ == pytest.approx(J, rel=1e-12)
    assert fitted.cost(DIGITS) == pytest.approx(J, rel=1e-12)
    assert max(np.abs(g).max() for g in (*coef_gradients, *intercept_gradients)) <= 1e-6 * (1 + 1e-6)
    assert fitted.converged_
    assert fitted.terms_.keys() == {"squared_error", "weight_decay", "sparsity"}


def test_it_encodes_and_decodes_layer_by_layer(fitted):
    h = ACTIVATIONS["logistic"][0]
    z = DIGITS
    for number, (coef, intercept) in enumerate(zip(fitted.coefs_, fitted.intercepts_, strict=True), 1):
        z = h(z @ coef + intercept)
        if number == 2:
            np.testing.assert_allclose(fitted.transform(DIGITS), z, rtol=1e-12)
            np.testing.assert_allclose(fitted.mean_activation_, z.mean(axis=0), rtol=1e-10)
            code = z
    np.testing.assert_allclose(fitted.predict(DIGITS), z, rtol=1e-12)
    np.testing.assert_allclose(fitted.inverse_transform(code), z, rtol=1e-12)
    errors = 0.5 * np.sum((z - DIGITS) ** 2, axis=1)
    np.testing.assert_allclose(fitted.score_samples(DIGITS), -errors, rtol=1e-10)
    assert fitted.score(DIGITS) == pytest.approx(-errors.mean(), rel=1e-12)
    variance = DIGITS.var(axis=0).sum()
    assert fitted.explained_variance_ratio_ == pytest.approx(1 - 2 * errors.mean() / variance, rel=1e-10)
    assert fitted.get_feature_names_out().tolist() == [f"stackedautoencoder{j}" for j in range(4)]


def test_the_first_autoencoder_is_trained_as_by_itself_and_the_second_on_its_code(fitted):
    first, second = fitted.autoencoders_
    alone = clone(first).fit(DIGITS)
    np.testing.assert_array_equal(first.coefs_[0], alone.coefs_[0])
    code = alone.transform(DIGITS)
    again = clone(second).fit(code)
    np.testing.assert_allclose(second.coefs_[1], again.coefs_[1], rtol=1e-4, atol=1e-4)  # with rows in another order
    assert {first.dtype, second.dtype} == {"float64"}  # that of the stack
    assert first.random_state != second.random_state


def test_fine_tuning_lowers_j_from_that_of_the_autoencoders(fitted):
    before = stack(**TIGHT, fine_tune=False).fit(DIGITS)
    first, second = before.autoencoders_
    np.testing.assert_array_equal(before.coefs_[1], second.coefs_[0])
    np.testing.assert_array_equal(before.coefs_[3], first.coefs_[1])
    assert before.loss_ == pytest.approx(reference_cost(before, DIGITS)[0], rel=1e-12)
    assert before.n_iter_ == 0
    assert before.stop_reason_ == "converged"
    assert fitted.loss_curve_[0] == pytest.approx(before.loss_, rel=1e-12)
    assert fitted.loss_ < before.loss_


def test_linear_outputs_and_other_activations_have_their_objective_too():
    X = 3.0 + np.random.default_rng(0).normal(size=(120, 6)) @ np.diag([1.0, 1, 1, 1, 1, 0.5])
    autoencoders = [
        SparseAutoencoder(5, beta=0.0, alpha=1e-2, hidden_activation="tanh", output_activation="identity"),
        SparseAutoencoder(3, rho=0.4, beta=0.1, alpha=1e-2, output_activation="identity"),
    ]
    model = StackedAutoencoder(autoencoders, random_state=0, **TIGHT).fit(X)
    J, coef_gradients, _ = reference_cost(
        model,
        X,
        hidden_activation=["tanh", "logistic", "identity"],
        output_activation="identity",
        alpha=[1e-2] * 4,
        rho=[0.5, 0.4, 0.5],
        beta=[0.0, 0.1, 0.0],
    )
    assert model.loss_ == pytest.approx(J, rel=1e-9)
    assert max(np.abs(g).max() for g in coef_gradients[1:]) < 1e-5
    shifted = StackedAutoencoder(autoencoders, random_state=0, **TIGHT).fit(X + 100)
    assert shifted.loss_ == pytest.approx(model.loss_, rel=1e-9)
    np.testing.assert_allclose(shifted.predict(X + 100), model.predict(X) + 100, atol=1e-3)


def test_integer_weights_are_copies_to_the_bit():
    counts = np.random.default_rng(0).integers(0, 4, len(DIGITS))
    weighted = stack(max_iter=20).fit(DIGITS, sample_weight=counts)
    repeated = stack(max_iter=20).fit(np.repeat(DIGITS, counts, axis=0))
    for one, other in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


class Chunks:
    """Rows that are yielded in chunks."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(np.array_split(self.rows, 7))


def test_a_stream_gives_the_same_result_but_for_rounding():
    options = {"dtype": "float64", "tol": 1e-6}
    held, streamed = stack(**options).fit(DIGITS), stack(**options).fit(Chunks(DIGITS))
    assert streamed.loss_ == pytest.approx(held.loss_, rel=1e-6)
    np.testing.assert_allclose(streamed.transform(Chunks(DIGITS)), streamed.transform(DIGITS), rtol=1e-12)


def test_saved_and_loaded_it_is_the_same(fitted, tmp_path):
    save(fitted, tmp_path / "stack.safetensors")
    loaded = load(tmp_path / "stack.safetensors")
    np.testing.assert_array_equal(loaded.transform(DIGITS), fitted.transform(DIGITS))
    np.testing.assert_array_equal(loaded.predict(DIGITS), fitted.predict(DIGITS))
    assert loaded.get_params()["autoencoder2__rho"] == 0.3
    first = loaded.autoencoders_[0]
    np.testing.assert_array_equal(first.transform(DIGITS), fitted.autoencoders_[0].transform(DIGITS))
    assert first.loss_curve_ == fitted.autoencoders_[0].loss_curve_


def test_a_warm_start_goes_on_with_the_common_training():
    short = stack(dtype="float64", max_iter=5)
    with pytest.warns(ConvergenceWarning):
        short.fit(DIGITS)
    before, layers = short.loss_, short.autoencoders_
    with pytest.warns(ConvergenceWarning):
        short.set_params(warm_start=True).fit(DIGITS)
    assert short.loss_curve_[0] == pytest.approx(before, rel=1e-12)
    assert short.autoencoders_ is layers


def test_a_resumed_fit_has_the_same_bits(tmp_path):
    whole = stack(max_iter=60).fit(DIGITS)
    with pytest.warns(ConvergenceWarning):
        stack(max_iter=10, checkpoint=tmp_path).fit(DIGITS)
    resumed = stack(max_iter=60, checkpoint=Checkpoint(tmp_path, resume=True)).fit(DIGITS)
    for one, other in zip(whole.coefs_, resumed.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_hyperparameters_of_its_autoencoders_can_be_searched():
    model = stack()
    assert model.get_params()["autoencoder1__n_components"] == 8
    model.set_params(autoencoder1__n_components=6, autoencoder2=SparseAutoencoder(2))
    assert [part.n_components for part in model.autoencoders] == [6, 2]
    with pytest.raises(ValueError, match="autoencoder3"):
        model.set_params(autoencoder3__rho=0.1)
    search = GridSearchCV(stack(max_iter=5), {"autoencoder2__n_components": [2, 4]}, cv=2)
    with pytest.warns(ConvergenceWarning):
        search.fit(DIGITS)
    assert search.best_params_ == {"autoencoder2__n_components": 4}


def test_warnings_of_an_autoencoder_name_it():
    model = stack()
    model.set_params(autoencoder1__max_iter=3)
    with pytest.warns(ConvergenceWarning, match="autoencoder 1 of 2: not converged"):
        model.fit(DIGITS)


@pytest.mark.parametrize(
    ("autoencoders", "error", "message"),
    [
        ([], TypeError, "must be a list of SparseAutoencoder"),
        (SparseAutoencoder(), TypeError, "must be a list of SparseAutoencoder"),
        ([SparseAutoencoder(), None], TypeError, "number 2 is None"),
        ([SparseAutoencoder(rho=2.0)], ValueError, "autoencoder 1: rho must be"),
        (
            [SparseAutoencoder(hidden_activation="tanh"), SparseAutoencoder()],
            ValueError,
            "autoencoder 2 has logistic outputs.*tanh units.*output_activation='identity'",
        ),
    ],
)
def test_it_refuses_autoencoders_that_do_not_fit(autoencoders, error, message):
    with pytest.raises(error, match=message):
        StackedAutoencoder(autoencoders).fit(DIGITS)


def test_the_callers_autoencoders_are_not_changed(fitted):
    assert all(not hasattr(part, "coefs_") and part.dtype == "float32" for part in fitted.autoencoders)


def test_it_is_reported_and_drawn(fitted):
    page = report(fitted, DIGITS, image_shape=(4, 8))
    assert "A stack of 2 autoencoders, trained together: the 4 units of the innermost code" in page
    filters = (fitted.coefs_[0] @ fitted.coefs_[1]).T
    assert all(filter_picture(weights, (4, 8)) in page for weights in filters)
    shown = FilterDisplay.from_estimator(fitted, image_shape=(4, 8)).filters  # of the first layer
    np.testing.assert_array_equal(shown.reshape(8, -1), fitted.coefs_[0].T)


@pytest.mark.parametrize(
    "change",
    [
        {"autoencoder1__output_activation": "identity"},
        {"autoencoder2__hidden_activation": "tanh"},
        {"autoencoder1__tied": True, "autoencoder2__tied": True},
        {"autoencoder2__n_components": 5},
    ],
    ids=str,
)
def test_a_warm_start_of_other_layers_is_refused(change):
    model = stack(max_iter=50, tol=1e-2).fit(DIGITS)
    before = model.predict(DIGITS)
    with pytest.raises(ValueError, match="warm_start=True starts from the fitted weights"):
        model.set_params(warm_start=True, **change).fit(DIGITS)
    np.testing.assert_array_equal(model.predict(DIGITS), before)


def test_without_fine_tuning_only_the_part_that_did_not_converge_is_warned_of():
    model = stack(fine_tune=False).set_params(autoencoder1__max_iter=3)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(DIGITS)
    [message] = [str(warning.message) for warning in caught]
    assert message.startswith("autoencoder 1 of 2: not converged")
    assert model.stop_reason_ == "max_iter"
    assert not model.converged_


def test_checkpoints_of_a_stack_that_draws_rows_need_an_integer_random_state(tmp_path):
    model = StackedAutoencoder([SparseAutoencoder(4, beta=0.0, corruption=0.3)], checkpoint=tmp_path)
    with pytest.raises(ValueError, match="integer random_state"):
        model.fit(DIGITS)


def test_the_default_stack_can_be_changed_by_number_and_does_not_share_its_parts():
    one, other = StackedAutoencoder(), StackedAutoencoder()
    one.set_params(autoencoder1__n_components=7)
    assert one.get_params()["autoencoder1__n_components"] == 7
    assert other.get_params()["autoencoder1__n_components"] == 25
    assert other.autoencoders is None


def test_a_part_can_be_extended_when_a_fit_is_resumed(tmp_path):
    with pytest.warns(ConvergenceWarning):
        stack(max_iter=5, checkpoint=tmp_path).set_params(autoencoder1__max_iter=5).fit(DIGITS)
    longer = stack(max_iter=5).set_params(autoencoder1__max_iter=20)
    with pytest.warns(ConvergenceWarning):
        whole = longer.fit(DIGITS).coefs_
    with pytest.warns(ConvergenceWarning):
        resumed = longer.set_params(checkpoint=Checkpoint(tmp_path, resume=True)).fit(DIGITS).coefs_
    for one, again in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, again)


def test_a_part_with_an_attribute_of_the_user_is_not_saved(fitted, tmp_path):
    model = clone(fitted).set_params(tol=1e-2).fit(DIGITS)
    model.autoencoders_[0].note = "mine"
    with pytest.raises(TypeError, match="'note'"):
        save(model, tmp_path / "stack.safetensors")
