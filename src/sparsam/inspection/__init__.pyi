from .gabor import GaborFits, fit_gabors
from .invariance import invariance_report
from .units import UnitStatistics, unit_statistics

__all__ = ["GaborFits", "UnitStatistics", "fit_gabors", "invariance_report", "unit_statistics"]
