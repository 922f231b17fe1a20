from .agreement import dictionary_agreement
from .gabor import GaborFits, fit_gabors
from .invariance import invariance_report
from .sparsity import SparsityReport, sparsity_report
from .units import UnitStatistics, unit_statistics

__all__ = [
    "GaborFits",
    "SparsityReport",
    "UnitStatistics",
    "dictionary_agreement",
    "fit_gabors",
    "invariance_report",
    "sparsity_report",
    "unit_statistics",
]
