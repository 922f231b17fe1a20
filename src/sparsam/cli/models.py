"""Model files of autoencoders, which ``learn``, ``show`` and ``encode`` read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparsam.estimators.autoencoder import SparseAutoencoder


def load_autoencoder(path: Path) -> SparseAutoencoder:
    """Load a model that must be an autoencoder, for `sparsam.save` writes others, too."""
    from sparsam.estimators.autoencoder import SparseAutoencoder
    from sparsam.io.persistence import load

    model = load(path)
    if not isinstance(model, SparseAutoencoder):
        raise ValueError(f"{path} holds a {type(model).__name__}, and a SparseAutoencoder is needed")
    return model
