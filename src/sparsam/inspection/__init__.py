"""Inspection of what was learned: Gabor functions nearest to filters, hidden units, invariance of outputs.

Names are imported when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
