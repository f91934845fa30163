"""Rows as a table in Markdown, and where docs have it."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Row

HEADINGS = ("What", "Variant", "Median", "Quartiles", "To reference")


def markdown(rows: Sequence[Row], machine: str) -> str:
    """Write one table, then the limit and the way of measuring of each row."""
    lines = [f"Measured on: {machine}.", "", *in_columns(HEADINGS, [cells for row in rows for cells in _cells(row)])]
    for row in rows:
        notes = [f"{variant}: {note}." for variant, note in row.notes.items()]
        parts = [row.how, row.target and f"Target: {row.target}.", row.limit and f"Limit: {row.limit}.", *notes]
        lines += ["", f"**{row.title}.** {' '.join(filter(None, parts))}"]
    return "\n".join(lines)


def in_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write the lines of a table in Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def write_docs(path: Path, text: str, name: str = "bench") -> None:
    """Put `text` between the markers of this name in a file, and leave the rest as it is.

    Raises:
        ValueError: the markers are not there.
    """
    begin, end = (f"<!-- {name}: {end} -->" for end in ("begin", "end"))
    whole = path.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if not pattern.search(whole):
        raise ValueError(f"{path}: {begin} and {end} are not there")
    path.write_text(pattern.sub(lambda _: f"{begin}\n{text}\n{end}", whole), encoding="utf-8")


def _cells(row: Row) -> list[tuple[str, ...]]:
    cells = []
    for number, variant in enumerate(row.values):
        low, middle, high = row.quartiles(variant)
        ratio = "reference" if variant == row.reference else f"{row.ratio(variant):.3g} x"
        cells.append(("" if number else row.title, variant, f"{middle:.3g} {row.unit}", f"{low:.3g} to {high:.3g}", ratio))
    return cells
