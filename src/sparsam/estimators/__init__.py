"""Estimators with scikit-learn's interface, without formulas. Rooms with an underscore are private to them."""

NO_INFLUENCE = frozenset(("verbose", "callback", "checkpoint", "time_budget", "mesh", "warm_start"))
"""Hyperparameters that do not influence the result of a fit, so that a resumed fit or study may change them."""
