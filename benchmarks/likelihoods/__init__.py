"""What the honest likelihoods are worth on real data: held-out log-likelihood, accuracy, calibration; against peers."""
