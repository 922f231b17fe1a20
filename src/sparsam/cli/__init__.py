"""The command line, ``sparsam``: one file per command.

Heavy libraries (JAX, scikit-learn, Matplotlib) are imported inside the commands, so that ``sparsam --help`` is fast.
"""

import sys

from sparsam.cli.interrupts import INTERRUPTED, handle_interrupts, ignore_interrupts

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    handle_interrupts()
    try:
        from sparsam.cli.app import run  # inside the try: Ctrl-C may arrive during this import

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        ignore_interrupts()
