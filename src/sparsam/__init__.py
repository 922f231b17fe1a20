"""sparsam: neural networks with probability models for objectives, trained until the whole gradient vanishes.

Names are imported when first used, so that ``import sparsam`` costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
