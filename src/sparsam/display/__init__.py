"""Plot filter mosaics, reconstructions, cost curves, residuals, label noise, tangents and invariance.

Nothing here imports the engine or the estimators. The `plot_` functions take arrays and tables. The displays follow
scikit-learn: they read the public attributes and methods of an estimator, and hold the axes. A mosaic is composed once,
as an array of pixels (`filter_mosaic`); Matplotlib or Pillow, imported at the first picture, draws that array.
"""

from sparsam.display.cost_curve import plot_cost_curve
from sparsam.display.cost_curve_display import CostCurveDisplay
from sparsam.display.covariance_display import CovarianceDisplay
from sparsam.display.filter_display import FilterDisplay, ReconstructionDisplay
from sparsam.display.filters import plot_filters, plot_reconstructions
from sparsam.display.frontier import plot_frontier
from sparsam.display.invariance import plot_invariance, plot_tangents
from sparsam.display.invariance_display import InvarianceDisplay
from sparsam.display.label_noise_display import LabelNoiseDisplay
from sparsam.display.likelihood_profile import plot_likelihood_profile
from sparsam.display.mosaic import filter_mosaic
from sparsam.display.residuals import plot_residuals
from sparsam.display.study import plot_study
from sparsam.display.transition_matrix import plot_transition_matrix
from sparsam.display.weights import plot_weights

__all__ = [
    "CostCurveDisplay",
    "CovarianceDisplay",
    "FilterDisplay",
    "InvarianceDisplay",
    "LabelNoiseDisplay",
    "ReconstructionDisplay",
    "filter_mosaic",
    "plot_cost_curve",
    "plot_filters",
    "plot_frontier",
    "plot_invariance",
    "plot_likelihood_profile",
    "plot_reconstructions",
    "plot_residuals",
    "plot_study",
    "plot_tangents",
    "plot_transition_matrix",
    "plot_weights",
]
