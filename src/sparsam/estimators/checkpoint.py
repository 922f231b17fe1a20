"""Checkpoints of a fit, as a hyperparameter: where, how often, and whether to go on from what is there."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any

__all__ = ["Checkpoint", "as_checkpoint"]

UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoints of a fit: the hyperparameter ``checkpoint`` of all estimators.

    A fit that was killed can go on from its last checkpoint, to the same bits, on the same machine. So can one that
    ended before it converged: with a larger ``max_iter`` or a smaller ``tol`` it is extended, to the bits of one long
    fit, and a ``time_budget`` is had anew. SIGTERM and Ctrl-C end a fit after a last checkpoint. The last two of each
    training are kept.

    Parameters
    ----------
    folder : str or path
        Where the files go; created where it does not exist. A folder of a fit of other data, another model or other
        options is refused.
    every : float or str, default "60s"
        Time between two checkpoints: seconds, or text such as "60s", "5min", "1h". 0 saves about ten times a second.
    resume : bool, default False
        Whether to go on from the checkpoint in the folder; of a folder without one the fit begins anew. If False, a
        folder that holds a checkpoint is refused, so that nothing is overwritten.
    per_fit : bool, default False
        Whether each fit has a subfolder of its own, named after its data and hyperparameters: for searches and
        cross-validation, where one hyperparameter serves many fits, in several processes too. Where another fit holds
        the subfolder, or one of the same data and hyperparameters has left checkpoints that ``resume`` does not allow
        to go on from, a fit goes without checkpoints and warns.

    Raises
    ------
    TypeError, ValueError
        If one of them cannot be used.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from sparsam import Checkpoint, SparseAutoencoder
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, (60, 6))
    >>> model = SparseAutoencoder(3, rho=0.2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = Checkpoint(folder, every="5min", resume=True)
    ...     rest = model.set_params(checkpoint=first).fit(X)  # would go on, if there were something to go on from
    >>> rest.stop_reason_
    'converged'
    """

    folder: str | os.PathLike[str]
    _: KW_ONLY
    every: float | str = "60s"
    resume: bool = False
    per_fit: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | os.PathLike):
            raise TypeError(f"folder must be the path of a folder, got {self.folder!r}")
        if not os.fspath(self.folder):
            raise ValueError("folder is empty: name one, or leave checkpoint=None")
        _ = self.seconds
        for name in ("resume", "per_fit"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")

    @property
    def seconds(self) -> float:
        """Time between two checkpoints in seconds."""
        every = self.every
        if isinstance(every, Real) and not isinstance(every, bool) and 0 <= float(every) < float("inf"):
            return float(every)
        found = re.fullmatch(r"\s*([0-9.]+)\s*(s|min|h|)\s*", every) if isinstance(every, str) else None
        with contextlib.suppress(ValueError):
            if found is not None:
                return float(found[1]) * UNITS[found[2]]
        raise ValueError(f"every must be seconds, or text such as '60s', '5min' or '1h', got {every!r}")


def as_checkpoint(given: Any) -> Checkpoint | None:
    """Make a checkpoint of the hyperparameter: a path, a checkpoint, or None.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if given is None or isinstance(given, Checkpoint):
        return given
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"checkpoint must be the path of a folder, a sparsam.Checkpoint, or None, got {given!r}")
    return Checkpoint(given)
