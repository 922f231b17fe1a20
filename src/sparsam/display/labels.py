"""Break long labels into lines."""

from __future__ import annotations

import re

__all__ = ["wrap_label"]


def wrap_label(text: str, width: int) -> str:
    r"""Break a label into lines of at most ``width`` characters, after spaces, underscores, slashes and hyphens.

    A longer part without any of these stays whole, and so do formulas between dollar signs.

    Examples
    --------
    >>> wrap_label("blood glucose (mmol/l)", 14), wrap_label("mean_arterial_pressure", 14), wrap_label("age", 14)
    ('blood glucose\n(mmol/l)', 'mean_arterial_\npressure', 'age')
    >>> wrap_label(r"$\mathrm{velocity of}_x$ in_m", 10)
    '$\\mathrm{velocity of}_x$\nin_m'
    """
    lines = [""]
    for part in re.findall(r"(?:(?<!\\)\$(?:[^$\\]|\\.)*\$|\\.|[^\s_/-])*[\s_/-]*", text):
        if lines[-1] and len((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)
