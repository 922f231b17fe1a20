"""Compare one evaluation of J and its gradient with its floor, the work that it cannot avoid."""
