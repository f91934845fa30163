"""Find the formats of other tools, and recognise files by their content.

A module of this folder lists its formats as `FORMATS`; a plugin is such a format, or a tuple of several.
"""

import logging
import pkgutil
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from tasks.data.labels.csv_rows import LAYOUTS
from tasks.data.labels.exported import VideoSpans, interval_csv
from tasks.data.labels.formats.items import MAX_ITEMS, VIDEO_SUFFIXES, Document, Items, Labelled, Read, ReadLines, Refused, Remark
from tasks.data.labels.formats.safe_parsing import ZIP, first_byte, from_zip, parse_json, root_tag
from tasks.errors import BadConfiguration, BadLabels, RetakeError
from tasks.plugins import LABEL_FORMATS, described, load
from tasks.wording import quoted

log = logging.getLogger("retake")
T = TypeVar("T")

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".zip")
SUFFIX = re.compile(r"\.[a-z0-9]+")


@dataclass(frozen=True)
class DocumentFormat:
    """A format of JSON, XML (by its outermost element) or text without a header.

    `suffixes` are endings of its files that no other format has.
    """

    name: str
    read: Read
    is_json: Callable[[object], bool] | None = None
    xml_root: str = ""
    is_text: Callable[[bytes], bool] | None = None
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableFormat:
    """A format of tables.

    `columns` are required, in lower case with `_` for spaces. A format that `is_first` may carry the columns of others.
    """

    name: str
    columns: tuple[str, ...]
    read: ReadLines
    max_items: int = MAX_ITEMS
    is_first: bool = False


@dataclass(frozen=True)
class Writer:
    """A format that `labels export --format NAME` writes, into a file with this ending."""

    name: str
    suffix: str
    write: Callable[[Sequence[VideoSpans]], bytes]


AnyFormat = DocumentFormat | TableFormat | Writer


PREDICTIONS = ("video", "video_sha256", "network", "start_seconds", "stop_seconds")
"""Columns of `intervals.csv` and `predictions.csv`, which have the columns of an interval file, too."""


@dataclass(frozen=True)
class Formats:
    """All formats by name.

    `layouts` are the required columns of all tables, in the order in which they are tried. `left_out` has the reason for each broken plugin.
    """

    documents: dict[str, DocumentFormat] = field(default_factory=dict)
    tables: dict[str, TableFormat] = field(default_factory=dict)
    writers: dict[str, Writer] = field(default_factory=dict)
    layouts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """List the endings of files that may hold labels."""
        return (*SUFFIXES, *(suffix for document in self.documents.values() for suffix in document.suffixes))

    def add(self, each: AnyFormat) -> None:
        """Add a format.

        Raises:
            ValueError: its name is taken, or an ending is none of a label file.
        """
        endings = each.suffixes if isinstance(each, DocumentFormat) else ()
        if wrong := [ending for ending in endings if not SUFFIX.fullmatch(ending) or ending in VIDEO_SUFFIXES]:
            raise ValueError(
                f"{quoted(str(wrong[0]))} is no ending of label files: it takes a dot and small letters or digits, and no video has it"
            )
        if each.name in (self.writers if isinstance(each, Writer) else {**self.documents, **self.layouts}):
            raise ValueError(f"there is a format {quoted(each.name)} already")
        if isinstance(each, TableFormat):
            self.tables[each.name], self.layouts[each.name] = each, each.columns
        elif isinstance(each, Writer):
            self.writers[each.name] = each
        else:
            self.documents[each.name] = each


