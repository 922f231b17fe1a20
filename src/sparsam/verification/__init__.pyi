from .certificate import certify
from .comparison import Comparison

__all__ = ["Comparison", "certify"]
