"""What an estimator's source says of its hyperparameters, read without importing it: that would import JAX."""

from __future__ import annotations

import ast
import functools
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["MODULES", "Hyperparameter", "hyperparameters_of"]

MODULES = {
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
        The members of its annotation, as they are written: ("float", "None") of ``float | None``.
    default : object
    choices : tuple of str
        Those in braces in the docstring, such as {"logistic", "tanh"}; empty if there are none.
    help : str
        The first sentence of the docstring, without markup.
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
    definition, init = _definition(estimator)
    entries = _entries(ast.get_docstring(definition) or "")
    found = {}
    for argument, default in _arguments(init):
        name = argument.arg
        if name not in entries:
            raise ValueError(f"{estimator}: the section Parameters of the docstring does not describe {name}")
        kind, text = entries[name]
        if other := re.match(r"As for `(\w+)`", text):
            described = hyperparameters_of(other[1])[name]
            choices, sentence = described.choices, described.help
        else:
            choices, sentence = _choices(kind), _first_sentence(text)
        types = tuple(map(ast.unparse, _members(argument.annotation)))
        found[name] = Hyperparameter(name, types, ast.literal_eval(default), choices, sentence)
    return found


def _source(estimator: str) -> str:
    return (pkgutil.get_data("sparsam.estimators", f"{MODULES[estimator]}.py") or b"").decode()


def _definition(estimator: str) -> tuple[ast.ClassDef, ast.FunctionDef]:
    """Parse the class and the signature of its ``__init__``."""
    # The rest of the file would take ten times as long, whenever a command is called.
    pattern = rf"^class {estimator}\b.*?^    def __init__\(.*?\) -> None:\n"
    head = re.search(pattern, _source(estimator), re.MULTILINE | re.DOTALL)
    if head is None:
        raise ValueError(f"{MODULES[estimator]}.py: expected a class {estimator} with `def __init__(...) -> None:`")
    [definition] = ast.parse(f"{head[0]}        pass\n").body
    assert isinstance(definition, ast.ClassDef)
    init = definition.body[-1]
    assert isinstance(init, ast.FunctionDef)
    return definition, init


def _arguments(init: ast.FunctionDef) -> Iterator[tuple[ast.arg, Any]]:
    """Pair each argument with its default, which scikit-learn demands of all of them."""
    positional, keywords = init.args.args[1:], init.args.kwonlyargs  # the first is self
    yield from zip(positional, init.args.defaults, strict=True)
    yield from zip(keywords, init.args.kw_defaults, strict=True)


def _members(annotation: ast.expr | None) -> Iterator[ast.expr]:
    """Take a union apart."""
    if isinstance(annotation, ast.BinOp):
        yield from _members(annotation.left)
        yield from _members(annotation.right)
    elif annotation is not None:
        yield annotation


def _entries(docstring: str) -> dict[str, tuple[str, str]]:
    """Map each name in the section Parameters to its type and its text."""
    _, _, rest = f"{docstring}\n".partition("\nParameters\n----------\n")
    section = re.split(r"^\w+\n---", rest, maxsplit=1, flags=re.MULTILINE)[0]
    headers_and_texts = r"((?:^\S.*,\n)*^\S.*\n)((?:^(?: .*)?\n)*)"  # a header that ends in a comma goes on
    entries = {}
    for header, text in re.findall(headers_and_texts, section, re.MULTILINE):
        names, _, kind = header.partition(" : ")
        for name in names.split(","):
            entries[name.strip()] = (kind.strip(), " ".join(text.split()))
    return entries


def _choices(kind: str) -> tuple[str, ...]:
    braces = re.search(r"\{.*?\}", kind)
    return tuple(re.findall(r'"(.*?)"', braces[0])) if braces else ()


def _first_sentence(text: str) -> str:
    sentence = re.split(r"(?<=\.) ", text.replace("`", ""), maxsplit=1)[0].removeprefix("Whether to ")
    return sentence[:1].upper() + sentence[1:]
