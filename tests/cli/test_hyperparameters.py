"""Options are made from the estimators' signatures and docstrings."""

import inspect
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import sparsam
from sparsam.cli import estimator_source
from sparsam.cli.app import app
from sparsam.cli.estimator_source import MODULES, hyperparameters_of
from sparsam.cli.hyperparameters import EXCLUDED, hyperparameter_options

pytestmark = pytest.mark.usefixtures("without_factors")

COMMANDS = {
    "learn": "SparseAutoencoder",
    "sweep": "SparseAutoencoder",
    "regress": "MultivariateNormalRegressor",
    "classify": "NoisyLabelClassifier",
    "anomalies": "AutoencoderOutlierDetector",
}
OF_THE_STUDY = {"checkpoint"}  # a study saves its finished settings itself
DIFFERENT_DEFAULTS = {"random_state": 0}

every_estimator = pytest.mark.parametrize("name", MODULES)
every_command = pytest.mark.parametrize("command", COMMANDS)


def options_of(command):
    return {parameter.name: parameter for parameter in typer.main.get_command(app).commands[command].params}


def defaults_of(name):
    parameters = inspect.signature(getattr(sparsam, name)).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


@every_estimator
def test_the_source_says_what_the_class_says(name):
    read = hyperparameters_of(name)
    assert {key: found.default for key, found in read.items()} == defaults_of(name)
    assert list(read) == list(defaults_of(name))


@every_command
def test_every_hyperparameter_is_an_option_or_excluded(command):
    left_out = set(EXCLUDED) | (OF_THE_STUDY if command == "sweep" else set())
    assert defaults_of(COMMANDS[command]).keys() - left_out <= options_of(command).keys()


def test_what_is_excluded_is_a_hyperparameter_and_its_reason_is_said():
    assert set(EXCLUDED) <= set().union(*map(defaults_of, MODULES))
    assert all(EXCLUDED.values())


@every_command
def test_help_shows_and_describes_every_option(run, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "100")
    page = run(command, "--help").output
    for parameter in options_of(command).values():
        for flag in (*parameter.opts, *parameter.secondary_opts):
            assert re.search(rf"{re.escape(flag)}(?![\w-])", page), flag  # --checkpoint is not --checkpoint-every
        assert parameter.help
        assert "`" not in parameter.help.replace("`sparsam", "")


@every_command
def test_defaults_are_those_of_the_estimator_unless_listed(command):
    options = options_of(command)
    for name, default in defaults_of(COMMANDS[command]).items():
        if name not in options or name in EXCLUDED:
            continue
        expected = DIFFERENT_DEFAULTS.get(name, default)
        shown = options[name].default
        if default == "auto" and shown is None:  # one of two flags
            expected = None
        if isinstance(expected, tuple):
            expected = ",".join(map(str, expected))
        elif isinstance(shown, str) and not isinstance(expected, str):  # an option of the grid
            shown = float(shown)
        assert shown == expected, name


@every_estimator
def test_choices_are_those_that_the_estimator_accepts(name):
    choices = {key: found.choices for key, found in hyperparameters_of(name).items() if found.choices}
    assert {"hidden_activation", "solver", "dtype"} & defaults_of(name).keys() <= choices.keys()
    without_sparsity = {"beta": 0.0} if name == "SparseAutoencoder" else {}  # relu requires it
    for key, values in choices.items():
        for value in values:
            needed = {"hidden_activation": "relu", "output_activation": "identity"} if value == "l1" else {}
            getattr(sparsam, name)(**without_sparsity, **needed, **{key: value}).check_hyperparameters()
        if key != "covariance":  # checked when the number of targets is known
            with pytest.raises(ValueError, match=key):
                getattr(sparsam, name)(**without_sparsity, **{key: "another"}).check_hyperparameters()


