"""Training of an estimator, and the attributes that it sets."""
