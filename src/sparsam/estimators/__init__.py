"""The estimators: scikit-learn's face of the engine, without formulas. Rooms with an underscore are private to them."""

NO_INFLUENCE = frozenset(("verbose", "callback", "checkpoint", "time_budget", "mesh", "warm_start"))
"""Hyperparameters that a resumed fit or study may change: they say what else is done, or when it ends."""
