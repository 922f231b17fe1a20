"""The gain from invariance: classify few digits, with knowledge of their transformations."""
