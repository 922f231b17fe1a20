"""Progress reporting of a fit."""
