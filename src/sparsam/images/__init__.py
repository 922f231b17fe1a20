"""From images to the data matrix of an autoencoder: load, whiten, cut patches, normalize them.

Names are imported on first use, so that importing this package costs nothing.
"""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from sparsam.images.loading import load_images as load_images
    from sparsam.images.natural import natural_images as natural_images
    from sparsam.images.natural import natural_photographs as natural_photographs
    from sparsam.images.patches import normalize_patches as normalize_patches
    from sparsam.images.patches import sample_patches as sample_patches
    from sparsam.images.patches import tile_patches as tile_patches
    from sparsam.images.tangents import image_tangents as image_tangents
    from sparsam.images.whitening import whiten as whiten

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "loading": ["load_images"],
        "natural": ["natural_images", "natural_photographs"],
        "patches": ["normalize_patches", "sample_patches", "tile_patches"],
        "tangents": ["image_tangents"],
        "whitening": ["whiten"],
    },
)
