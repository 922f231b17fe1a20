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

        def finished(training: int, model: Any) -> None:
            number = group.numbers[training].get(model.max_iter)
            if number is not None:  # otherwise it is a snapshot for another training's max_iter
                history = getattr(model, "_history", {"seconds": [0.0]})
                done(number, model, history["seconds"][-1])

        snapshots = {max_iter for training in group.numbers for max_iter in training}
        fit_many(models, X, finished, snapshots=snapshots - {models[0].max_iter}, stop=stop, **fit_params)
        return
    failed = threading.Event()

    def fit(number: int, model: Any) -> None:
        own, stopped = {"callback": model.callback, "checkpoint": model.checkpoint}, threading.Event()
        checkpoint = as_checkpoint(model.checkpoint)
        if checkpoint is not None:
            checkpoint = replace(checkpoint, folder=Path(checkpoint.folder) / f"{number:04d}")

        def callback(progress: Any) -> bool:
            if failed.is_set() or stop():
                stopped.set()
            return stopped.is_set() or bool(own["callback"] is not None and own["callback"](progress))

        if failed.is_set() or stop():
            return
        try:
            start = time.perf_counter()
            _fit(model.set_params(callback=callback, checkpoint=checkpoint), X, y, fit_params)
            if not stopped.is_set():
                done(number, model.set_params(**own), time.perf_counter() - start)
        except BaseException as error:
            failed.set()
            error.add_note(f"The error occurred at {settings[number]}, seed {settings[number].seed}.")
            raise

    with worker_threads(os.cpu_count()) as workers:
        numbers = [number for training in group.numbers for number in training.values()]
        fits = [workers.submit(fit, number, model) for number, model in zip(numbers, models, strict=True)]
        try:
            for fitted in fits:
                fitted.result()
        except BaseException:
            failed.set()
            raise


def _fit(model: Any, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
    try:
        model.fit(X, y, **fit_params)
    except FloatingPointError:  # recorded in stop_reason_, except if J was never finite
        if not hasattr(model, "coefs_"):
            model.stop_reason_ = "not_finite"
