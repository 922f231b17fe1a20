"""Transformers that prepare data for the networks: fitted once, saved with the model, applied to new data."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sparsam.preprocessing.convolutional_features import ConvolutionalFeatures as ConvolutionalFeatures
    from sparsam.preprocessing.patch_normalizer import PatchNormalizer as PatchNormalizer
    from sparsam.preprocessing.whitening import Whitening as Whitening

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "convolutional_features": ["ConvolutionalFeatures"],
        "patch_normalizer": ["PatchNormalizer"],
        "whitening": ["Whitening"],
    },
)
