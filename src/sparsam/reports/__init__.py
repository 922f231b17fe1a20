"""One self-contained page about a fitted estimator: `report`.

A page is made in three steps. `autoencoder`, `regressor` and `classifier` each gather what their page shows, as plain
values; `charts` makes specifications of charts of these, and `row_views` pictures of rows and filters; `page` fills a
template with it all. The charts are Vega-Altair's, drawn in the browser by Vega, which is in the page.
"""

from sparsam.reports.builder import report

__all__ = ["report"]
