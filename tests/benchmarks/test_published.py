"""The rows of published figures follow their protocols, give the figures they promise, and are resumed and rendered."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from benchmarks.published import __main__ as command
from benchmarks.published.data import Data
from benchmarks.published.report import write_report
from benchmarks.published.row import Row, Way
from benchmarks.published.rows import ROWS, abalone, few_labels, noisy_labels, parameters, stacked
from benchmarks.records import Records
from sparsam import NoisyLabelClassifier, SparseAutoencoder, StackedAutoencoder
from sparsam.engine import Network, Objective, Samples, precision, train
from sparsam.reference.gradcheck import numerical_gradient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning"),
]

BY_NAME = {row.name: row for row in ROWS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with scikit-learn's digits as large as MNIST's, and a few abalone."""
    folder = tmp_path_factory.mktemp("data")
    images, y = load_digits(return_X_y=True)
    large = np.pad(np.kron(images.reshape(-1, 8, 8) * 15.9, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    np.savez(folder / "mnist.npz", x_train=large[:1200], y_train=y[:1200], x_test=large[1200:], y_test=y[1200:])
    rng = np.random.default_rng(0)
    rows = [f"{rng.choice(list('MFI'))},{','.join(f'{v:.3f}' for v in rng.uniform(0.1, 1, 7))},9" for _ in range(80)]
    (folder / "abalone.csv").write_text("\n".join(["sex,a,b,c,d,e,f,g,rings", *rows]) + "\n")
    return folder


@pytest.fixture
def fits(monkeypatch):
    """Record the parameters and the data of all fits, and end them after an iteration."""
    recorded = []
    for kind in (SparseAutoencoder, StackedAutoencoder, NoisyLabelClassifier):
        fit = kind.fit

        def recording(model, X, *arguments, fit=fit, **options):
            recorded.append((type(model).__name__, model.get_params(deep=False), np.asarray(X), arguments))
            for part in (model, *getattr(model, "autoencoders", ())):
                part.set_params(max_iter=1)
            return fit(model, X, *arguments, **options)

        monkeypatch.setattr(kind, "fit", recording)
    return recorded


@pytest.fixture
def trainings(monkeypatch):
    """Record the arguments of trainings by the engine, and end them after an iteration."""
    recorded = []

    def recording(objective, samples, theta, **options):
        recorded.append((objective, samples, theta, options))
        return train(objective, samples, theta, **options | {"max_iter": 1})

    for row in (abalone, stacked):
        monkeypatch.setattr(row, "train", recording)
    return recorded


def parameters_of(fit, *names):
    return {name: fit[1][name] for name in names}


SOME = [
    pytest.param(row.name, way.name, marks=pytest.mark.exhaustive if k % 7 else ())
    for k, (row, way) in enumerate((row, way) for row in ROWS for way in row.ways)
]


@pytest.mark.parametrize(("name", "way"), SOME)
def test_quick_runs_give_the_figures(name, way, folder, tmp_path):
    row = BY_NAME[name]
    found = next(each for each in row.ways if each.name == way).run(Data(folder, tmp_path, quick=True), 0)
    promised = {figure.key for figure in row.figures}
    assert promised & found.keys()
    assert all(np.isfinite(value) for value in found.values())
    if row.picture:
        assert (tmp_path / f"published-{name}.png").stat().st_size > 5000


def test_every_row_has_a_name_of_its_own_and_figures_that_its_ways_give():
    assert len(BY_NAME) == len(ROWS)
    for row in ROWS:
        assert row.protocol.endswith(".")
        assert all(way.seeds for way in row.ways)


def test_the_softmax_has_the_tutorials_weight_decay_and_iterations(folder, tmp_path, fits):
    BY_NAME["softmax"].ways[0].run(Data(folder, tmp_path), 0)
    (fit,) = fits
    expected = {"hidden_layer_sizes": (), "epsilon": 0.0, "alpha": 1e-4, "max_iter": 100}
    assert parameters_of(fit, *expected) == expected
    assert fit[2].shape == (1200, 784)
    assert fit[2].max() <= 1


def test_strokes_are_learned_with_the_tutorials_parameters(folder, tmp_path, fits):
    BY_NAME["strokes"].ways[0].run(Data(folder, tmp_path), 0)
    (fit,) = fits
    expected = {"n_components": 196, "rho": 0.1, "alpha": 3e-3, "beta": 3.0, "max_iter": 400}
    assert parameters_of(fit, *expected) == expected


def test_self_taught_learning_sees_five_to_nine_without_labels_and_half_of_zero_to_four(folder, tmp_path, fits):
    data = Data(folder, tmp_path)
    BY_NAME["self-taught"].ways[0].run(data, 0)
    y = data.digits.y
    autoencoder, features, raw = fits
    assert parameters_of(autoencoder, "n_components", "max_iter") == {"n_components": 200, "max_iter": 400}
    np.testing.assert_array_equal(autoencoder[2], data.digits.X[y > 4])
    n = int(np.sum(y < 5)) // 2
    assert (features[2].shape, raw[2].shape) == ((n, 200), (n, 784))
    np.testing.assert_array_equal(raw[2], data.digits.X[y < 5][:n])
    np.testing.assert_array_equal(raw[3][0], y[y < 5][:n])
    assert parameters_of(raw, "alpha", "max_iter") == {"alpha": 1e-4, "max_iter": 100}


def test_a_stack_has_two_layers_of_200_and_only_the_softmax_decays(folder, tmp_path, fits, trainings):
    stacked.stack_of.cache_clear()
    BY_NAME["stacked"].ways[0].run(Data(folder, tmp_path), 0)
    stack, softmax = fits
    assert [layer.n_components for layer in stack[1]["autoencoders"]] == [200, 200]
    assert stack[1]["fine_tune"] is False
    assert [fit[2].shape[1] for fit in (stack, softmax)] == [784, 200]
    assert parameters_of(softmax, "alpha", "max_iter") == {"alpha": 3e-3, "max_iter": 100}
    ((objective, _, _, options),) = trainings
    assert objective.network.layer_sizes == (784, 200, 200, 10)
    assert objective.terms[1].alpha == (0.0, 0.0, 3e-3)
    assert options == {"solver": "lbfgs", "max_iter": 400}


def test_fine_tuning_starts_from_the_stack_and_its_softmax(folder, tmp_path, fits, monkeypatch):
    monkeypatch.setattr(stacked, "fine_tuned", lambda network, theta, *rest: (theta, 0.0))
    found = BY_NAME["stacked"].ways[0].run(Data(folder, tmp_path), 0)
    assert found["after"] == found["before"]


def test_a_stack_with_one_alpha_has_it_on_all_weights(folder, tmp_path, fits):
    stacked.stack_of.cache_clear()
    BY_NAME["stacked"].ways[2].run(Data(folder, tmp_path), 0)
    _, softmax, together = fits
    assert softmax[1]["alpha"] == together[1]["alpha"] == 3e-3
    assert together[1]["pretraining"] is not None


def test_color_features_have_the_tutorials_parameters(folder, tmp_path, fits):
    BY_NAME["colors"].ways[0].run(Data(folder, tmp_path, quick=True), 0)
    (fit,) = fits
    expected = {"rho": 0.035, "alpha": 3e-3, "beta": 5.0, "output_activation": "identity"}
    assert parameters_of(fit, *expected) == expected
    assert fit[2].shape[1] == 192


def test_abalone_has_matlabs_objective_and_defaults(folder, tmp_path, trainings):
    data = Data(folder, tmp_path)
    X, ranges = data.abalone, np.ptp(data.abalone, axis=0)
    assert set(X[:, 0]) == {1.0, 2.0, 3.0}
    BY_NAME["abalone"].ways[0].run(data, 0)
    expected = [((8, 10, 8), "logistic", 0.0, ranges, 1000), ((8, 4, 8), "identity", -1.0, ranges / 2, 400)]
    for (objective, samples, theta, options), (sizes, outputs, low, units, max_iter) in zip(
        trainings, expected, strict=True
    ):
        assert (objective.network.layer_sizes, objective.network.output_activation) == (sizes, outputs)
        error, decay, sparsity = objective.terms
        np.testing.assert_allclose(error.units, units)
        assert (decay.alpha, sparsity.rho, sparsity.beta) == (5e-4, 0.05, 0.5)
        inputs = np.asarray(samples.inputs)
        assert (inputs.min(), inputs.max()) == pytest.approx((low, 1.0))
        assert 0.09 < np.abs(theta).max() <= 0.1
        assert options["max_iter"] == max_iter


def test_errors_in_units_of_X_have_the_right_gradient_and_curvature():
    rng = np.random.default_rng(0)
    Z, units = rng.uniform(size=(30, 3)), np.array([2.0, 0.5, 10.0])
    network = Network((3, 4, 3), "logistic", "logistic")
    objective = Objective(network, (abalone.ErrorInUnitsOfX(units),))
    theta = network.initialize(rng)
    with precision("float64"):
        samples = Samples.from_arrays(Z, chunk_size=30, dtype="float64")
        evaluate = jax.jit(Objective.evaluate)

        def value(theta):
            return float(evaluate(objective, jnp.asarray(theta), samples).value)

        numerical = numerical_gradient(value, theta, order=4)
        gradient = np.asarray(evaluate(objective, jnp.asarray(theta), samples).gradient)
        forward = network.forward(network.unravel(jnp.asarray(theta)), jnp.asarray(Z.T))
        outputs = np.asarray(forward.outputs).T
        g = objective.terms[0].curvature_sums(network, forward, jnp.asarray(Z.T), jnp.ones(30))
    np.testing.assert_allclose(gradient, numerical, atol=1e-8)
    assert value(theta) == pytest.approx(0.5 * np.mean(np.sum((units * (outputs - Z)) ** 2, axis=1)))
    np.testing.assert_allclose(g, np.sum((units * outputs * (1 - outputs)) ** 2, axis=0))


@pytest.mark.parametrize(("noise", "rate"), [("symmetric-20", 0.2), ("symmetric-50", 0.5), ("pair-45", 0.45)])
def test_labels_are_flipped_at_the_rate_of_the_protocol(noise, rate):
    T = noisy_labels.NOISES[noise]
    np.testing.assert_allclose(T.sum(axis=1), 1)
    y = np.repeat(np.arange(10), 4000)
    given = noisy_labels.flipped(y, T, 1)
    counts = np.array([np.bincount(given[y == k], minlength=10) / 4000 for k in range(10)])
    np.testing.assert_allclose(counts, T, atol=5 * np.sqrt(0.25 / 4000))  # five standard errors
    np.testing.assert_allclose(np.diag(T), 1 - rate)
    if noise == "pair-45":
        assert T[9, 0] == T[3, 4] == 0.45


def test_noisy_labels_train_256_units_with_what_is_said_of_T(folder, tmp_path, fits):
    row = BY_NAME["pair-45"]
    for way in row.ways:
        way.run(Data(folder, tmp_path), 1)
    estimated, known, plain = fits
    assert estimated[1]["epsilon"] == "estimate_matrix"
    assert plain[1]["hidden_layer_sizes"] == known[1]["hidden_layer_sizes"] == (256,)
    assert plain[1]["epsilon"] == 0.0
    np.testing.assert_array_equal(known[1]["epsilon"], noisy_labels.NOISES["pair-45"])
    assert row.ways[0].seeds == (1, 2, 3, 4, 5)


def test_alpha_of_equal_noise_is_chosen_by_held_out_labels(folder, tmp_path, fits):
    way = BY_NAME["symmetric-20"].ways[-1]
    result = way.run(Data(folder, tmp_path), 1)
    assert way.name == "one epsilon estimated, alpha chosen by held-out labels"
    assert (fits[0][1]["epsilon"], fits[0][1]["alpha"]) == ("estimate", noisy_labels.ALPHAS)
    assert result["alpha"] in noisy_labels.ALPHAS


def test_few_labels_are_drawn_in_equal_parts_and_only_they_choose_the_settings(folder, tmp_path, fits):
    few_labels.autoencoder.cache_clear()
    data = Data(folder, tmp_path)
    next(way for way in BY_NAME["labels-100"].ways if way.name == "pretrained").run(data, 0)
    autoencoder, *folds, final = fits
    assert len(autoencoder[2]) == 1200  # the digits without labels
    assert np.bincount(final[3][0]).tolist() == [10] * 10
    assert {len(fold[2]) for fold in folds} == {75}
    known = {row.tobytes() for row in final[2]}
    assert all(row.tobytes() in known for fold in folds for row in fold[2])


def test_copies_of_few_labels_are_21_of_each(folder, tmp_path, fits):
    next(way for way in BY_NAME["labels-100"].ways if way.name == "moved copies").run(Data(folder, tmp_path), 0)
    *folds, final = fits
    assert {len(fold[2]) for fold in folds} == {22 * 75}
    assert np.bincount(final[3][0]).tolist() == [220] * 10


def test_a_held_out_tenth_chooses_the_stacks_alpha(folder, tmp_path, fits):
    stacked.stack_of.cache_clear()
    BY_NAME["stacked"].ways[3].run(Data(folder, tmp_path), 0)
    _, *together, softmax = fits
    assert [fit[1]["alpha"] for fit in together] == list(stacked.ALPHAS)
    assert {len(fit[2]) for fit in together} == {1080}
    assert softmax[1]["alpha"] in stacked.ALPHAS


def test_the_studys_settings_are_those_of_the_notes_and_each_varies_one(folder, tmp_path, fits):
    BY_NAME["parameters"].ways[0].run(Data(None, tmp_path), 0)
    settings = [parameters_of(fit, *parameters.NOTES_SETTINGS) for fit in fits]
    assert settings[0] == {"n_components": 25, "alpha": 1e-4, "rho": 0.01, "beta": 3.0, "max_iter": 400}
    for changed in settings[1:]:
        assert sum(changed[name] != value for name, value in settings[0].items()) == 1
    assert [each["max_iter"] for each in settings[:3]] == [400, 1000, 2000]


def test_seemingly_unrelated_regressions_are_those_printed(tmp_path):
    row = BY_NAME["sur"]
    found = {}
    for way in row.ways:
        found |= way.run(Data(None, tmp_path), 0)
    assert all(figure.reached(found[figure.key]) for figure in row.figures), found


def test_the_command_resumes_skips_what_has_no_data_and_writes_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "__file__", str(tmp_path / "published" / "__main__.py"))
    monkeypatch.delenv("SPARSAM_DATA", raising=False)
    run = CliRunner().invoke
    done = run(command.app, ["--quick", "sur", "softmax"])
    assert done.exit_code == 0, done.output
    assert "softmax: skipped" in done.output + done.stderr
    records = tmp_path / "quick" / "published.jsonl"
    before = records.read_bytes()
    assert run(command.app, ["--quick", "sur"]).exit_code == 0
    assert records.read_bytes() == before
    page = (tmp_path / "quick" / "PUBLISHED.md").read_text()
    assert "Seemingly unrelated regressions" in page
    assert "Not measured yet: softmax" in page
    assert run(command.app, ["nonsense"]).exit_code == 2


def test_every_way_has_its_first_seed_before_any_has_its_second(tmp_path):
    done = []

    def way(name, seeds):
        return Way(name, lambda data, seed: done.append((name, seed)) or {"correct": 1.0}, seeds)

    row = Row("a", "A", "a test", "None.", (), (), (way("one", (3, 4, 5)), way("two", (0,)), way("three", (3, 4))))
    records = Records(tmp_path / "published.jsonl")
    command.measure(row, Data(None, tmp_path), records, "a test", n_seeds=2)
    assert done == [("one", 3), ("two", 0), ("three", 3), ("one", 4), ("three", 4)]
    command.measure(row, Data(None, tmp_path), records, "a test", n_seeds=3)
    assert done[5:] == [("one", 5)]


def test_the_page_says_what_is_reached_and_what_is_not(tmp_path):
    records = Records(tmp_path / "published.jsonl")
    for way, correct in (("as published", 0.92), ("alpha chosen by held-out training digits", 0.93)):
        about = {"section": "softmax", "way": way, "seed": 0, "seconds": 3.0, "load": 0.0, "processor": "a test"}
        records.add(f"softmax/{way}/0", result={"correct": correct, "alpha": 1e-4}, **about)
    page = write_report(records, ROWS, tmp_path).read_text()
    assert "| 92.6 % | 92.00 % | 93.00 %, alpha chosen by held-out training digits | otherwise |" in page
    worse = json.loads((tmp_path / "published.jsonl").read_text().splitlines()[1])["key"]
    records.rows[worse]["result"]["correct"] = 0.91
    assert "| 92.6 % | 92.00 % |  | **no** |" in write_report(records, ROWS, tmp_path).read_text()
    about = {"section": "labels-100", "way": "moved copies", "seed": 0, "seconds": 3.0, "load": 0.0, "processor": "a"}
    records.add("labels-100/moved copies/0", result={"error": 0.1}, **about)
    page = write_report(records, ROWS, tmp_path).read_text()
    assert "| 12.0 %* | not measured | 10.00 %, moved copies | otherwise |" in page
