"""Name the items of a list in a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["listed"]


def listed(items: Sequence[Any], most: int = 12) -> str:
    """Join items with commas; of many, name the first few, and count the others.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(range(5), most=2)
    ('a, b, c', '0, 1 and 3 more')
    """
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + more
