"""The engine: objectives of networks, their gradients and curvature, and their minimization, in JAX.

This is the engine's only public path; the modules inside may change. Names are imported on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
