"""sparsam: neural networks whose error functions and penalties are probability models, trained to the true minimum.

Names are imported when first used, so that ``import sparsam`` costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
