"""Checkpoints: a folder from which a fit that was killed goes on, to the same bits as one that was not.

A file holds the minimizer's state, the history and the callbacks' state, as safetensors with a JSON header and a
digest; it appears whole or not at all (`atomic_write`). The last two are kept, so that there is always a good one.
"""

from __future__ import annotations

import contextlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from sparsam._utils.atomic_write import atomic_write
from sparsam._utils.checksummed_file import checksummed, read_checksummed
from sparsam._utils.stop_signals import StopSignals
from sparsam.engine.data.devices import all_gather, n_processes
from sparsam.engine.training.state import Progress, TrainingState

__all__ = ["Checkpointer"]

FORMAT = 3  # 1 is that of version 0.1.0
IF_OLDER = "finish that run with the version that wrote it, or start anew in another folder"
HEADER_KEY = "sparsam-checkpoint"
NAME = re.compile(r"checkpoint-(\d{4})-(\d{8})\.safetensors")
KEPT = 2  # the last good ones of a training
COLUMNS = tuple(part.name for part in fields(Progress) if part.name != "terms")


@dataclass
class Checkpointer:
    """Saves the trainings of a fit in a folder, and hears signals that ask it to end.

    A fit may consist of several trainings: for an estimate of label noise, for polishing. `begin_training` numbers them
    in order, and says what each depends on; where there is a single one it need not be called. When the fit is resumed,
    a training that had ended is not trained again but read. Where earlier trainings now come to something else, because
    they were extended, those that depend on it begin anew.

    Parameters
    ----------
    folder : path or None
        Created where it does not exist. None saves nothing.
    every : float
        Seconds between two checkpoints.
    resume : bool
        Whether to go on from what is there. Without it a folder that holds a checkpoint is refused.
    fingerprint : dict of str to anything that JSON holds
        What must be the same for a fit to be the same: the model, its options, its data. Not tol and max_iter: with
        others a training is extended, to the bits of one that had them from the start.
    mesh : jax.sharding.Mesh or None
        Of several processes the first one writes, and all read: the folder must be the same for all.
    signals : StopSignals
        Signals that may end the fit.
    optional : bool
        Whether the fit goes without checkpoints, with a warning, where the folder is refused.

    Raises
    ------
    FileExistsError
        If there is a checkpoint, and ``resume`` is False; not where checkpoints are optional.
    """

    folder: Path | None = None
    every: float = 60.0
    resume: bool = False
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    mesh: Mesh | None = None
    signals: StopSignals = field(default_factory=StopSignals)
    optional: bool = False
    n_begun: int = field(default=0, init=False)  # trainings of the fit
    training: Mapping[str, Any] = field(default_factory=dict, init=False)  # what the one at hand depends on
    sequence: int = field(default=0, init=False)  # of its last checkpoint
    saved_at: float = field(default=0.0, init=False)  # seconds after it began

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        if found and not self.resume:
            self.refuse(
                FileExistsError(
                    f"the folder {self.folder} holds the checkpoint {found[-1]} of another run: give resume=True to go "
                    "on with that run (of sparsam.Checkpoint, or --resume), or another folder"
                )
            )
        if self.writes and self.folder is not None:
            for leftover in self.folder.glob(".checkpoint-*.tmp"):  # of a run that was killed while it wrote
                leftover.unlink(missing_ok=True)

    @property
    def writes(self) -> bool:
        """Whether this process writes."""
        return self.folder is not None and (n_processes(self.mesh) == 1 or jax.process_index() == 0)

    @property
    def number(self) -> int:
        """Number of the training at hand, from 0 on: the first one need not be announced."""
        return max(self.n_begun - 1, 0)

    @property
    def stop(self) -> bool:
        """Whether a signal asked to end the fit."""
        return bool(self.signals.received)

    def begin_training(self, training: Mapping[str, Any]) -> None:
        """Begin the next training of the fit, which depends on this, anything that JSON holds."""
        self.n_begun, self.sequence, self.saved_at, self.training = self.n_begun + 1, 0, 0.0, training

    def refuse(self, error: Exception) -> None:
        """Raise the error; where checkpoints are optional, warn, and leave what is in the folder as it is."""
        if not self.optional:
            raise error
        warnings.warn(f"This fit goes without checkpoints: {error}.", UserWarning, stacklevel=2)
        self.folder = None

    def load(self) -> TrainingState | None:
        """Return the newest checkpoint of the training that is whole, if there is any.

        Raises
        ------
        ValueError
            If none of those there are is, or if it is of other data, another model or other options.
        """
        if self.folder is None:
            return None
        saved = self._newest()
        if np.ptp(all_gather(self.sequence, self.mesh)):
            raise ValueError(f"not all processes find the same checkpoint in {self.folder}: it must be a shared folder")
        return saved

    def due(self, seconds: float) -> bool:
        """Whether the last checkpoint is old enough, so many seconds after the training began."""
        return self.folder is not None and seconds - self.saved_at >= self.every

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint, and delete all but the last good ones. Where that fails, warn; the training goes on."""
        if self.folder is None or not self.writes:
            return
        path = self.folder / f"checkpoint-{self.number:04d}-{self.sequence + 1:08d}.safetensors"
        try:
            with atomic_write(path) as file:
                file.write(_content(state, self.fingerprint, self.training))
        except OSError as error:
            last = next(iter(self.files()), None)
            kept = f"the last good one is {last.name}" if last else "there is none yet"
            warnings.warn(
                f"The checkpoint {path} could not be written ({error}); {kept}. The training goes on, and tries again "
                f"in {self.every:g} s.",
                UserWarning,
                stacklevel=2,
            )
        else:
            self.sequence += 1
            for old in self.files()[KEPT:]:
                with contextlib.suppress(OSError):
                    old.unlink()
        self.saved_at = state.seconds

    def files(self) -> list[Path]:
        """Return the checkpoints of the training, the newest first."""
        assert self.folder is not None
        try:
            found = [(NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        except OSError:  # somebody has taken the folder away
            return []
        return sorted((path for name, path in found if name and int(name[1]) == self.number), reverse=True)

    def _newest(self) -> TrainingState | None:
        failures = []
        for path in self.files():
            try:
                header, saved = _read(path)
            except (ValueError, OSError) as error:
                failures.append(f"{path.name}: {error}")
                continue
            _check_fingerprint(header["fingerprint"], self.fingerprint, path)
            self.sequence = int(path.stem.rpartition("-")[2])
            if failures:
                warnings.warn(f"passed over a damaged checkpoint ({failures[0]})", UserWarning, stacklevel=2)
            if header["training"] != _as_read(self.training):
                return None  # what it depends on has changed since
            self.saved_at = saved.seconds
            return saved
        if failures:
            self.refuse(ValueError(f"no checkpoint in {self.folder} can be read: " + "; ".join(failures)))
        return None


def _check_fingerprint(saved: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError unless the checkpoint's fingerprint is that of this run."""
    own = _as_read(own)
    different = sorted(key for key in own.keys() | saved.keys() if own.get(key) != saved.get(key))
    if different:
        is_different = ", ".join(
            f"{key} ({saved.get(key)!r} there, {own.get(key)!r} here)" if key != "data" else "the data"
            for key in different
        )
        raise ValueError(
            f"{path} is a checkpoint of another run; what differs: {is_different}. Make them the same, or give "
            "another folder"
        )


