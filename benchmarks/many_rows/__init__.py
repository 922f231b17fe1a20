"""Compare fits that begin on a sample with fits on all rows, and with mini-batches, at 100,000 and a million rows."""
