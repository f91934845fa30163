"""Parse hostile JSON, XML and zip archives within limits of size, depth and number."""

import io
import json
import sys
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NoReturn
from xml.parsers import expat

from tasks.data.labels.vocabulary import MAX_TEXT_LENGTH
from tasks.errors import BadLabels

MAX_JSON_NODES = 750_000
MAX_JSON_PARTS = 1_250_000
"""Nodes and values together: each may have a key and a text of its own, of some 100 bytes each."""
MAX_JSON_BYTES = 96 << 20
"""Size of a text in memory. A single rare character, such as an emoji, makes it four times as large."""
MAX_XML_DEPTH = 50
MAX_XML_NODES = 1_500_000
MAX_XML_NAMES = 1000
"""Different names of elements and attributes. The parser keeps each."""
MAX_ELEMENT_NODES = 400_000
"""Nodes of an element that is kept as a whole, such as a track."""
MAX_ELEMENT_TEXT_BYTES = 128 << 20
"""Memory of its texts: a short one takes 50 to 100 bytes."""
MAX_TAG_BYTES = 1 << 22
MAX_ZIP_FILES = 100_000
MAX_UNPACKED_BYTES = 128 << 20
CHUNK_BYTES = 1 << 18
ZIP = b"PK\x03\x04"
MAX_TEXT_CHARACTERS = MAX_TEXT_LENGTH + 1
"""Characters that are kept of a text: one too many, so that the text is refused."""
XML_ERRORS = (expat.ExpatError, LookupError, ValueError)
"""The last two are of encodings that Python does not have, or that are not for XML."""
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


def first_byte(content: bytes) -> bytes:
    """Return the first byte behind spaces and byte order marks, which tells XML and JSON."""
    return content[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1]


