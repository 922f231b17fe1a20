"""One self-contained page about a fitted estimator: `report`.

A page is made in three steps. `autoencoder`, `regressor` and `classifier` each gather what their page shows, as plain
values; `charts` and `pictures` make specifications of charts and pictures of these; `page` fills a template with it
all. The charts are Vega-Altair's, drawn in the browser by Vega, which is in the page.
"""

from sparsam.reports.builder import report

__all__ = ["report"]
