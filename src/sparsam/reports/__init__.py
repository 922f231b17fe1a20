"""Report on a fitted estimator as one self-contained HTML page: `report`.

A page is made in three steps. `autoencoder`, `regressor` and `classifier` gather the content of their pages, as plain
values; `charts` makes specifications of charts, and `row_views` pictures of rows and filters; `page` fills a template
with the content. The charts are Vega-Altair's; Vega, which is part of the page, draws them in the browser.
"""

from sparsam.reports.builder import report

__all__ = ["report"]
