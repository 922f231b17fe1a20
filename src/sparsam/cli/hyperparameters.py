"""Make options from an estimator's hyperparameters, so that each is documented in one place, the estimator."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sparsam.cli import checkpoint_options, panels
from sparsam.cli.estimator_source import Hyperparameter, hyperparameters_of

EXCLUDED = {
    "autoencoder": "an estimator",
    "callback": "a function",
    "classes": "come from the table",
    "covariance_prior": "holds a matrix",
    "mask": "an array",
    "pretraining": "an estimator",
    "mesh": "devices; `sparsam learn` has --coordinator, --num-processes and --process-id instead",
    "tangents": "a function",
    "tangent_weight": "has no influence without tangents",
    "normalize_tangents": "has no influence without tangents",
    "tangents_of": "has no influence without tangents",
    "unlabeled": "cells of the label column are empty where there is no label",
    "verbose": "commands report progress by themselves and have their own --verbose",
    "warm_start": "continues from weights in memory; --warm-start of `sparsam learn` takes a model file instead",
}
"""Hyperparameters that are not options of any command, and why."""

MODEL = (
    "n_components",
    "hidden_layer_sizes",
    "sparsity",
    "rho",
    "beta",
    "alpha",
    "covariance",
    "covariance_alpha",
    "epsilon",
    "class_weight",
    "tied",
    "error",
    "corruption",
)
EARLY_STOPPING = ("early_stopping", "cv", "validation_fraction", "calibration_fraction", "n_iter_no_change")
PANELS = {
    **dict.fromkeys((*MODEL, "hidden_activation", "output_activation"), panels.MODEL),
    **dict.fromkeys(EARLY_STOPPING, panels.EARLY_STOPPING),
    "checkpoint": panels.CHECKPOINTS,
}
"""Panels of the help, by hyperparameter; the others are in the panel of the training."""

DEFAULTS = {"random_state": 0}  # for reproducible commands
RANGES = {"random_state": (0, 2**32 - 1)}
NONE_SHOWN_AS = {
    "beta": "3; 0.05 for l1",
    "alpha": "20/rows, at most 0.03; 0.001 for a linear model",
    "chunk_size": "chosen from the shapes",
    "covariance_alpha": "chosen in the folds",
}
NONE_IF_ZERO = ("cv",)

TYPES = {"bool": bool, "int": int, "float": float, "str": str, "os.PathLike[str]": Path, "tuple[int, ...]": tuple}
"""Types that options can have, by their names in annotations."""


@dataclass(frozen=True)
class HyperparameterOption:
    """An option that sets a hyperparameter; ``in_grid`` means that it takes several values."""

    hyperparameter: Hyperparameter
    default: Any
    help: str
    in_grid: bool

    @property
    def type(self) -> Any:
        """Type of a value; if the annotation names several, the type of the default."""
        types = [TYPES[name] for name in self.hyperparameter.types if name in TYPES]
        if not types:
            annotation = " | ".join(self.hyperparameter.types)
            raise TypeError(
                f"{self.hyperparameter.name}: {annotation} cannot be the type of an option; add it to TYPES, or the "
                "hyperparameter to EXCLUDED"
            )
        return type(self.default) if type(self.default) in types else types[-1]

    def parameter(self) -> inspect.Parameter:
        """Make the function parameter that Typer turns into an option."""
        name, default, kind, text = self.hyperparameter.name, self.default, self.type, self.help
        if self.in_grid:
            default, kind = None if default is None else f"{default:g}", str
        elif kind is tuple:
            default, kind = ",".join(map(str, default)) or "0", str
            text = f"{text.removesuffix('.')}, comma-separated; 0: no hidden layer, a linear model."
        elif self.hyperparameter.choices:
            kind = Literal[self.hyperparameter.choices]
        elif self.is_automatic:
            default, kind = None, bool  # with flags for True and False
        elif self.words:
            kind, text = str, f"{text.removesuffix('.')}; or {' or '.join(self.words)}."
        low, high = RANGES.get(name, (None, None))
        option = typer.Option(
            *((flag_of(name),) if default is False else ()),  # no flag to switch it off
            help=re.sub(r"\[(?=[a-z#/@])", r"\\[", text),  # Rich would read an unescaped bracket as a style
            show_default=self._shown_as if default is None else True,
            min=low,
            max=high,
            rich_help_panel=panels.GRID if self.in_grid else PANELS.get(name, panels.TRAINING),
        )
        annotation: Any = Annotated[kind, option]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    @property
    def words(self) -> tuple[str, ...]:
        """Words that may stand instead of a number."""
        literals = [name for name in self.hyperparameter.types if name.startswith("Literal[")]
        return tuple(re.findall(r"['\"]([^'\"]+)['\"]", " ".join(literals))) if self.type is float else ()

    @property
    def is_automatic(self) -> bool:
        """Whether the value is True, False, or "auto" if neither flag is given."""
        return self.default == "auto" and "bool" in self.hyperparameter.types

    @property
    def _shown_as(self) -> str:
        return "auto" if self.is_automatic else NONE_SHOWN_AS.get(self.hyperparameter.name, "none")

    def value_of(self, given: Any) -> Any:
        """Convert the value from the command line."""
        flag = flag_of(self.hyperparameter.name)
        if self.is_automatic and given is None:
            return self.default
        if self.hyperparameter.name in NONE_IF_ZERO and given == 0:
            return None
        if self.in_grid and given is None:
            return [None]
        if self.in_grid:
            return comma_separated(flag, given, self.type, "25,49" if self.type is int else "0.01,0.05")
        if self.type is tuple:
            values = tuple(comma_separated(flag, given, int, "50 or 50,20"))
            return () if values == (0,) else values
        if self.words and given is not None and given not in self.words:
            try:
                return float(given)
            except ValueError:
                raise ValueError(f"{flag} {given}: expected a number, or {' or '.join(self.words)}") from None
        return given


def hyperparameter_options(
    estimator: str,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    grid: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    help: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option for each hyperparameter of an estimator to a command, which receives ``**hyperparameters``.

    The hyperparameter ``checkpoint`` also adds the options of `checkpoint_options`.

    Parameters
    ----------
    estimator : str
        Name of the class.
    only, without : collections of str
        Hyperparameters to make options of, default all; hyperparameters to leave out.
    grid : collection of str
        Hyperparameters that take several values.
    defaults, help : dict or None
        Defaults and help texts that differ from those of the estimator.
    """
    all_defaults, all_help = DEFAULTS | dict(defaults or {}), dict(help or {})
    options = {
        name: HyperparameterOption(
            found, all_defaults.get(name, found.default), all_help.get(name, found.help), name in grid
        )
        for name, found in hyperparameters_of(estimator).items()
        if name not in {*EXCLUDED, *without} and (only is None or name in only)
    }
    return functools.partial(_with_options, options=options)


