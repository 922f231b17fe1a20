"""Docstrings hold plain-text formulas, made for terminals; this makes reStructuredText of them.

|W_1|^2 would be a substitution, cost_ a link, x * y the begin of emphasis, and "h. The" an item of
a list. Literal blocks, doctests, directives and what stands in backticks are left alone.
"""

import re

from docutils import nodes

CODE = re.compile(r"(``.+?``|`[^`]+`_?|:[a-z:]+:`[^`]+`)")
MEANT_AS_IT_IS = re.compile(r"[|*]|(?<=\w)_(?!\w)")
NO_LIST = re.compile(r"^(\s*\w)\. ")


def escape(text):
    """Escape what reStructuredText would take for markup."""
    parts = CODE.split(text)
    return "".join(
        part if CODE.fullmatch(part) else MEANT_AS_IT_IS.sub(r"\\\g<0>", part) for part in parts
    )


def escape_prose(app, what, name, obj, options, lines):
    """Escape the lines of a docstring that are prose."""
    block = None  # the indentation that a literal block, a doctest or a directive must exceed
    for index, line in enumerate(lines):
        stripped = line.strip()
        if not stripped:
            continue
        indentation = len(line) - len(line.lstrip())
        if block is not None and indentation > block:
            continue
        block = None
        if stripped.startswith(">>>") or (
            index and lines[index - 1].strip().startswith((">>>", "..."))
        ):
            continue
        if stripped.startswith(".. "):
            block = indentation
            continue
        lines[index] = NO_LIST.sub(r"\1\\. ", escape(line))
        if stripped.endswith("::"):
            block = indentation


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