@pytest.mark.parametrize("command", ["learn --solver newton", "regress t.csv --target y --covariance banded"])
def test_a_choice_that_there_is_not_is_wrong_usage(run, command):
    result = run(*command.split())
    assert result.exit_code == 2
    assert "is not one of" in re.sub(r"\W+", " ", result.stderr)


FAKE = '''
import jax


class Fake(Base):
    """A model.

    Parameters
    ----------
    width : int, default 3
        Width of the model; large ones are slow. A second
        sentence.
    shape : {"round", "square"} or array, default "round"
        Shape, in [low, high].
    calm : bool, default True
        Whether to be calm.
    loud : bool, default False
        Whether to be ``loud``.
    sizes : tuple of int, default ()
        Units of each layer.
    limit : float or None, default None
        Largest value.
    solver, tol,
    polish
        As for `SparseAutoencoder`; more of it.

    Attributes
    ----------
    loss_ : float
        Not a parameter.
    """

    def __init__(
        self,
        width: int = 3,
        *,
        shape: str | ArrayLike = "round",
        calm: bool = True,
        loud: bool = False,
        sizes: tuple[int, ...] = (),
        limit: float | None = None,
        solver: str = "kronecker-lbfgs",
        tol: float = 1e-5,
        polish: bool = False,
    ) -> None:
        self.width = width

    def fit(self, X):
        return self
'''


@pytest.fixture
def sources(monkeypatch):
    """Replace the source of a class by the text in a dictionary."""
    sources, of_file = {"Fake": FAKE}, estimator_source._source
    monkeypatch.setitem(MODULES, "Fake", "fake")
    monkeypatch.setattr(estimator_source, "_source", lambda name: sources.get(name) or of_file(name))
    yield sources
    hyperparameters_of.cache_clear()


@pytest.fixture
def fake_command(sources):
    seen = {}

    @hyperparameter_options("Fake", defaults={"width": 4}, help={"tol": "Another help."})
    def command(**hyperparameters):
        seen.update(hyperparameters)

    application = typer.Typer(rich_markup_mode="rich")
    application.command()(command)

    def run(*arguments):
        seen.clear()
        result = CliRunner().invoke(application, arguments)
        return result, dict(seen)

    return run


def test_a_new_hyperparameter_is_an_option_without_further_edits(fake_command):
    result, seen = fake_command()
    assert result.exit_code == 0, result.output
    assert seen == {
        "width": 4,
        "shape": "round",
        "calm": True,
        "loud": False,
        "sizes": (),
        "limit": None,
        "solver": "kronecker-lbfgs",
        "tol": 1e-5,
        "polish": False,
    }
    arguments = "--width 7 --shape square --no-calm --loud --sizes 3,4 --limit 0.5 --solver lbfgs --tol 1 --polish"
    result, seen = fake_command(*arguments.split())
    assert result.exit_code == 0, result.output
    assert list(seen.values()) == [7, "square", False, True, (3, 4), 0.5, "lbfgs", 1.0, True]


def test_help_is_the_first_sentence_of_the_docstring(fake_command):
    page = " ".join(re.sub(r"[│\n]", " ", fake_command("--help")[0].output).split())
    assert "Width of the model; large ones are slow. [default: 4]" in page
    assert "second" not in page
    assert "Shape, in [low, high]." in page
    assert "Be calm." in page
    assert "Be loud." in page
    assert "Units of each layer, comma-separated; 0: no hidden layer, a linear model. [default: 0]" in page
    assert "Another help." in page
    assert "Continue in float64 after a float32 training" in page
    assert "--no-loud" not in page


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("limit : float", "limits : float", "does not describe limit"),
        ("limit: float | None", "limit: Mesh | None", "limit: Mesh | None cannot be the type of an option"),
        ("-> None:", ":", "expected a class Fake"),
    ],
)
def test_what_cannot_be_read_is_said(sources, old, new, message):
    sources["Fake"] = FAKE.replace(old, new)
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        hyperparameter_options("Fake")(lambda **hyperparameters: None)


