"""Panels of the commands' help, in their order."""

GRID, DATA, MODEL, TRAINING = "Grid, comma-separated values", "Data", "Model", "Training"
EARLY_STOPPING, CHECKPOINTS, SEVERAL = "Early stopping", "Checkpoints", "Several processes"
OUTPUT, COMPARISON = "Output", "Comparison"

ORDER = (GRID, DATA, MODEL, TRAINING, EARLY_STOPPING, CHECKPOINTS, SEVERAL, OUTPUT, COMPARISON)