def parse_json(content: bytes) -> object:
    """Parse JSON without NaN.

    Raises:
        BadLabels: it is no JSON, or beyond a limit of depth, number or memory.
    """
    num_nodes = content.count(b"{") + content.count(b"[")
    if num_nodes > MAX_JSON_NODES or num_nodes + content.count(b",") > MAX_JSON_PARTS:
        raise BadLabels(
            f"is JSON of more than {MAX_JSON_NODES} lists and objects, or {MAX_JSON_PARTS} with their values; split it into several files"
        )
    try:
        text = content.decode(json.detect_encoding(content), "surrogatepass")
        if sys.getsizeof(text) > MAX_JSON_BYTES:
            raise BadLabels(f"is JSON that takes more than {MAX_JSON_BYTES >> 20} MiB of memory; split it into several files")
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise BadLabels("is JSON that is nested too deeply") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise BadLabels(f"is not JSON: {str(error)[:200]}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


@dataclass(slots=True)
class Node:
    """An element of XML with its line; `attributes` are those that were asked for."""

    tag: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list["Node"] = field(default_factory=list)

    def named(self, tag: str) -> Iterator["Node"]:
        """Yield its children with this tag."""
        return (child for child in self.children if child.tag == tag)

    def below(self, tag: str) -> Iterator["Node"]:
        """Yield all elements with this tag below it."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.below(tag)


def root_tag(content: bytes) -> str:
    """Return the tag of the outermost element.

    Raises:
        BadLabels: it is no XML, or has a DTD.
    """
    tags: list[str] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = lambda tag, _: tags.append(tag) if not tags else None
    try:
        for _ in _pieces(parser, content):
            if tags:
                return tags[0]
    except XML_ERRORS as error:
        if tags:
            return tags[0]
        raise BadLabels(f"is not XML: {error}") from None
    raise BadLabels("is not XML: it has no element")


def elements(content: bytes, wanted: Collection[str], attributes: Collection[str]) -> Iterator[Node]:
    """Yield each outermost element with a tag of `wanted`, all below it, and these attributes.

    The file is read in pieces, so that memory holds one such element.

    Raises:
        BadLabels: it is no XML, has a DTD or entities of its own, or is beyond a limit.
    """
    reader = _Elements(frozenset(wanted), frozenset(attributes))
    try:
        for _ in _pieces(reader.parser, content):
            yield from reader.taken()
        reader.parser.Parse(b"", True)
    except XML_ERRORS as error:
        raise BadLabels(f"is not XML: {error}") from None
    yield from reader.taken()


def _pieces(parser: expat.XMLParserType, content: bytes) -> Iterator[None]:
    """Parse XML piece by piece; refuse too long tags and too many names."""
    for start in range(0, len(content), CHUNK_BYTES):
        parser.Parse(content[start : start + CHUNK_BYTES], False)
        if start - parser.CurrentByteIndex > MAX_TAG_BYTES:
            raise BadLabels(f"is XML with a tag of more than {MAX_TAG_BYTES >> 20} MiB")
        if len(parser.intern) > MAX_XML_NAMES:
            raise BadLabels(f"is XML with more than {MAX_XML_NAMES} different names of elements and attributes")
        yield


class _Elements:
    def __init__(self, wanted: frozenset[str], attributes: frozenset[str]) -> None:
        self._wanted, self._attributes = wanted, attributes
        self._open: list[Node] = []
        self._done: list[Node] = []
        self._depth = 0
        self._num_nodes = 0
        self._num_kept = 0
        self._num_text_bytes = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = _refuse_doctype
        self.parser.EntityDeclHandler = _refuse_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def taken(self) -> list[Node]:
        done, self._done = self._done, []
        return done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._num_nodes += 1
        if self._depth > MAX_XML_DEPTH:
            raise BadLabels(f"is XML that is nested more than {MAX_XML_DEPTH} deep")
        if self._num_nodes > MAX_XML_NODES:
            raise BadLabels(f"is XML of more than {MAX_XML_NODES} elements; split it into several files")
        if self._open or tag in self._wanted:
            self._num_kept += 1
            kept = {name: value[:MAX_TEXT_CHARACTERS] for name, value in attributes.items() if name in self._attributes}
            self._num_text_bytes += sum(map(sys.getsizeof, kept.values()))
            if self._num_kept > MAX_ELEMENT_NODES or self._num_text_bytes > MAX_ELEMENT_TEXT_BYTES:
                raise BadLabels(
                    f"is XML with a track or a document of more than {MAX_ELEMENT_NODES} elements, or of too much text; split it into several"
                )
            node = Node(tag, kept, self.parser.CurrentLineNumber)
            if self._open:
                self._open[-1].children.append(node)
            self._open.append(node)

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._open:
            node = self._open.pop()
            node.text = node.text.strip()
            if not self._open:
                self._done.append(node)
                self._num_kept = self._num_text_bytes = 0

    def _text(self, text: str) -> None:
        if self._open and len(self._open[-1].text) < MAX_TEXT_CHARACTERS:
            self._open[-1].text += text[:MAX_TEXT_CHARACTERS]
            self._num_text_bytes += sys.getsizeof(text[:MAX_TEXT_CHARACTERS])


def _refuse_doctype(*_: object) -> NoReturn:
    raise BadLabels("has a document type or entities, which are not read; remove the line with <!DOCTYPE")


def from_zip(content: bytes, name: str) -> bytes:
    """Read the file `name` of a zip archive, in any folder, in memory.

    Raises:
        BadLabels: there is no such file, or several; the archive is damaged, encrypted, or beyond a limit.
    """
    if content.count(b"PK\x01\x02") > MAX_ZIP_FILES:
        raise BadLabels(f"is an archive of more than {MAX_ZIP_FILES} files")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if any(entry.startswith(("xl/", "[Content_Types]")) for entry in names):
                raise BadLabels("is an Excel workbook; save it as 'CSV UTF-8'")
            entries = [entry for entry in archive.infolist() if PurePosixPath(entry.filename).name == name]
            if len(entries) != 1:
                raise BadLabels(f"is an archive with {len(entries)} files {name}; give it one, or the files without an archive")
            if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BadLabels("is an archive in an unusual compression; pack it as a plain zip")
            with archive.open(entries[0]) as file:
                inside = file.read(MAX_UNPACKED_BYTES + 1)
    except ZIP_ERRORS as error:
        raise BadLabels(f"is a damaged archive or Excel workbook ({str(error)[:100]}); save a workbook as 'CSV UTF-8'") from None
    if len(inside) > MAX_UNPACKED_BYTES:
        raise BadLabels(f"is an archive whose {name} is larger than {MAX_UNPACKED_BYTES >> 20} MiB; split it into several")
    return inside
