"""Option ``--pool`` of ``encode``: features of whole images, the code of every patch, pooled over regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from sparsam.cli.models import LearnedModel
from sparsam.cli.training_rows import whitens

if TYPE_CHECKING:
    import pandas as pd


def pooled_features(learned: LearnedModel, images: dict[str, Any], pool: int, kind: str) -> pd.DataFrame:
    """Compute a row of features for each image, by its name.

    Raises
    ------
    ValueError
        If the patches of the run were clipped, or an image has fewer positions of a patch than regions.
    """
    import numpy as np
    import pandas as pd
    from sklearn.frozen import FrozenEstimator
    from sklearn.pipeline import make_pipeline

    from sparsam.preprocessing import ConvolutionalFeatures

    if not whitens(learned.scaler):
        raise ValueError(
            "--pool: the patches of this run were clipped to three standard deviations, which no filter can do: learn "
            "from whitened patches, by `sparsam learn --whitening zca --output-activation identity`"
        )
    size, border = learned.origin["patch_size"], learned.origin["border"]
    encoder = FrozenEstimator(make_pipeline(learned.scaler, learned.autoencoder))
    rows: dict[str, Any] = {}
    for shape, group in _by_shape(images).items():
        positions = [side - 2 * border - size + 1 for side in shape[:2]]
        if min(positions) < pool:
            raise ValueError(
                f"--pool {pool}: {next(iter(group))} has {positions[0]} x {positions[1]} positions of a patch: use "
                "fewer regions, or leave out the image"
            )
        inside = slice(border, -border or None)
        pixels = np.stack([image[inside, inside] for image in group.values()])
        features = ConvolutionalFeatures(encoder, pixels.shape[1:], patch_shape=size, pool=pool, kind=kind)
        features.set_params(n_patches=1000, random_state=0)  # only their mean is used: the encoder is frozen
        rows |= dict(zip(group, features.fit_transform(pixels.reshape(len(pixels), -1)), strict=True))
    names = features.get_feature_names_out()
    return pd.DataFrame([rows[name] for name in images], pd.Index(images, name="image"), columns=names)


def _by_shape(images: dict[str, Any]) -> dict[tuple[int, ...], dict[str, Any]]:
    """Group images of the same shape."""
    groups: dict[tuple[int, ...], dict[str, Any]] = {}
    for name, image in images.items():
        groups.setdefault(image.shape, {})[name] = image
    return groups


def write_features(features: pd.DataFrame, file: BinaryIO, suffix: str) -> None:
    """Write an array, or with ``suffix`` ".csv" a table with the names of the images."""
    import numpy as np

    if suffix == ".csv":
        features.to_csv(file)
    else:
        np.save(file, features.to_numpy())
