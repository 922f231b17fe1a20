"""The command line, ``sparsam``: one file a command.

Everything heavy (JAX, scikit-learn, Matplotlib) is imported inside the commands, so that ``sparsam --help`` answers at
once.
"""

import sys

from sparsam.cli.interrupts import INTERRUPTED, handle_interrupts, ignore_interrupts

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    handle_interrupts()
    try:
        from sparsam.cli.app import run  # Ctrl-C may come meanwhile

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        ignore_interrupts()
