"""The engine: objectives of networks, their gradients and curvature, and their minimization, in JAX.

This is its one public path; where a name lives inside is free to change. Names are imported when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
