"""Print progress."""

from __future__ import annotations

import sys
import time

START = time.monotonic()


def say(text: str) -> None:
    """Print a line on standard error, with the seconds since the benchmark began."""
    print(f"[{time.monotonic() - START:6.0f} s] {text}", file=sys.stderr, flush=True)
