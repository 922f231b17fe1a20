"""Data of a fit: in memory or streamed, merged, split."""
