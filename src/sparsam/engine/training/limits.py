"""Find where a saved training ends under other limits, so that it can be extended.

The minimizer's steps do not depend on tol and max_iter, which only determine where it stops. So the history shows at
which iterate a training with any limits would have ended. If that is the last iterate, or none, the training can be
resumed with these limits, and equals, to the bit, a training that had them from the start.
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
    """Result of replaying a history under some limits.

    Attributes
    ----------
    end : int or None
        Number of the iterate at which the limits end the training; None if it goes on.
    beyond_plateau : bool
        Whether the training converged on a plateau and went on to a smaller tol.
    """

    end: int | None
    beyond_plateau: bool


def replay(
    history: Sequence[Progress], *, tol: float, max_iter: int, plateau: Plateau | None, dtype: DTypeLike
) -> Replayed:
    """Find where limits end a training with this history, comparing in the precision of its minimizer.

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
    beyond, current_tol = False, np.asarray(tol, dtype)
    for number, progress in enumerate(history):
        converged = progress.gradient_norm <= current_tol
        if converged and not beyond and plateau is not None and plateau.includes(progress.terms):
            beyond, current_tol = True, np.asarray(tol_beyond(tol), dtype)
            converged = progress.gradient_norm <= current_tol
        if converged or number >= max_iter:
            return Replayed(number, beyond)
    return Replayed(None, beyond)
