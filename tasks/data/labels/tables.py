"""Parse tables, as people and Excel write them, into lines of named cells."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from tasks.errors import BadLabels
from tasks.wording import count, quoted, text_of_cell

MAX_COLUMNS = 100
VIDEO_COLUMNS = {"uid", "video", "video_id"}
"""Columns that name a video; its name may look like a formula."""
DELIMITERS = (",", ";", "\t")
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MAX_LINES = 1 << 20
"""Lines of a table; a sheet of Excel has as many."""
MAX_LINE_CHARACTERS = 1_000_000
MAX_PLAIN_CHARACTERS = 100_000
CHUNK_BYTES = 1 << 20
EXCEL_SEPARATOR_LINE = re.compile(r'^"?sep=.?"?$', re.IGNORECASE)

Cells = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table with a known header; a line is a number with cells or refusal."""

    layout: str
    lines: Iterator[tuple[int, Cells | str]]


def text_encoding(content: bytes) -> str:
    """Find the encoding of a text: UTF-8, UTF-16 by its byte order mark, or cp1252."""
    if content.startswith(WORKBOOKS):
        raise BadLabels("is an Excel workbook; save it as 'CSV UTF-8'")
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_utf16 else ("utf-8-sig", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        with suppress(UnicodeDecodeError):
            for start in range(0, len(content), CHUNK_BYTES):
                decoder.decode(content[start : start + CHUNK_BYTES])
            decoder.decode(b"", final=True)
            return encoding
    raise BadLabels("is neither UTF-8, UTF-16 nor Windows (cp1252) text; save it as 'CSV UTF-8'")


def open_table(content: bytes, layouts: Mapping[str, tuple[str, ...]], known: Mapping[str, tuple[str, ...]]) -> Table:
    """Match a table's header to the first of `layouts`, required columns by name, that fits.

    Order, case and spaces of the header are free, and so is the delimiter. Every physical line is parsed on its own, so that an unclosed
    quote spoils one line, not the rest of the file.

    Raises:
        BadLabels: not text, empty, or no layout fits (the message names `known`); while the lines are read, that there are too many.
    """
    lines = filled_lines(content)
    number, header = next(lines, (0, ""))
    if EXCEL_SEPARATOR_LINE.match(header.strip()):
        number, header = next(lines, (0, ""))
    if not number:
        raise BadLabels("is empty")
    layout, delimiter, columns = _recognise(header, layouts, known)
    return Table(layout, _read_lines(lines, delimiter, columns))


def _read_lines(lines: Iterator[tuple[int, str]], delimiter: str, columns: list[str]) -> Iterator[tuple[int, Cells | str]]:
    for number, line in lines:
        try:
            cells = _cells(line, delimiter)
            if any(cells):
                yield number, _named(cells, columns)
        except (csv.Error, ValueError) as error:
            yield number, str(error)


def filled_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Yield numbers and texts of filled lines; of too long lines, the start.

    Other characters at which `splitlines` splits, such as U+2028, may stand in a label. The whole text, or a list of a million lines, takes more
    memory than the file.

    Raises:
        BadLabels: it is no text, or has too many lines.
    """
    text = io.TextIOWrapper(io.BytesIO(content), text_encoding(content))
    for number, line in enumerate(iter(partial(text.readline, MAX_LINE_CHARACTERS), ""), start=1):
        if number > MAX_LINES:
            raise BadLabels(f"has more than {MAX_LINES} lines; split it into several files")
        part = line
        while len(part) == MAX_LINE_CHARACTERS and part[-1] != "\n":
            part = text.readline(MAX_LINE_CHARACTERS)
        if not line.isspace():
            yield number, line.removesuffix("\n")


def _recognise(header: str, layouts: Mapping[str, tuple[str, ...]], known: Mapping[str, tuple[str, ...]]) -> tuple[str, str, list[str]]:
    for delimiter in DELIMITERS:
        try:
            columns = [re.sub(r"[\s-]+", "_", cell.casefold()) for cell in _cells(header, delimiter)]
        except (csv.Error, ValueError):
            continue
        if len(columns) > MAX_COLUMNS:
            raise BadLabels(f"has {len(columns)} columns; at most {MAX_COLUMNS} are read")
        for layout, required in layouts.items():
            if set(required) <= set(columns):
                if twice := [column for column, times in Counter(columns).items() if column and times > 1]:
                    raise BadLabels(f"names the column {quoted(twice[0])} twice")
                return layout, delimiter, columns
    listed = "; or ".join(map(",".join, known.values()))
    raise BadLabels(f"begins with {quoted(header)}, which is not a known header; required columns: {listed}")


def _cells(line: str, delimiter: str) -> list[str]:
    if len(line) >= MAX_LINE_CHARACTERS:
        raise ValueError(f"has {MAX_LINE_CHARACTERS} characters or more")
    if CONTROL_CHARACTERS.search(line):
        raise ValueError("contains control characters")
    if '"' not in line and len(line) < MAX_PLAIN_CHARACTERS:
        return [cell.strip() for cell in line.split(delimiter)]
    if line.count('"') % 2:
        raise ValueError("has an unclosed quote")
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def _named(cells: list[str], columns: list[str]) -> dict[str, str]:
    if len(cells) == 1 < len(columns):
        raise ValueError(f"has one cell where the header has {len(columns)}; use the header's delimiter")
    if any(cells[len(columns) :]):
        raise ValueError(f"has {count(len(cells), 'cell')} where the header has {len(columns)}; a name with a delimiter needs quotes")
    named = dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=False))
    for column in VIDEO_COLUMNS:
        if column in named:
            named[column] = text_of_cell(named[column])
    return named
