"""Draw the frontiers of studies from their folders or tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from sparsam.display.frontier import plot_frontier
from sparsam.studies.tables import read_study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    Study: TypeAlias = str | os.PathLike[str] | pd.DataFrame

__all__ = ["draw_frontier"]


def draw_frontier(studies: Study | Mapping[str, Study], **options: Any) -> Axes:
    """Draw the explained variance of sparse codes against their active units, with `sparsam.display.plot_frontier`.

    Parameters
    ----------
    studies : path or DataFrame, or dict of name to path or DataFrame
        A study with held-out rows, finished or not, as `read_study` takes it; several, by name, are laid over each
        other.
    **options
        Options of `plot_frontier`: ``along``, ``ax``, ``save``, ``show``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no study, no setting of it is done, or it has no held-out rows.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sparsam import SparseAutoencoder, parameter_study
    >>> X = np.random.default_rng(0).laplace(size=(120, 4))
    >>> relu = {"hidden_activation": "relu", "output_activation": "identity"}
    >>> model = SparseAutoencoder(6, sparsity="l1", max_iter=30, **relu)
    >>> table = parameter_study(model, {"beta": [0.05, 0.2, 0.8]}, X, held_out=0.3)
    >>> ax = draw_frontier({"Laplace noise": table})
    >>> ax.get_ylabel()
    'explained variance of held-out rows'
    >>> plt.close(ax.figure)
    """
    if isinstance(studies, Mapping):
        return plot_frontier({name: read_study(study) for name, study in studies.items()}, **options)
    return plot_frontier(read_study(studies), **options)
