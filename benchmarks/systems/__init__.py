"""Systems in the races: one file per kind, each with a class that implements `benchmarks.protocol.System`."""
