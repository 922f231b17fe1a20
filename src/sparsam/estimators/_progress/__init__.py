"""Progress reports of a fit."""