@cache
def formats() -> Formats:
    """List our formats, then those of plugins; a broken plugin is logged and left out."""
    known = Formats()
    # A table of EPIC-KITCHENS has the columns of a file about clips, too.
    known.layouts.update(predictions=PREDICTIONS, intervals=LAYOUTS["intervals"])
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    own: list[AnyFormat] = [each for module in modules for each in getattr(module, "FORMATS", ())]
    for each in sorted([*own, Writer("csv", ".csv", interval_csv)], key=lambda each: not (isinstance(each, TableFormat) and each.is_first)):
        known.add(each)
    known.layouts.update(LAYOUTS)
    for entry in entry_points(group=LABEL_FORMATS):
        try:
            loaded = load(entry, (DocumentFormat, TableFormat, Writer, tuple))
            for each in loaded if isinstance(loaded, tuple) else (loaded,):
                if not isinstance(each, AnyFormat):
                    raise ValueError(f"{type(each).__name__} is no format")
                known.add(_guarded(entry, each))
        except (BadConfiguration, ValueError) as error:
            known.left_out.append(f"{described(entry)} is left out: {error}")
            log.warning("%s", known.left_out[-1])
    return known


def recognise(name: str, content: bytes) -> tuple[DocumentFormat, Document] | None:
    """Recognise JSON, XML and archives; None for a file that may be other text.

    Raises:
        BadLabels: it is JSON, XML or an archive, but of no known tool, or unreadable.
    """
    document, known = Document(name, content), formats().documents.values()
    if content.startswith(ZIP):
        document = replace(document, content=from_zip(content, "annotations.xml"))  # of CVAT
    start = first_byte(document.content)
    if start == b"<":
        tag = root_tag(document.content)
        for each in known:
            if each.xml_root == tag:
                return each, document
        roots = " or ".join(each.xml_root for each in known if each.xml_root)
        raise BadLabels(f"is XML of no known tool: its outermost element is {quoted(tag)}, not {roots}")
    if start in (b"{", b"["):
        parsed = parse_json(document.content)
        of_json = [(each, each.is_json) for each in known if each.is_json]
        for each, is_json in of_json:
            if is_json(parsed):
                return each, replace(document, parsed=parsed)
        if isinstance(parsed, dict) and isinstance(parsed.get("results"), dict):
            raise BadLabels("holds predictions in ActivityNet's format for results, not labels; labels have a 'database'")
        raise BadLabels(f"is JSON of no known tool; known are {', '.join(each.name for each, _ in of_json)}")
    return None


def recognise_text(name: str, content: bytes) -> tuple[DocumentFormat, Document] | None:
    """Recognise text without the header of a table."""
    known = formats().documents.values()
    return next(((each, Document(name, content)) for each in known if each.is_text and each.is_text(content)), None)


def _guarded(entry: EntryPoint, plugin: AnyFormat) -> AnyFormat:
    """Let a plugin that fails refuse a file in its own name, and recognise none."""
    if isinstance(plugin, Writer):
        return replace(plugin, write=partial(_named, entry, plugin.write))
    if isinstance(plugin, TableFormat):
        return replace(plugin, read=partial(_items, entry, plugin.read))
    return replace(
        plugin,
        read=partial(_items, entry, plugin.read),
        is_json=plugin.is_json and partial(_knows, entry, plugin.is_json),
        is_text=plugin.is_text and partial(_knows, entry, plugin.is_text),
    )


def _named(entry: EntryPoint, call: Callable[..., T], *given: object) -> T:
    try:
        return call(*given)
    except RetakeError:
        raise
    except Exception as error:
        raise BadLabels(f"is not for {described(entry)}, which failed: {type(error).__name__}: {error}") from error


def _knows(entry: EntryPoint, is_known: Callable[[T], bool], content: T) -> bool:
    try:
        return bool(_named(entry, is_known, content))
    except BadLabels as error:
        log.warning("a file %s", error)
        return False


def _items(entry: EntryPoint, read: Callable[..., Items], *given: object) -> Items:
    items = _named(entry, lambda: iter(read(*given)))
    while (item := _named(entry, next, items, None)) is not None:
        if not isinstance(item, Labelled | Refused | Remark):
            raise BadLabels(f"is not for {described(entry)}, which gave a {type(item).__name__}")
        yield item
