"""Read whole annotation files, Retake's own and those of other tools."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.data.labels.formats.found import MAX_ITEMS, Document, Found, Items, Refused, Remark, Said, Videos
from tasks.data.labels.formats.recognise import Tool, recognise, recognise_list
from tasks.data.labels.formats.table_rows import TABLES
from tasks.data.labels.problems import Refusals
from tasks.data.labels.rows import LAYOUTS, MAX_LABELS, TO_FILL_IN, AnnotationFile, ClipRow, IntervalRow, Row, row_reader
from tasks.data.labels.tables import Cells, open_table
from tasks.data.labels.vocabulary import MAX_TEXT_LENGTH
from tasks.errors import BadLabels

PREDICTIONS = ("video", "video_sha256", "network", "start_seconds", "stop_seconds")
"""Columns of `intervals.csv` and `predictions.csv`, which have the columns of an interval file, too."""

ALL_LAYOUTS = {
    "predictions": PREDICTIONS,
    "intervals": LAYOUTS["intervals"],
    **{name: table.columns for name, table in TABLES.items()},
    **LAYOUTS,
}
"""In the order in which they are tried: a table of EPIC-KITCHENS has the columns of a file about clips, too."""


MAX_LIST_BYTES = 2 << 20
"""Size of a list of classes or of videos. A list has a record for each line; those of EPIC-KITCHENS have 30 kB."""


@dataclass(frozen=True)
class ReadFile:
    """A validated file. `refused` holds line numbers and reasons.

    `found` are the labels of another tool's file, and `where` says for its items where they are, if lines do not. `remarks` are about the whole
    file.
    """

    name: str
    layout: str
    rows: tuple[Row | ClipRow | IntervalRow, ...]
    refused: Refusals
    found: tuple[Found, ...] = ()
    where: Mapping[int, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_annotations(file: AnnotationFile, videos: Videos) -> ReadFile:
    """Validate every line of a file by its header's model, and every item of another tool's file by its reader.

    Raises:
        BadLabels: the whole file is unreadable; the message is a predicate, without the file's name.
    """
    opened = _open(file)
    if isinstance(opened, tuple):
        tool, document = opened
        return _of_tool(file.name, tool.name, tool.read(document, videos))
    if opened.layout in TABLES:
        table = TABLES[opened.layout]
        return _of_tool(file.name, opened.layout, table.read(opened.lines, videos), table.max_items)
    if opened.layout not in ("clips", "intervals") and len(file.content) > MAX_LIST_BYTES:
        raise BadLabels(f"is a list ({opened.layout}) of more than {MAX_LIST_BYTES >> 20} MiB; split it into several files")
    rows: list[Row | ClipRow | IntervalRow] = []
    refused = Refusals()
    is_empty = True
    read = row_reader(opened.layout)
    for line, cells in opened.lines:
        is_empty = False
        if isinstance(cells, str):
            refused.add(line, cells)
        elif opened.layout != "clips" or any(cells.get(column) for column in TO_FILL_IN):
            try:
                rows.append(read(line, cells))
            except ValueError as error:
                refused.add(line, str(error))
    if is_empty:
        raise BadLabels("has a header but no lines")
    return ReadFile(file.name, opened.layout, tuple(rows), refused)


def layout_of(file: AnnotationFile) -> str:
    """Recognise a file by its content, without reading its lines.

    Raises:
        BadLabels: it is of no known layout.
    """
    opened = _open(file)
    return opened[0].name if isinstance(opened, tuple) else opened.layout


@dataclass(frozen=True)
class _Table:
    layout: str
    lines: Iterator[tuple[int, Cells | str]]


def _open(file: AnnotationFile) -> tuple[Tool, Document] | _Table:
    if file.unread:
        raise BadLabels(file.unread)
    if recognised := recognise(file.name, file.content):
        return recognised
    try:
        table = _Table(*open_table(file.content, ALL_LAYOUTS, LAYOUTS))
    except BadLabels:
        # A list without a header is tried last: its first line would do for one.
        if listed := recognise_list(file.name, file.content):
            return listed
        raise
    if table.layout == "predictions":
        raise BadLabels("holds predictions of a network, not labels; to label by it, check its lines and delete the column 'network'")
    return table


def _of_tool(name: str, layout: str, items: Items, max_items: int = MAX_ITEMS) -> ReadFile:
    found: list[Found] = []
    refused = Refusals()
    shared: dict[Said, Said] = {}
    where: dict[int, str] = {}
    remarks: list[str] = []
    for number, item in enumerate(items):
        if number >= max_items:
            raise BadLabels(f"has more than {max_items} items; split it into several files")
        if isinstance(item, Remark):
            remarks.append(item.text)
            continue
        if item.where:
            where[item.line] = item.where
        if isinstance(item, Refused):
            refused.add(item.line, item.reason)
        elif max(map(len, (*item.video, item.said.verb, item.said.noun, item.said.text))) > MAX_TEXT_LENGTH:
            refused.add(item.line, f"has a label or the name of a video of more than {MAX_TEXT_LENGTH} characters")
        else:
            found.append(item.saying(shared.setdefault(item.said, item.said)))
            if len(shared) > MAX_LABELS:
                raise BadLabels(f"has more than {MAX_LABELS} different labels; split it into several files")
    if not found and not refused.num:
        raise BadLabels(f"is {layout} without any label")
    return ReadFile(name, layout, (), refused, tuple(found), where, tuple(remarks))
