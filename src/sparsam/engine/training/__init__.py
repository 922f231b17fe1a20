"""Training: run the minimizer over resident or streamed data, with checkpoints."""
