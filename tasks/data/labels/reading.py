"""Read whole files, of Retake and of other tools, into lines of clips and intervals."""

import math
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest

from pydantic import ValidationError

from tasks.data.labels.csv_rows import (
    LAYOUTS,
    MAX_LABELS,
    MAX_SECONDS,
    TO_FILL_IN,
    AnnotationFile,
    ClipRow,
    IntervalRow,
    LabelLine,
    LabelRow,
    Line,
    reason_of,
    row_reader,
)
from tasks.data.labels.folders import FolderReader
from tasks.data.labels.formats import DocumentFormat, formats, recognise, recognise_text
from tasks.data.labels.formats.items import MAX_ITEMS, Document, Items, Labelled, Refused, Remark, ToolLabel, Videos
from tasks.data.labels.tables import Table, open_table
from tasks.data.labels.video_names import first_known
from tasks.data.labels.vocabulary import MAX_TEXT_LENGTH, Lexicon, normal_name
from tasks.errors import BadLabels
from tasks.store.records.dataset import NO_OBJECT, Problem
from tasks.wording import plain_count

MAX_PROBLEMS_A_FILE = 1000

MAX_LIST_BYTES = 2 << 20
"""Size of a list of classes or of videos, which has a record for each line; those of EPIC-KITCHENS have 30 kB."""

ROUNDING_SECONDS = 1e-6


class Refusals:
    """The first rejected lines of a file, with reasons, and the number of all."""

    def __init__(self) -> None:
        self.num = 0
        self._last_line = math.inf
        self._kept: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter(nsmallest(MAX_PROBLEMS_A_FILE, self._kept))

    def add(self, line: int, reason: str | Callable[[], str]) -> None:
        """Count a line, and keep it with its reason if it is among the first."""
        self.num += 1
        # A million reasons would take more memory than the file.
        if line > self._last_line:
            return
        self._kept.append((line, reason if isinstance(reason, str) else reason()))
        if len(self._kept) >= 2 * MAX_PROBLEMS_A_FILE:
            self._kept = list(self)
            self._last_line = self._kept[-1][0]


def first_problems(file: str, refused: Refusals, num_more: Counter[str], where: Mapping[int, str]) -> list[Problem]:
    """Record the first rejected lines of a file, with their places, and count the others."""
    num_more[file] += max(0, refused.num - MAX_PROBLEMS_A_FILE)
    return [Problem(file=file, line=line, item=where.get(line, ""), reason=reason) for line, reason in refused]


def in_order(problems: Iterable[Problem], files: Iterable[str], num_more: Mapping[str, int]) -> tuple[Problem, ...]:
    """Sort by file, as in `files`, then by line, and cut very long lists.

    `num_more` counts rejected lines by file that are not in `problems`.
    """
    order = {file: place for place, file in enumerate(files)}
    by_file: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in sorted(problems, key=lambda p: (order.get(p.file, len(order)), p.file, p.line or 0, p.reason)):
        by_file[problem.file].append(problem)
    kept = []
    for file, own in by_file.items():
        kept += own[:MAX_PROBLEMS_A_FILE]
        if num_rest := len(own) - len(own[:MAX_PROBLEMS_A_FILE]) + num_more.get(file, 0):
            kept.append(Problem(file=file, line=None, reason=f"and {plain_count(num_rest, 'more line')} like these"))
    return tuple(kept)


@dataclass
class ReadFile:
    """A file as it was read."""

    name: str
    layout: str
    refused: Refusals
    rows: list[LabelRow] = field(default_factory=list)
    lists: list[Line] = field(default_factory=list)
    """Lines of classes or videos."""
    labels: deque[Labelled] = field(default_factory=deque)
    """Labels of another tool that are no rows yet."""
    is_of_tool: bool = False
    where: Mapping[int, str] = field(default_factory=dict)
    """The place of each item that its line number does not locate."""
    remarks: tuple[str, ...] = ()
    """About the whole file."""
    beside: frozenset[str] = frozenset()
    """The videos that came with the file."""

    def add(self, row: Line | LabelRow) -> None:
        """Take in a line."""
        if isinstance(row, Line):
            self.lists.append(row)
        else:
            self.rows.append(row)


def read_annotations(file: AnnotationFile, videos: Videos) -> ReadFile:
    """Validate every line by its header's model, or every item by its tool's reader.

    Raises:
        BadLabels: the whole file is unreadable; the message is a predicate, without the file's name.
    """
    opened = _open(file)
    if isinstance(opened, tuple):
        tool, document = opened
        return _of_tool(file, tool.name, tool.read(document, videos))
    if table := formats().tables.get(opened.layout):
        return _of_tool(file, opened.layout, table.read(opened.lines, videos), table.max_items)
    if opened.layout not in ("clips", "intervals") and len(file.content) > MAX_LIST_BYTES:
        raise BadLabels(f"is a list ({opened.layout}) of more than {MAX_LIST_BYTES >> 20} MiB; split it into several files")
    read_file = ReadFile(file.name, opened.layout, Refusals(), beside=file.beside)
    is_empty = True
    read = row_reader(opened.layout)
    for line, cells in opened.lines:
        is_empty = False
        if isinstance(cells, str):
            read_file.refused.add(line, cells)
        elif opened.layout != "clips" or any(cells.get(column) for column in TO_FILL_IN):
            try:
                read_file.add(read(line, cells))
            except ValueError as error:
                read_file.refused.add(line, str(error))
    if is_empty:
        raise BadLabels("has a header but no lines")
    return read_file


