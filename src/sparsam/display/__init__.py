"""Pictures: filter mosaics, reconstructions, cost curves, residuals, likelihood profiles, tangents, invariance.

Nothing here knows the engine or the estimators: arrays and tables in, pictures out. A mosaic is composed
once, as an array of pixels (`filter_mosaic`), and Matplotlib and Pillow, imported at the first picture only,
draw that array.
"""

from sparsam.display.cost_curve import plot_cost_curve
from sparsam.display.figures import plot_filters, plot_reconstructions
from sparsam.display.invariance import plot_invariance, plot_tangents
from sparsam.display.mosaic import filter_mosaic
from sparsam.display.noise_rate import plot_likelihood_profile
from sparsam.display.residuals import plot_residuals

__all__ = [
    "filter_mosaic",
    "plot_cost_curve",
    "plot_filters",
    "plot_invariance",
    "plot_likelihood_profile",
    "plot_reconstructions",
    "plot_residuals",
    "plot_tangents",
]
