"""The systems that race: one file a kind, each with a class that follows `benchmarks.protocol.System`."""
