"""Benchmark the likelihood models on real data: held-out log-likelihood, accuracy and calibration, against peers."""
