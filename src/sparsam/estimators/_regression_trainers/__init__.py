"""Trainings of a regressor: with a constant covariance, with one that depends on the input, in folds."""