def _with_options(command: Callable[..., None], options: dict[str, HyperparameterOption]) -> Callable[..., None]:
    @functools.wraps(command)
    def with_options(**arguments: Any) -> None:
        values = {name: option.value_of(arguments[name]) for name, option in options.items()}
        if "checkpoint" in options:
            values["checkpoint"] = checkpoint_options.take_checkpoint(arguments)
        command(**arguments | values)

    signature = inspect.signature(command, eval_str=True)
    parameters = [option.parameter() for option in options.values()]
    parameters += checkpoint_options.PARAMETERS if "checkpoint" in options else ()
    parameters += [
        own.replace(kind=own.KEYWORD_ONLY) for own in signature.parameters.values() if own.kind is not own.VAR_KEYWORD
    ]
    signature = signature.replace(parameters=sorted(parameters, key=_panel_number))
    with_options.__signature__ = signature  # type: ignore[attr-defined]
    return with_options


def _panel_number(parameter: inspect.Parameter) -> int:
    """Return the position of a parameter's panel in the help; parameters without a panel come first."""
    if parameter.annotation is typer.Context:
        return -1
    [info] = parameter.annotation.__metadata__
    return -1 if info.rich_help_panel is None else panels.ORDER.index(info.rich_help_panel)


def comma_separated(flag: str, text: str, kind: Callable[[str], Any], example: str) -> list[Any]:
    """Parse comma-separated numbers.

    Raises
    ------
    ValueError
        If one of them is not of this kind.
    """
    try:
        return [kind(part.strip()) for part in text.split(",")]
    except ValueError:
        expected = "integers" if kind is int else "numbers"
        raise ValueError(f"{flag} {text}: expected comma-separated {expected}, such as {example}") from None


def flag_of(name: str) -> str:
    """Return the flag of a parameter."""
    return f"--{name.replace('_', '-')}"


def refuse_given(context: typer.Context, names: Collection[str], why: str) -> None:
    """Reject options that have no effect in combination with others.

    Raises
    ------
    ValueError
        If one of them is on the command line. The message names the first.
    """
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ValueError(f"{flag_of(name)} {why}")
