"""Format of text tables, and parsing of the numbers in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["MISSING_MARKS", "PLAIN", "CsvFormat", "format_hint", "is_code", "numbers_in"]

MISSING_MARKS = ("?", "-", "--", ".", "")
"""Text that marks a missing value in a column of numbers, booleans or labels."""

TRUTH = {"true": 1.0, "false": 0.0}
SPECIAL = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
MOST_OTHERS = 0.1  # largest share of values that do not fit a format, for a column that seems to be in that format


@dataclass(frozen=True)
class CsvFormat:
    r"""Format of a text table.

    Attributes
    ----------
    sep : str or None, default=None
        Separator of values: one character, or ``\s+`` for spaces. None: a comma, or a tab in .tsv files.
    decimal : str, default="."
        Decimal point.
    thousands : str or None, default=None
        Separator of thousands.
    encoding : str, default="utf-8"
        Encoding of the text.

    Raises
    ------
    ValueError
        If a mark is not a single character, or two marks are the same.
    LookupError
        If Python knows no such encoding.
    """

    sep: str | None = None
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        """Check the marks."""
        "".encode(self.encoding)
        for name in ("sep", "decimal", "thousands"):
            mark = getattr(self, name)
            if mark is not None and len(mark) != 1 and not (name == "sep" and mark == r"\s+"):
                raise ValueError(f"{name} must be one character, got {mark!r}")
        if self.decimal in (self.sep, self.thousands):
            raise ValueError(f"decimal and sep or thousands are both {self.decimal!r}: they must differ")

    @property
    def number(self) -> re.Pattern[str]:
        """Pattern of a number in this format; groups of thousands have three digits, the first has no leading 0."""
        point = re.escape(self.decimal)
        pattern = rf"[+-]?(\d+{point}?\d*|{point}\d+)([eE][+-]?\d+)?"
        if self.thousands is not None:
            mark = re.escape(self.thousands)
            pattern += rf"|[+-]?[1-9]\d{{0,2}}({mark}\d{{3}})+({point}\d*)?"
        return re.compile(pattern)


PLAIN = CsvFormat()
CANDIDATES = {
    "--decimal ','": CsvFormat(";", ","),
    "--thousands ','": CsvFormat(";", ".", ","),
    "--decimal ',' --thousands '.'": CsvFormat(";", ",", "."),
    '--thousands "\'"': CsvFormat(";", ".", "'"),
    "--thousands ' '": CsvFormat(";", ".", " "),
    "--decimal ',' --thousands ' '": CsvFormat(";", ",", " "),
}
"""Common formats, by the options that select them."""


def numbers_in(texts: pd.Series, form: CsvFormat = PLAIN) -> pd.Series:
    """Parse the numbers, and the words true and false, in a column of text; all other text becomes NaN."""
    texts = texts.astype(object).str.strip()
    special = texts.str.fullmatch(SPECIAL).astype(bool)
    digits = texts.where(texts.str.fullmatch(form.number).astype(bool) | special)
    if form.thousands is not None:
        digits = digits.str.replace(form.thousands, "")
    numbers = pd.to_numeric(digits.str.replace(form.decimal, "."), errors="coerce").astype(float)
    return numbers.where(numbers.notna(), texts.str.lower().map(TRUTH))


def is_code(texts: pd.Series) -> pd.Series:
    """Return which texts are digits with leading zeros: these are codes, since a number needs no leading zeros."""
    return texts.astype(object).str.fullmatch(r"0\d+").astype(bool)


def format_hint(texts: pd.Series, form: CsvFormat = PLAIN) -> str:
    """Name the options with which a column of text would be numeric, and its first value that shows this.

    Returns
    -------
    hint : str
        Empty if there are no such options.
    """
    texts = texts[~texts.isin(MISSING_MARKS)]
    if texts.empty:
        return ""
    read = numbers_in(texts, form).notna()
    enough = np.ceil((1 - MOST_OTHERS) * len(texts))
    counts = {
        options: int(numbers_in(texts, other).notna().sum())
        for options, other in CANDIDATES.items()
        if texts.str.contains(other.thousands or other.decimal, regex=False).any()
    }
    best = max(counts.values(), default=0)
    if read.sum() >= best or best < enough:
        return ""
    fitting = [options for options, count in counts.items() if count == best]
    same_point = [options for options in fitting if CANDIDATES[options].decimal == form.decimal]
    if form.decimal != PLAIN.decimal and same_point:  # the user has chosen the decimal point
        fitting = same_point
    # Drop options that contain others. A lone comma may be a decimal point or separate thousands, so both remain.
    fitting = [options for options in fitting if not any(other != options and other in options for other in fitting)]
    return f"its values are written as {texts[~read].iloc[0]!r}: use {' or '.join(fitting)}"
