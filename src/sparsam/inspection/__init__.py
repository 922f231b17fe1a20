"""Inspection of fitted networks: Gabor functions fitted to filters, hidden units, sparsity, invariance of outputs.

Names are imported on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
