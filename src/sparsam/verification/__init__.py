"""Verification: gradients by hand, by automatic differentiation and numerical, side by side.

Names are imported when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
