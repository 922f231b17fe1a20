"""Parameter studies: fit a network at every setting of a grid, tabulate the results, draw the results."""

from sparsam.studies.comparison import compare_studies
from sparsam.studies.figure import draw_study
from sparsam.studies.frontier import draw_frontier
from sparsam.studies.study import parameter_study
from sparsam.studies.tables import read_study, write_table

__all__ = ["compare_studies", "draw_frontier", "draw_study", "parameter_study", "read_study", "write_table"]
