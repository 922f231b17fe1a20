"""One evaluation of J and its gradient, against its floor: the work that it cannot avoid."""
