"""The command line, ``sparsam``: one file a command.

Everything heavy (JAX, scikit-learn, Matplotlib) is imported inside the commands, so that ``sparsam --help`` answers at
once.
"""

from sparsam.cli.app import main

__all__ = ["main"]
