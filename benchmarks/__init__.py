"""The benchmarks of sparsam: ``python -m benchmarks``; see README.md beside this file."""
