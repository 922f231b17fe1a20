"""Utilities of every room: atomic files, signals, forks, compilation, digests, normal densities."""
