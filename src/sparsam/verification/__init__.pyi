from .certificate import certificate
from .comparison import Comparison

__all__ = ["Comparison", "certificate"]
