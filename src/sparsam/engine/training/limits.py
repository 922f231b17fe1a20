"""Where a training ends under other limits than it was saved with: extending a training is what resuming is for.

The minimizer's steps do not depend on tol and max_iter, only where it stops does. So a history says at which of its
iterates a training with any limits would have ended. If that is the last iterate, or none, the training can be resumed
with these limits, and is to the bit the one that would have had them from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import DTypeLike

from sparsam.engine.training.plateau import Plateau, tol_beyond
from sparsam.engine.training.state import Progress

__all__ = ["Replayed", "replay"]


class Replayed(NamedTuple):
    """A history seen under some limits.

    Attributes
    ----------
    end : int or None
        Number of the iterate at which they end the training; None where it goes on.
    beyond_plateau : bool
        Whether it has gone on to a smaller tol, from weights that had achieved nothing.
    """

    end: int | None
    beyond_plateau: bool


def replay(
    history: Sequence[Progress], *, tol: float, max_iter: int, plateau: Plateau | None, dtype: DTypeLike
) -> Replayed:
    """Find where limits end a training with this history, in the precision of its minimizer.

    Parameters
    ----------
    history : sequence of Progress
    tol, max_iter, plateau, dtype
        As for `sparsam.engine.train`.

    Returns
    -------
    Replayed

    Examples
    --------
    >>> rows = [Progress(k, k, 0.0, 1.0, {}, 10.0**-k) for k in range(4)]
    >>> replay(rows, tol=1e-2, max_iter=9, plateau=None, dtype="float64").end
    2
    >>> replay(rows, tol=1e-9, max_iter=9, plateau=None, dtype="float64").end is None
    True
    """
    beyond, least = False, np.asarray(tol, dtype)
    for number, progress in enumerate(history):
        small = progress.gradient_norm <= least
        if small and not beyond and plateau is not None and plateau.includes(progress.terms):
            beyond, least = True, np.asarray(tol_beyond(tol), dtype)
            small = progress.gradient_norm <= least
        if small or number >= max_iter:
            return Replayed(number, beyond)
    return Replayed(None, beyond)
