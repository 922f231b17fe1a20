"""Fit the settings of a study: those of equal networks as a batch, the others in parallel threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparsam._utils.worker_threads import worker_threads
from sparsam.engine.data.sources import is_large
from sparsam.estimators.checkpoint import as_checkpoint
from sparsam.estimators.fit_many import can_fit_with_others, fit_many, kind_of
from sparsam.studies.grid import Setting

__all__ = ["Group", "fit_group", "groups_of"]

Done = Callable[[int, Any, float], None]
"""Called with each fitted setting: its number, the model, and the seconds of the fit."""


@dataclass
class Group:
    """Settings that are fitted at the same time.

    Attributes
    ----------
    together : bool
        Whether they are trainings of equal networks, which `training.train_many` takes as a batch.
    numbers : list of dict of int to int
        For each training, the numbers of its settings, by their max_iter.
    """

    together: bool
    numbers: list[dict[int, int]] = field(default_factory=list)

    @property
    def n_settings(self) -> int:
        """Number of settings."""
        return sum(map(len, self.numbers))


def groups_of(estimator: Any, settings: Sequence[Setting], wanted: Sequence[int], X: Any) -> list[Group]:
    """Group the settings with the wanted numbers.

    Settings that differ only in max_iter share one training, if the estimator can take snapshots of it.
    """
    in_memory = not is_large(X)
    trainings: dict[Hashable, dict[int, int]] = {}
    alone = Group(together=False)
    for number in wanted:
        model = settings[number].estimator(estimator)
        if in_memory and can_fit_with_others(model):
            rest = {name: value for name, value in model.get_params(deep=False).items() if name != "max_iter"}
            trainings.setdefault(repr(rest), {})[int(model.max_iter)] = number
        else:
            alone.numbers.append({int(model.max_iter): number})
    groups: dict[Hashable, Group] = {}
    for training in trainings.values():
        kind = kind_of(settings[training[max(training)]].estimator(estimator))
        groups.setdefault(kind, Group(together=True)).numbers.append(training)
    return [*groups.values(), *([alone] if alone.numbers else [])]


def fit_group(
    group: Group,
    estimator: Any,
    settings: Sequence[Setting],
    X: Any,
    y: Any,
    fit_params: Mapping[str, Any],
    done: Done,
    stop: Callable[[], bool],
) -> None:
    """Fit the settings of a group; ``done`` is called in several threads, except for settings that ``stop`` ended."""
    models = [settings[training[max(training)]].estimator(estimator) for training in group.numbers]
    if group.together:
        snapshots = {max_iter for training in group.numbers for max_iter in training} - {models[0].max_iter}
        fit_many(models, X, _Finished(group, done), snapshots=snapshots, stop=stop, **fit_params)
    else:
        numbers = [number for training in group.numbers for number in training.values()]
        _SeparateFits(settings, X, y, fit_params, done, stop).fit_all(numbers, models)


@dataclass(frozen=True)
class _Finished:
    """Report the trainings of a batch by the numbers of their settings."""

    group: Group
    done: Done

    def __call__(self, training: int, model: Any) -> None:
        number = self.group.numbers[training].get(model.max_iter)
        if number is not None:  # otherwise it is a snapshot for another training's max_iter
            history = getattr(model, "_history", {"seconds": [0.0]})
            self.done(number, model, history["seconds"][-1])


@dataclass(frozen=True)
class _SeparateFits:
    """Fits of settings in parallel threads, all of which end if one fails; see `fit_group`."""

    settings: Sequence[Setting]
    X: Any
    y: Any
    fit_params: Mapping[str, Any]
    done: Done
    stop: Callable[[], bool]
    failed: threading.Event = field(default_factory=threading.Event)

    def fit_all(self, numbers: Sequence[int], models: Sequence[Any]) -> None:
        """Fit the models of settings with these numbers."""
        with worker_threads(os.cpu_count()) as workers:
            fits = [workers.submit(self._fit, number, model) for number, model in zip(numbers, models, strict=True)]
            try:
                for fitted in fits:
                    fitted.result()
            except BaseException:
                self.failed.set()
                raise

    def _fit(self, number: int, model: Any) -> None:
        own = {"callback": model.callback, "checkpoint": model.checkpoint}
        checkpoint = as_checkpoint(model.checkpoint)
        if checkpoint is not None:
            checkpoint = replace(checkpoint, folder=Path(checkpoint.folder) / f"{number:04d}")
        callback = _StoppingCallback(model.callback, self._ends)
        if self._ends():
            return
        try:
            start = time.perf_counter()
            _fit(model.set_params(callback=callback, checkpoint=checkpoint), self.X, self.y, self.fit_params)
            if not callback.stopped:
                self.done(number, model.set_params(**own), time.perf_counter() - start)
        except BaseException as error:
            self.failed.set()
            setting = self.settings[number]
            error.add_note(f"The error occurred at {setting}, seed {setting.seed}.")
            raise

    def _ends(self) -> bool:
        return self.failed.is_set() or self.stop()


@dataclass
class _StoppingCallback:
    """Call the user's callback, and stop the training if the study ends."""

    callback: Callable[[Any], Any] | None
    ends: Callable[[], bool]
    stopped: bool = False

    def __call__(self, progress: Any) -> bool:
        self.stopped = self.stopped or self.ends()
        return self.stopped or bool(self.callback is not None and self.callback(progress))


def _fit(model: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
    try:
        model.fit(X, y, **fit_params)
    except FloatingPointError:  # recorded in stop_reason_, except if J was never finite
        if not hasattr(model, "coefs_"):
            model.stop_reason_ = "not_finite"
