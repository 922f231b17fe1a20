"""Generate RESULTS.md and its plots from the records; no number is typed by hand."""
