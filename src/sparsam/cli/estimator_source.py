"""Read the hyperparameters of an estimator from its source, since importing it would import JAX."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

MODULES = {
    "AutoencoderOutlierDetector": "outlier_detector",
    "SparseAutoencoder": "autoencoder",
    "MultivariateNormalRegressor": "regressor",
    "NoisyLabelClassifier": "classifier",
}


@dataclass(frozen=True)
class Hyperparameter:
    """A parameter of an estimator's ``__init__``.

    Attributes
    ----------
    name : str
    types : tuple of str
        Members of its annotation, as written: ("float", "None") for ``float | None``.
    default : object
    choices : tuple of str
        Choices in braces in the docstring, such as {"logistic", "tanh"}; empty if there are none.
    help : str
        First sentence of its description in the docstring, without markup.
    """

    name: str
    types: tuple[str, ...]
    default: Any
    choices: tuple[str, ...]
    help: str


@functools.cache
def hyperparameters_of(estimator: str) -> dict[str, Hyperparameter]:
    """Read the hyperparameters of an estimator, by name, in the order of its signature.

    Raises
    ------
    ValueError
        If the docstring does not describe one of them.
    """
    definition = _parsed(estimator)
    entries = _entries(ast.get_docstring(definition) or "")
    signature = definition.body[-1].args
    arguments = [*signature.args[1:], *signature.kwonlyargs]  # the first is self
    defaults = [*signature.defaults, *signature.kw_defaults]  # scikit-learn requires defaults for all
    found = {}
    for argument, default in zip(arguments, defaults, strict=True):
        name = argument.arg
        if name not in entries:
            raise ValueError(f"{estimator}: the section Parameters of the docstring does not describe {name}")
        kind, text = entries[name]
        choices, sentence = _choices(kind), _first_sentence(text)
        if other := re.match(r"As for `(\w+)`", text):
            described = hyperparameters_of(other[1])[name]
            choices, sentence = described.choices, described.help
        types = re.split(r" \| (?![^\[]*\])", ast.unparse(argument.annotation))  # not within brackets
        found[name] = Hyperparameter(name, tuple(types), ast.literal_eval(default), choices, sentence)
    return found


def _source(estimator: str) -> str:
    return (resources.files("sparsam.estimators") / f"{MODULES[estimator]}.py").read_text(encoding="utf-8")


def _parsed(estimator: str) -> Any:
    """Parse the class up to the signature of its ``__init__``; parsing the whole file takes ten times as long."""
    pattern = rf"^class {estimator}\b.*?^    def __init__\(.*?\) -> None:\n"
    head = re.search(pattern, _source(estimator), re.MULTILINE | re.DOTALL)
    if head is None:
        raise ValueError(f"{MODULES[estimator]}.py: expected a class {estimator} with `def __init__(...) -> None:`")
    return ast.parse(f"{head[0]}        pass\n").body[0]


def _entries(docstring: str) -> dict[str, tuple[str, str]]:
    """Map each name in the section Parameters to its type and description."""
    rest = f"{docstring}\n".partition("\nParameters\n----------\n")[2]
    section = re.split(r"^\w+\n---", rest, maxsplit=1, flags=re.MULTILINE)[0]
    # A header that ends with a comma continues on the next line.
    headers_and_texts = r"((?:^\S.*,\n)*^\S.*\n)((?:^(?: .*)?\n)*)"
    entries: dict[str, tuple[str, str]] = {}
    for header, text in re.findall(headers_and_texts, section, re.MULTILINE):
        names, _, kind = header.partition(" : ")
        entries |= {name.strip(): (kind.strip(), " ".join(text.split())) for name in names.split(",")}
    return entries


def _choices(kind: str) -> tuple[str, ...]:
    braces = re.search(r"\{.*?\}", kind)
    return tuple(re.findall(r'"(.*?)"', braces[0])) if braces else ()


def _first_sentence(text: str) -> str:
    sentence = re.split(r"(?<=\.) ", text.replace("`", ""), maxsplit=1)[0].removeprefix("Whether to ")
    return sentence[:1].upper() + sentence[1:]
