"""Figures that others have published, computed again on the same data."""
