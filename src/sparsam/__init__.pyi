from . import display, gradcheck, images, reference
from .estimators.autoencoder import SparseAutoencoder
from .persistence import load, save

__all__ = ["SparseAutoencoder", "display", "gradcheck", "images", "load", "reference", "save"]