def _as_read(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return it as it comes back from a file."""
    return dict(json.loads(json.dumps(fingerprint)))


def _content(saved: TrainingState, fingerprint: Mapping[str, Any], training: Mapping[str, Any]) -> bytes:
    names = list(saved.history[0].terms)
    rows = [
        [*(float(getattr(row, name)) for name in COLUMNS), *(row.terms[name] for name in names)]
        for row in saved.history
    ]
    arrays = {f"state.{k:04d}": leaf for k, leaf in enumerate(saved.leaves)}
    arrays |= {f"callbacks.{name}": array for name, array in saved.callbacks.items()}
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "training": training,
        "terms": names,
        "seconds": saved.seconds,
    }
    return checksummed(HEADER_KEY, header, arrays | {"history": np.array(rows)})


def _read(path: Path) -> tuple[dict[str, Any], TrainingState]:
    header, arrays = read_checksummed(path, HEADER_KEY, FORMAT, if_older=IF_OLDER)
    try:
        leaves = [arrays[name] for name in sorted(arrays) if name.startswith("state.")]
        callbacks = {name[10:]: array for name, array in arrays.items() if name.startswith("callbacks.")}
        history = [_row(row, header["terms"]) for row in arrays["history"]]
        if not (isinstance(header["fingerprint"], dict) and isinstance(header["training"], dict)):
            raise TypeError("its fingerprints are no JSON objects")
        return header, TrainingState(leaves, history, float(header["seconds"]), callbacks)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its content is not as saved ({error!r})") from error


def _row(numbers: np.ndarray[Any, Any], terms: list[str]) -> Progress:
    values = dict(zip(COLUMNS, numbers.tolist(), strict=False))
    whole: Any = {name: int(values[name]) for name in ("iteration", "evaluations", "resumed")}
    return Progress(**values | whole, terms=dict(zip(terms, numbers[len(COLUMNS) :].tolist(), strict=True)))