def layout_of(file: AnnotationFile) -> str:
    """Recognise a file by its content, without reading its lines.

    Raises:
        BadLabels: it is of no known layout.
    """
    opened = _open(file)
    return opened[0].name if isinstance(opened, tuple) else opened.layout


def _open(file: AnnotationFile) -> tuple[DocumentFormat, Document] | Table:
    if file.unread:
        raise BadLabels(file.unread)
    if recognised := recognise(file.name, file.content):
        return recognised
    try:
        table = open_table(file.content, formats().layouts, LAYOUTS)
    except BadLabels:
        # Tried last: a plugin may take any text.
        if recognised := recognise_text(file.name, file.content):
            return recognised
        raise
    if table.layout == "predictions":
        raise BadLabels("holds predictions of a network, not labels; to label by it, check its lines and delete the column 'network'")
    return table


def _of_tool(file: AnnotationFile, layout: str, items: Items, max_items: int = MAX_ITEMS) -> ReadFile:
    labels: deque[Labelled] = deque()
    refused = Refusals()
    shared: dict[ToolLabel, ToolLabel] = {}
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
        elif max(map(len, (*item.video, item.label.verb, item.label.noun, item.label.text))) > MAX_TEXT_LENGTH:
            refused.add(item.line, f"has a label or the name of a video of more than {MAX_TEXT_LENGTH} characters")
        else:
            labels.append(item.with_label(shared.setdefault(item.label, item.label)))
            if len(shared) > MAX_LABELS:
                raise BadLabels(f"has more than {MAX_LABELS} different labels; split it into several files")
    if not labels and not refused.num:
        raise BadLabels(f"is {layout} without any label")
    return ReadFile(
        file.name, layout, refused, labels=labels, is_of_tool=bool(labels), where=where, remarks=tuple(remarks), beside=file.beside
    )


class ToolRows:
    """A maker of rows from labels; equal ones of a million share a record."""

    def __init__(self, videos: Videos) -> None:
        self._videos = videos
        self._labels: dict[ToolLabel, LabelLine | str] = {}
        self._video: tuple[tuple[str, ...], str] = (), ""

    def rows(self, labels: Iterable[Labelled], refused: Refusals) -> Iterator[LabelRow]:
        """Yield a row for each label with verb and noun; add unusable ones to `refused`."""
        for item in labels:
            try:
                yield self._row(item)
            except ValueError as error:
                refused.add(item.line, str(error))

    def _row(self, item: Labelled) -> LabelRow:
        label = self._labels.get(item.label) or self._labels.setdefault(item.label, _label(item))
        if isinstance(label, str):
            raise ValueError(label)
        if self._video[0] != item.video:
            self._video = item.video, first_known(item.video, self._videos.finds)
        video = self._video[1]
        if not video:
            raise ValueError("the name of its video is empty")
        start, stop = item.start_seconds, item.stop_seconds
        if start is None or stop is None:
            return ClipRow(item.line, label, video, None)
        # A tool may write a start that rounding has put before the video's first frame.
        start = 0.0 if -ROUNDING_SECONDS < start < 0 else start
        if start < 0:
            raise ValueError(f"its start, {start:g} s, is negative")
        if not stop > start:  # also if a time is NaN
            raise ValueError(f"its end, {stop:g} s, is not after its start, {start:g} s")
        if stop > MAX_SECONDS:
            raise ValueError(f"its end, {stop:g} s, is more than {MAX_SECONDS} s")
        return IntervalRow(item.line, label, video, start, stop)


def _label(item: Labelled) -> LabelLine | str:
    try:
        return LabelLine.model_validate({"line": item.line, **item.label._asdict()})
    except ValidationError as error:
        return reason_of(error)


def split_text(text: str, verbs: Lexicon, nouns: Lexicon) -> tuple[str, str]:
    """Read a text such as `put meat` as a verb and a noun.

    Two words are a verb and a noun, unless they are a known verb together. Else a known verb at the start wins, as in folder names; else the
    first word is the verb. Words are split at spaces and slashes, else at `_`; `-` joins the words of a name.

    Raises:
        ValueError: its verb is left out, or means two classes.
    """
    words = text.replace("/", " ").split()
    words = [word for word in re.split("_+", words[0]) if word] if len(words) == 1 else words
    first, *rest = map(normal_name, words or [""])
    if len(rest) == 1 and not ("-".join([first, *rest]) in verbs and rest[0] not in nouns):
        return first, rest[0]
    if known := FolderReader(verbs, nouns).known((" ".join(words),)):
        return known.verb, known.noun
    return first, "-".join(rest) or NO_OBJECT
