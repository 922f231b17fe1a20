"""Models of the curvature of J."""
