"""Checkpoints: a folder from which an interrupted fit resumes, with the same bits as an uninterrupted one.

A file holds the minimizer's state, the history and the callbacks' state, as safetensors with a JSON header and a
digest; it is written completely or not at all (`atomic_write`). The last two are kept, so that one is always intact.
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
from numpy.typing import NDArray

from sparsam._utils.atomic_write import atomic_write
from sparsam._utils.checksummed_file import checksummed, read_checksummed
from sparsam._utils.stop_signals import StopSignals
from sparsam.engine.data.devices import all_gather, n_processes
from sparsam.engine.training.state import Progress, TrainingState

__all__ = ["Checkpointer"]

FORMAT = 4  # version 0.1.0 wrote format 1
IF_OLDER = "finish that run with the version that wrote it, or start again in another folder"
HEADER_KEY = "sparsam-checkpoint"
NAME = re.compile(r"checkpoint-(\d{4})-(\d{8})\.safetensors")
KEPT = 2  # number of checkpoints kept of a training
COLUMNS = tuple(part.name for part in fields(Progress) if part.name != "terms")


@dataclass
class Checkpointer:
    """Saves the trainings of a fit in a folder, and stops the fit on signals.

    A fit may consist of several trainings, for example to estimate label noise, or to polish. `begin_training` numbers
    them in order and records what each depends on; a fit of a single training need not call it. When a fit is resumed,
    a training that had ended is read from its checkpoint. If an earlier training has a different result now, because it
    was extended, the trainings that depend on it begin again.

    Parameters
    ----------
    folder : path or None
        Created if it does not exist. None saves nothing.
    every : float
        Seconds between two checkpoints.
    resume : bool
        Whether to resume from the checkpoints in the folder. If False, a folder with a checkpoint is an error.
    fingerprint : dict of str to JSON value
        Identifies the fit: the model, its options, its data. It excludes tol and max_iter, because a training may be
        extended: the result equals, to the bit, that of a training with the new limits from the start.
    mesh : jax.sharding.Mesh or None
        With several processes the first one writes and all read, so the folder must be shared.
    signals : StopSignals
        Signals that may end the fit.
    optional : bool
        Whether the fit runs without checkpoints, with a warning, if the folder cannot be used.

    Raises
    ------
    FileExistsError
        If the folder contains a checkpoint, and ``resume`` and ``optional`` are False.
    """

    folder: Path | None = None
    every: float = 60.0
    resume: bool = False
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    mesh: Mesh | None = None
    signals: StopSignals = field(default_factory=StopSignals)
    optional: bool = False
    n_begun: int = field(default=0, init=False)  # number of trainings begun
    training: Mapping[str, Any] = field(default_factory=dict, init=False)  # what the current training depends on
    sequence: int = field(default=0, init=False)  # number of its last checkpoint
    saved_at: float = field(default=0.0, init=False)  # time of its last checkpoint, in seconds from its start

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        if found and not self.resume:
            self.refuse(
                FileExistsError(
                    f"the folder {self.folder} holds the checkpoint {found[-1]} of another run: to continue that run, "
                    "set resume=True in sparsam.Checkpoint (--resume on the command line); otherwise use another folder"
                )
            )
        if self.writes and self.folder is not None:
            for leftover in self.folder.glob(".checkpoint-*.tmp"):  # from a run that was killed while writing
                leftover.unlink(missing_ok=True)

    @property
    def writes(self) -> bool:
        """Whether this process writes checkpoints."""
        return self.folder is not None and (n_processes(self.mesh) == 1 or jax.process_index() == 0)

    @property
    def number(self) -> int:
        """Number of the current training, from 0 on; the first one does not need `begin_training`."""
        return max(self.n_begun - 1, 0)

    @property
    def stop(self) -> bool:
        """Whether a signal to end the fit was received."""
        return bool(self.signals.received)

    def begin_training(self, training: Mapping[str, Any]) -> None:
        """Begin the next training of the fit; ``training`` records, as JSON values, what it depends on."""
        self.n_begun, self.sequence, self.saved_at, self.training = self.n_begun + 1, 0, 0.0, training

    def begin_part(self, depends_on: Mapping[str, Any]) -> None:
        """Begin the next part of a training, which depends on this besides; it has checkpoints of its own."""
        self.begin_training({**self.training, **depends_on})

    def refuse(self, error: Exception) -> None:
        """Raise the error; if checkpoints are optional, warn instead, and do not use the folder."""
        if not self.optional:
            raise error
        warnings.warn(f"This fit runs without checkpoints: {error}.", UserWarning, stacklevel=2)
        self.folder = None

    def load(self) -> TrainingState | None:
        """Return the newest intact checkpoint of the training, None if there is no checkpoint.

        Raises
        ------
        ValueError
            If all checkpoints are damaged, or if it belongs to other data, another model or other options.
        """
        if self.folder is None:
            return None
        saved = self._newest()
        if np.ptp(all_gather(self.sequence, self.mesh)):
            raise ValueError(f"not all processes find the same checkpoint in {self.folder}: it must be a shared folder")
        return saved

    def due(self, seconds: float) -> bool:
        """Return whether a checkpoint is due at this time, in seconds from the start of the training."""
        return self.folder is not None and seconds - self.saved_at >= self.every

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint, and delete all but the last ones. If writing fails, warn; the training goes on."""
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
                f"The checkpoint {path} could not be written ({error}); {kept}. The training continues, and the "
                f"next attempt is in {self.every:g} s.",
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
        """List the checkpoints of the training, newest first."""
        assert self.folder is not None
        try:
            found = [(NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        except OSError:  # the folder was removed
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
                warnings.warn(f"skipped a damaged checkpoint ({failures[0]})", UserWarning, stacklevel=2)
            if header["training"] != _through_json(self.training):
                return None  # what it depends on has changed
            self.saved_at = saved.seconds
            return saved
        if failures:
            self.refuse(ValueError(f"no checkpoint in {self.folder} can be read: " + "; ".join(failures)))
        return None


def _check_fingerprint(saved: Mapping[str, Any], own: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError unless the checkpoint's fingerprint equals that of this run."""
    own = _through_json(own)
    different = sorted(key for key in own.keys() | saved.keys() if own.get(key) != saved.get(key))
    if different:
        is_different = ", ".join(
            f"{key} ({saved.get(key)!r} there, {own.get(key)!r} here)" if key != "data" else "the data"
            for key in different
        )
        raise ValueError(
            f"{path} is a checkpoint of another run, which differs in: {is_different}. Use the same values, or another "
            "folder"
        )


def _through_json(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a fingerprint to JSON and back, to compare it with one from a file."""
    return dict(json.loads(json.dumps(fingerprint)))


def _content(saved: TrainingState, fingerprint: Mapping[str, Any], training: Mapping[str, Any]) -> bytes:
    names = list([*saved.sampled, *saved.history][0].terms)

    def rows(history: list[Progress]) -> NDArray[np.float64]:
        numbers = [[*(getattr(row, name) for name in COLUMNS), *(row.terms[n] for n in names)] for row in history]
        return np.array(numbers, np.float64).reshape(len(history), len(COLUMNS) + len(names))

    arrays = {f"state.{k:04d}": leaf for k, leaf in enumerate(saved.leaves)}
    arrays |= {f"callbacks.{name}": array for name, array in saved.callbacks.items()}
    header = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "training": training,
        "terms": names,
        "seconds": saved.seconds,
        "share": saved.share,
        "cost": saved.cost,
    }
    return checksummed(HEADER_KEY, header, arrays | {"history": rows(saved.history), "sampled": rows(saved.sampled)})


def _read(path: Path) -> tuple[dict[str, Any], TrainingState]:
    header, arrays = read_checksummed(path, HEADER_KEY, FORMAT, if_older=IF_OLDER)
    try:
        leaves = [arrays[name] for name in sorted(arrays) if name.startswith("state.")]
        callbacks = {name[10:]: array for name, array in arrays.items() if name.startswith("callbacks.")}
        history, sampled = ([_row(row, header["terms"]) for row in arrays[name]] for name in ("history", "sampled"))
        if not (isinstance(header["fingerprint"], dict) and isinstance(header["training"], dict)):
            raise TypeError("its fingerprints are not JSON objects")
        seconds, share, cost = (float(header[name]) for name in ("seconds", "share", "cost"))
        return header, TrainingState(leaves, history, seconds, callbacks, sampled, share, cost)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its content is not as saved ({error!r})") from error


def _row(numbers: np.ndarray[Any, Any], terms: list[str]) -> Progress:
    values = dict(zip(COLUMNS, numbers.tolist(), strict=False))
    whole: Any = {name: int(values[name]) for name in ("iteration", "resumed")}
    if values["share"] == 1:  # otherwise it is in units of all rows
        whole["evaluations"] = int(values["evaluations"])
    return Progress(**values | whole, terms=dict(zip(terms, numbers[len(COLUMNS) :].tolist(), strict=True)))
