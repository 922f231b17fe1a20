"""RESULTS.md and its plots, from the records alone: no figure in them is typed by hand."""
