"""Utilities for all packages: atomic files, signals, forks, compilation, digests, normal densities."""
