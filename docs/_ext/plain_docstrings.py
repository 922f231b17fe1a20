"""Docstrings hold plain-text formulas, made for terminals; this makes reStructuredText of them.

|W_1|^2 would be a substitution, loss_ a link, x * y the begin of emphasis, and "h. The" an item of
a list. Literal blocks, doctests, directives, titles in italics and what stands in backticks are
left alone.
"""

import re
from itertools import groupby

from docutils import nodes

MEANT_AS_MARKUP = re.compile(
    r"(``.+?``|`[^`]+`_?|:[a-z:]+:`[^`]+`|(?<!\w)\*[A-Z][^*]+\w\*(?!\w))", flags=re.DOTALL
)
MEANT_AS_IT_IS = re.compile(r"[|*]|(?<=\w)_(?!\w)")
NO_LIST = re.compile(r"^(\s*\w)\. ", flags=re.MULTILINE)


def escape(text):
    """Escape what reStructuredText would take for markup."""
    parts = MEANT_AS_MARKUP.split(text)  # every second one is markup
    parts[::2] = [MEANT_AS_IT_IS.sub(r"\\\g<0>", part) for part in parts[::2]]
    return NO_LIST.sub(r"\1\\. ", "".join(parts))


def is_prose(lines):
    """Tell of each line whether it is prose."""
    block = None  # the indentation that a literal block or a directive exceeds
    in_doctest = False
    for line in lines:
        stripped, indentation = line.strip(), len(line) - len(line.lstrip())
        in_doctest = stripped.startswith(">>>") or (in_doctest and bool(stripped))
        if stripped and block is not None and indentation <= block:
            block = None
        yield bool(stripped) and block is None and not in_doctest and not stripped.startswith(".. ")
        if block is None and (stripped.endswith("::") or stripped.startswith(".. ")):
            block = indentation


def escape_prose(app, what, name, obj, options, lines):
    """Escape the paragraphs of a docstring; a pair of backticks may span several lines."""
    escaped = []
    for prose, run in groupby(zip(is_prose(lines), lines, strict=True), key=lambda pair: pair[0]):
        text = "\n".join(line for _, line in run)
        escaped += (escape(text) if prose else text).split("\n")
    lines[:] = escaped


def trim_code(app, doctree):
    """Drop the empty line that a doctest in Markdown needs before its closing fence."""
    for block in doctree.findall(nodes.literal_block):
        if all(isinstance(child, nodes.Text) for child in block):
            block.rawsource = block.astext().rstrip()
            block[:] = [nodes.Text(block.rawsource)]


def setup(app):
    """Called by Sphinx; before numpydoc, whose priority is 500."""
    app.connect("autodoc-process-docstring", escape_prose, priority=400)
    app.connect("doctree-read", trim_code)
    return {"parallel_read_safe": True}
