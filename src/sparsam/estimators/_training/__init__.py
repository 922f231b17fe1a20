"""Training of an estimator, and its fitted attributes."""
