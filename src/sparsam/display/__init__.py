"""Pictures: filter mosaics, reconstructions beside their originals, cost curves.

Nothing here knows the engine or the estimators: arrays and tables in, pictures out. A mosaic is composed
once, as an array of pixels (`filter_mosaic`), and Matplotlib and Pillow, imported at the first picture only,
draw that array.
"""

from sparsam.display.cost_curve import plot_cost_curve
from sparsam.display.figures import plot_filters, plot_reconstructions
from sparsam.display.mosaic import filter_mosaic

__all__ = ["filter_mosaic", "plot_cost_curve", "plot_filters", "plot_reconstructions"]
