"""Training: the minimizer driven over resident or streamed data, with checkpoints."""
