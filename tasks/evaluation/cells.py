"""Cells of tables that people open in a spreadsheet."""

import re

# Signs of full width and raised ones count, too, and spreadsheets of some countries end a cell at a semicolon.
FORMULA = re.compile(r"(^|[;|])([ \"]*)(?=[=+@\-\uff1d\uff0b\uff20\uff0d\u2212\ufe62\ufe63\ufe66\ufe6b\u207a-\u207c\u208a-\u208c])")


def plain_cell(value: object) -> object:
    """Put text on one line on which no spreadsheet sees a formula: files have names of any kind, and people write reasons of any kind."""
    if not isinstance(value, str):
        return value
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return FORMULA.sub(r"\1\2'", line)