@pytest.mark.parametrize("arguments", [(), *((command,) for command in COMMANDS)])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from sparsam.cli import main
sys.argv[1:] = {[*arguments, "--help"]!r}
try:
    main()
finally:
    heavy = [name for name in ("jax", "numpy", "scipy", "sklearn", "matplotlib", "pandas") if name in sys.modules]
    print("heavy:", heavy)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_reading_the_source_of_estimators_leaves_their_package_in_its_place():
    """`pkgutil.get_data` loads a package without making it an attribute of the one above."""
    code = "from sparsam.cli import app; import sparsam.estimators; print(sparsam.estimators.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "sparsam.estimators\n"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2))
    frame = pd.DataFrame({"x": x[:, 0], "z": x[:, 1], "y": x @ [1, 2] + 0.1 * rng.normal(size=80)})
    frame["kind"] = np.where(frame.y > 0, "big", "small")
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return path


OF_THE_TABLE = {
    "regress": ("--target", "y", "--ignore", "kind"),
    "classify": ("--label", "kind", "--ignore", "y", "--epsilon", 0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_THE_TABLE)
def test_every_option_reaches_the_estimator_and_the_metrics(run_json, table, tmp_path, command):
    options = {
        "hidden_layer_sizes": "3,2",
        "alpha": 0.01,
        "hidden_activation": "logistic",
        "validation_fraction": 0.2,
        "n_iter_no_change": 5,
        "solver": "lbfgs",
        "max_iter": 4,
        "tol": 1e-3,
        "time_budget": 50.0,
        "chunk_size": 64,
        "dtype": "float32",
        "random_state": 3,
    }
    flags = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", value)]
    metrics = run_json(command, table, *OF_THE_TABLE[command], *flags, "--polish", "--out", tmp_path, "--verbose", 0)
    expected = options | {"hidden_layer_sizes": [3, 2], "polish": True, "early_stopping": "auto", "verbose": 0}
    assert {name: metrics["parameters"][name] for name in expected} == expected


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_THE_TABLE)
def test_a_table_goes_on_from_its_checkpoint(run, run_json, table, tmp_path, command):
    flags = (command, table, *OF_THE_TABLE[command], "--hidden-layer-sizes", 2, "--no-early-stopping", "--tol", 0)
    kept = ("--checkpoint", tmp_path / "kept", "--checkpoint-every", 0)
    assert run(*flags, "--max-iter", 6, *kept, "--out", tmp_path / "first").exit_code == 0
    assert run(*flags, "--max-iter", 6, *kept, "--out", tmp_path / "refused").exit_code == 1
    whole = run_json(*flags, "--max-iter", 6, "--out", tmp_path / "whole")
    resumed = run_json(*flags, "--max-iter", 6, *kept, "--resume", "--out", tmp_path / "resumed")
    assert resumed["J"] == whole["J"]
    assert resumed["parameters"] == whole["parameters"]
    longer = run_json(*flags, "--max-iter", 9, *kept, "--resume", "--out", tmp_path / "longer")
    assert (longer["n_iter"], longer["J"]) != (whole["n_iter"], whole["J"])
    refused = run(*flags, "--max-iter", 6, "--resume", "--out", tmp_path / "without")
    assert "--resume needs the folder of the checkpoints" in refused.stderr


@pytest.mark.slow
def test_a_study_takes_what_each_fit_takes(run_json, tmp_path):
    flags = ("--n-patches", 100, "--n-held-out", 0, "--patch-size", 3, "--n-components", 2, "--max-iter", 3)
    [row] = run_json("sweep", *flags, "--polish", "--time-budget", 60, "--chunk-size", 50, "--out", tmp_path / "study")
    model = sparsam.load(tmp_path / "study" / row["model"])
    assert (model.polish, model.time_budget, model.chunk_size) == (True, 60.0, 50)
