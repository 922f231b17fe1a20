"""Hyperparameter ``checkpoint``: where and how often to save checkpoints of a fit, and whether to resume."""

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

    A fit that was killed can resume from its last checkpoint, with the same bits as a result, on the same machine. A
    fit that ended before it converged can be extended, with a larger ``max_iter`` or a smaller ``tol``, to the same
    bits as one long fit; it has the full ``time_budget`` again. SIGTERM and Ctrl-C save a last checkpoint before they
    end a fit. The last two checkpoints of each training are kept.

    Parameters
    ----------
    folder : str or path
        Folder of the files; it is created if it does not exist. A folder with checkpoints of other data, another model
        or other options raises an error.
    every : float or str, default "60s"
        Time between two checkpoints: seconds, or text such as "60s", "5min", "1h". 0 saves about ten times a second.
    resume : bool, default False
        Whether to resume from the checkpoint in the folder; without a checkpoint the fit starts from the beginning. If
        False, a folder with a checkpoint raises an error, so that nothing is overwritten.
    per_fit : bool, default False
        Whether to use a subfolder for each fit, named after its data and hyperparameters: for searches and
        cross-validation, where one hyperparameter is used by many fits, also in several processes. A fit continues
        without checkpoints, with a warning, if another fit is using the subfolder, or if it contains checkpoints but
        ``resume`` is False.

    Raises
    ------
    TypeError, ValueError
        If a parameter cannot be used.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from sparsam import Checkpoint, SparseAutoencoder
    >>> X = np.random.default_rng(0).uniform(0.1, 0.9, (60, 6))
    >>> model = SparseAutoencoder(3, rho=0.2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = Checkpoint(folder, every="5min", resume=True)
    ...     model = model.set_params(checkpoint=first).fit(X)  # would resume, if the folder had a checkpoint
    >>> model.stop_reason_
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
            raise ValueError("folder must not be an empty path: pass the path of a folder, or set checkpoint=None")
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
    """Convert the hyperparameter, a path, a Checkpoint, or None, to a Checkpoint or None.

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
