"""Names that scikit-learn's users expect, in every public signature and message."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import sparsam
from sparsam import MultivariateNormalRegressor, NoisyLabelClassifier, SparseAutoencoder, TangentPipeline

SOURCE = Path(sparsam.__file__).parent
MODULES = ("sparsam", "sparsam.display", "sparsam.inspection", "sparsam.preprocessing", "sparsam.studies")


def public_callables(module):
    package = importlib.import_module(module)
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value):
            methods = inspect.getmembers(value, callable)
            yield from ((f"{name}.{method}", of) for method, of in methods if not method.startswith("_"))
        if callable(value):
            yield name, value


@pytest.mark.parametrize("module", MODULES)
def test_targets_are_called_y(module):
    named_otherwise, n_looked_at = [], 0
    for name, function in public_callables(module):
        try:
            parameters = inspect.signature(function).parameters
        except ValueError:  # built in
            continue
        n_looked_at += 1
        if "Y" in parameters:
            named_otherwise.append(name)
    assert n_looked_at > 0
    assert named_otherwise == []


def test_error_messages_call_targets_y():
    said, n_messages = [], 0
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Raise):
                continue
            texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            texts = [text for text in texts if isinstance(text, str)]
            n_messages += len(texts)
            said += [f"{path.name}: {text}" for text in texts if re.search(r"\bY\b", text)]
    assert n_messages > 300
    assert said == []


def test_score_samples_is_about_inputs_alone():
    """As in scikit-learn, whose tools call it with X; a density of targets is `log_density`."""
    assert list(inspect.signature(SparseAutoencoder.score_samples).parameters) == ["self", "X"]
    assert list(inspect.signature(MultivariateNormalRegressor.log_density).parameters) == ["self", "X", "y"]
    for estimator in (MultivariateNormalRegressor, NoisyLabelClassifier, TangentPipeline):
        assert not hasattr(estimator, "score_samples")


def test_a_tangent_pipeline_has_the_density_of_its_network():
    assert hasattr(TangentPipeline(None, MultivariateNormalRegressor()), "log_density")
    assert not hasattr(TangentPipeline(None, NoisyLabelClassifier()), "log_density")
