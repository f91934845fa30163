"""Search objects for texts that name a video, and rewrite objects without such parts."""

import codecs
import csv
import html
import io
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.data.labels.csv_rows import AnnotationFile, ClipRow, IntervalRow
from tasks.data.labels.reading import read_annotations
from tasks.data.labels.tables import text_encoding
from tasks.data.labels.video_names import KnownVideos, VideoIndex
from tasks.errors import BadInput, BadLabels
from tasks.judge.statistics.answers import encode

ZIP, PARQUET, UTF16 = b"PK\x03\x04", b"PAR1", (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
HASH_DIGITS = 12
"""Digits of a video's hash that the uids of its clips begin with."""

CHUNK_BYTES, OVERLAP_BYTES = 16 << 20, 1 << 12

Matches = Callable[[str], bool]
_Label = tuple[int, tuple[str, ...], object]
"""Line, names of the video, and the rest."""
_GONE = object()


@dataclass(frozen=True)
class Traces:
    """Texts that name videos: hashes, whole `names`, and `keys` of nothing else, such as uids."""

    videos: tuple[str, ...]
    names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        hashes = _any_of({*(video[:HASH_DIGITS] for video in self.videos), *self.keys})
        names = _any_of({spelling for name in self.names for spelling in _spellings(name)})
        # A letter, a digit or a hyphen beside a name belongs to a longer one.
        return re.compile(rb"%b|(?:(?<![\w.\x80-\xff-])|(?<=%%2F))(?:%b)(?![\w\x80-\xff-])" % (hashes, names))

    def in_text(self, text: str) -> bool:
        """Check whether a text names a video."""
        return self.in_bytes(text.encode("utf-8", "surrogatepass"))

    def in_bytes(self, data: bytes) -> bool:
        """Check whether an object names a video; archives and Parquet files are decoded."""
        return any(self._pattern.search(part) for part in _parts(data))


def _any_of(texts: set[str]) -> bytes:
    if not texts:
        return b"(?!)"
    return b"|".join(re.escape(text.encode("utf-8", "surrogatepass")) for text in sorted(texts, key=lambda text: (-len(text), text)))


def _spellings(name: str) -> Iterator[str]:
    """Yield a name as JSON, HTML, addresses and other systems spell it."""
    for plain in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        yield plain
        yield html.escape(plain)
        yield html.escape(plain, quote=False)
        yield quote(plain)
        yield quote(plain, safe="")
        yield json.dumps(plain)[1:-1]
        yield json.dumps(plain, ensure_ascii=False)[1:-1]


def _parts(data: bytes) -> Iterator[bytes]:
    """Yield the bytes of an object, and those packed in it until any damage."""
    yield data
    with suppress(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, pa.ArrowException):
        yield from _packed(data)


def _packed(data: bytes) -> Iterator[bytes]:
    if data.startswith(ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                yield member.filename.encode()
                tail = b""
                with archive.open(member) as file:
                    while chunk := file.read(CHUNK_BYTES):
                        yield tail + chunk
                        tail = chunk[-OVERLAP_BYTES:]
    elif data.startswith(PARQUET):
        table = pq.read_table(io.BytesIO(data))
        yield str(table.schema.metadata).encode()
        yield from ("\n".join(map(str, table[name].to_pylist())).encode() for name in _texts(table))
    elif data.startswith(UTF16):
        yield data.decode("utf-16", "replace").encode()


def _texts(table: pa.Table) -> list[str]:
    return [column.name for column in table.schema if "string" in str(column.type)]


def table_without(data: bytes, matches: Matches) -> bytes | None:
    """Leave out rows of a Parquet file with a matching text; None if damaged."""
    try:
        table = pq.read_table(io.BytesIO(data))
    except pa.ArrowException:
        return None
    columns = [table[name].to_pylist() for name in _texts(table)]
    keep = [not any(matches(str(cell)) for cell in row) for row in zip(*columns, strict=True)]
    return encode(table.filter(pa.array(keep, pa.bool_())))


def json_without(data: bytes, matches: Matches, blanked: Collection[str] = ()) -> bytes | None:
    """Leave out list elements with a matching text, and keys of objects that match.

    Texts of the `blanked` fields are made empty instead. None is returned if this is no JSON, or if a matching text is in no list and under no such
    key.
    """
    try:
        kept = _pruned(json.loads(data), matches, blanked)
    except ValueError:
        return None
    if kept is _GONE:
        return None
    return _to_text(kept).encode()


def _to_text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"


def json_blanked(data: bytes, matches: Matches) -> bytes | None:
    """Blank matching texts of a record; None without JSON, or if a field's name matches."""
    try:
        content = _to_text(_blanked(json.loads(data), matches))
    except ValueError:
        return None
    return None if matches(content) else content.encode()


def _blanked(value: object, matches: Matches) -> object:
    if isinstance(value, str):
        return "" if matches(value) else value
    if isinstance(value, list):
        return [_blanked(item, matches) for item in value]
    if isinstance(value, dict):
        return {name: _blanked(item, matches) for name, item in value.items()}
    return value


def csv_blanked(data: bytes, matches: Matches) -> bytes:
    """Blank the cells of a table that match."""
    text = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(data.decode(), newline=""))
    csv.writer(text, lineterminator="\n").writerows(["" if matches(cell) else cell for cell in row] for row in rows)
    return text.getvalue().encode()


def _pruned(value: object, matches: Matches, blanked: Collection[str]) -> object:
    if isinstance(value, str):
        return _GONE if matches(value) else value
    if isinstance(value, list):
        return [kept for kept in (_pruned(item, matches, blanked) for item in value) if kept is not _GONE]
    if isinstance(value, dict):
        kept = {
            name: _blanked(item, matches) if name in blanked else _pruned(item, matches, blanked)
            for name, item in value.items()
            if not matches(name)
        }
        return _GONE if any(item is _GONE for item in kept.values()) else kept
    return value


@dataclass(frozen=True)
class LabelledVideos:
    """Finds the labels of `forgotten` videos in annotation files, by any name of a video."""

    index: VideoIndex
    fps: dict[str, float]
    forgotten: Collection[str]
    traces: Traces

    def is_forgotten(self, name: str) -> bool:
        """Check whether a name, or a clip's uid, is of a forgotten video alone."""
        if self.traces.in_text(name):
            return True
        try:
            return self.index.named(name, loosely=True) in self.forgotten
        except ValueError:
            return False

    def beside(self, videos: frozenset[str]) -> Self:
        """Prefer these videos where several have a name."""
        return replace(self, index=self.index.beside(videos))

    def without(self, file: AnnotationFile) -> bytes | None:
        """Write an annotation file without labels of forgotten videos; None if no other is left.

        Raises:
            BadInput: its format cannot be written without them, and others would be lost.
        """
        try:
            labels = self._labels(file)
        except BadLabels:
            return None if self.traces.in_bytes(file.content) else file.content
        theirs: list[_Label] = []
        others: list[_Label] = []
        for label in labels:
            (theirs if any(map(self.is_forgotten, label[1])) else others).append(label)
        if not theirs and not self.traces.in_bytes(file.content):
            return file.content
        if not others:
            return None
        try:
            if file.name.lower().endswith(".json"):
                content = self._json_without(file.content, {name for label in theirs for name in label[1]})
            else:
                content = self._table_without(file.content, {label[0] for label in theirs})
            left = self._labels(replace(file, content=content))
        except BadLabels:
            left, content = [], file.content
        if self.traces.in_bytes(content) or [label[1:] for label in left] != [label[1:] for label in others]:
            raise BadInput(
                f"{file.name} labels other videos, too, and cannot be written without this one; "
                "put one file for each video in its place, and forget the video then"
            )
        return content

    def _labels(self, file: AnnotationFile) -> list[_Label]:
        """List each label or line about a video."""
        read = read_annotations(file, KnownVideos(self.index, self.fps))
        rows = [(row.line, (row.uid if isinstance(row, ClipRow) else row.video,), _rest(row)) for row in read.rows]
        lists = [(line.line, (getattr(line, "video", ""),), line.model_dump(exclude={"line"})) for line in read.lists]
        return [*rows, *lists, *((label.line, label.video, label[3:]) for label in read.labels)]

    def _table_without(self, content: bytes, lines: Collection[int]) -> bytes:
        encoding = text_encoding(content)
        text = content.decode(encoding)  # a byte order mark is not written again, except in UTF-16
        kept = [
            line
            for number, line in enumerate(io.StringIO(text, newline=""), 1)
            if number not in lines and (number == 1 or not self.traces.in_text(line))
        ]
        return "".join(kept).encode(encoding.removesuffix("-sig"))

    def _json_without(self, content: bytes, names: Collection[str]) -> bytes:
        # A word alone, such as a verb, may be the name of a video without its ending.
        return json_without(content, lambda text: text in names or (("." in text or "/" in text) and self.is_forgotten(text))) or b""


def _rest(row: ClipRow | IntervalRow) -> tuple[object, ...]:
    span = (row.start_seconds, row.stop_seconds) if isinstance(row, IntervalRow) else (row.source,)
    return row.label.model_dump(exclude={"line"}), *span, row.groups
