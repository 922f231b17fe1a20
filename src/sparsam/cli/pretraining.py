"""Option ``--pretraining`` of ``classify`` and ``regress``: autoencoders that learn from rows without a target, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.console import say
from sparsam.cli.hyperparameters import comma_separated
from sparsam.cli.panels import MODEL

if TYPE_CHECKING:
    import pandas as pd

Pretraining = Annotated[
    str | None,
    typer.Option(
        help="Numbers of units of autoencoders, comma-separated, that learn from all rows except the held-out ones, "
        "also from rows without a target; the network begins with the layers of their encoder, which are followed by "
        "--hidden-layer-sizes.",
        show_default="none",
        rich_help_panel=MODEL,
    ),
]

OF_LAYERS = ("hidden_activation", "solver", "max_iter")
OF_ALL = ("solver", "max_iter", "dtype", "polish", "chunk_size", "time_budget", "random_state")
"""Hyperparameters of the network that each autoencoder takes over, and those of the training of a stack."""

ALPHA, TOL = 1e-2, 1e-3  # enough decay for the code to be determined; a start needs no more digits


def unfitted_autoencoder(units: str, hyperparameters: dict[str, Any]) -> Any:
    """Make the autoencoder, or the stack, that ``--pretraining`` asks for.

    Columns are standardized, so that its outputs are linear. It has no sparsity penalty, as the network has none.
    """
    from sparsam.estimators.autoencoder import SparseAutoencoder
    from sparsam.estimators.stacked_autoencoder import StackedAutoencoder

    sizes = comma_separated("--pretraining", units, int, "50 or 50,20")
    if min(sizes) < 1:
        raise ValueError(f"--pretraining {units}: each number of units must be at least 1")
    layer = {name: hyperparameters[name] for name in OF_LAYERS} | {"output_activation": "identity", "tol": TOL}
    parts = [SparseAutoencoder(size, alpha=ALPHA, beta=0.0, **layer) for size in sizes]
    autoencoder: Any = parts[0] if len(parts) == 1 else StackedAutoencoder(parts, tol=TOL)
    autoencoder.set_params(**{name: hyperparameters[name] for name in OF_ALL})
    autoencoder.check_hyperparameters()
    return autoencoder


def pretrain(pipeline: Any, autoencoder: Any, training: pd.DataFrame, unlabeled: pd.DataFrame) -> None:
    """Fit an autoencoder on the training rows and on rows without a target, and let the network begin with it.

    The other steps of the pipeline are fitted on the training rows, as they are for the network, so that both learn
    from the same columns.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C stops the training.
    """
    import numpy as np
    from sklearn.base import clone
    from sklearn.frozen import FrozenEstimator

    from sparsam.estimators._progress.displays import summary_line

    columns = clone(pipeline[:-1]).fit(training)
    say(f"Pretraining on {len(training)} training rows" + f" and {len(unlabeled)} others" * bool(len(unlabeled)))
    autoencoder.fit(np.concatenate([columns.transform(rows) for rows in (training, unlabeled) if len(rows)]))
    if autoencoder.stop_reason_ == "interrupted":
        raise KeyboardInterrupt
    say(
        f"Pretraining stopped: {summary_line(autoencoder)}; its reconstructions explain "
        f"{autoencoder.explained_variance_ratio_:.1%} of the variance of the inputs"
    )
    pipeline[-1].set_params(pretraining=FrozenEstimator(autoencoder))


def pretraining_metrics(autoencoder: Any) -> dict[str, Any] | None:
    """Return the metrics of a pretraining; None if there was none."""
    if autoencoder is None:
        return None
    return {
        "n_units": [coef.shape[1] for coef in autoencoder.coefs_[: len(autoencoder.coefs_) // 2]],
        "explained_variance_ratio": autoencoder.explained_variance_ratio_,
        "n_iter": autoencoder.n_iter_,
        "stop_reason": autoencoder.stop_reason_,
    }
