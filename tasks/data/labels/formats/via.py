"""Read VIA 3: its project file and two CSV exports, with times in seconds."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial

from tasks.data.labels.formats import DocumentFormat
from tasks.data.labels.formats.items import (
    Document,
    Items,
    Labelled,
    Refused,
    ToolLabel,
    Videos,
    label_of,
    mapping,
    number,
    part_of,
    sequence,
    text,
)
from tasks.data.labels.formats.safe_parsing import parse_json
from tasks.data.labels.tables import MAX_LINE_CHARACTERS, filled_lines
from tasks.data.labels.vocabulary import MAX_TEXT_LENGTH
from tasks.errors import BadLabels
from tasks.wording import count, printable, quoted

HEADER = "CSV_HEADER"
EXPORTED = ("metadata_id", "file_list", "flags", "temporal_coordinates", "spatial_coordinates", "metadata")
SEGMENTS = ("metadata_id", "file_list", "temporal_segment_start", "temporal_segment_end", "metadata")
NO_LABELS = ("", "_DEFAULT", "default", "_default")
MAX_HEAD_BYTES = 1 << 20
MAX_FILES = 20
MAX_CHOICES = 100


def is_csv(content: bytes) -> bool:
    """Recognise the lines of `#` with which the exports begin."""
    head = content[:MAX_HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"#") and HEADER.encode() in head


def is_project(parsed: object) -> bool:
    """Recognise the project file."""
    return isinstance(parsed, dict) and {"project", "attribute", "file", "metadata"} <= parsed.keys()


def read_csv(document: Document, videos: Videos) -> Items:
    """Read either export; its lines of `#` have the columns and the names of attributes."""
    columns: tuple[str, ...] = ()
    attributes: Mapping[str, object] = {}
    for line, written in filled_lines(document.content):
        if written.startswith("#"):
            name, _sign, value = written[1:].partition("=")
            if name.strip() == HEADER:
                columns = tuple(column.strip() for column in value.split(","))
                if columns not in (EXPORTED, SEGMENTS):
                    raise BadLabels(f"is of VIA with the columns {quoted(value.strip())}; export temporal segments from VIA 3")
            elif name.strip() == "ATTRIBUTE":
                parsed = parse_json(value.encode())
                if not isinstance(parsed, dict):
                    raise BadLabels("is of VIA, and its ATTRIBUTE is not an object")
                attributes = parsed
        else:
            try:
                if len(written) >= MAX_LINE_CHARACTERS:
                    raise ValueError(f"has {MAX_LINE_CHARACTERS} characters or more")
                cells = next(csv.reader([written], skipinitialspace=True))
                if not columns or len(cells) != len(columns):
                    raise ValueError(f"has {count(len(cells), 'cell')} where the header has {len(columns)}")
                yield from _of_cells(line, dict(zip(columns, cells, strict=True)), attributes, videos)
            except (ValueError, csv.Error, RecursionError) as error:
                yield Refused(line, "", str(error))


def _of_cells(line: int, cells: Mapping[str, str], attributes: Mapping[str, object], videos: Videos) -> Iterator[Labelled]:
    files = tuple(text(name, "file") for name in sequence(_json(cells["file_list"], "file_list"), "file_list"))
    if "temporal_coordinates" in cells:
        times = sequence(_json(cells["temporal_coordinates"], "temporal_coordinates"), "temporal_coordinates")
        shape = sequence(_json(cells["spatial_coordinates"], "spatial_coordinates"), "spatial_coordinates")
    else:
        times, shape = [cells["temporal_segment_start"], cells["temporal_segment_end"]], []
    values = mapping(_json(cells["metadata"], "metadata"), "metadata")
    yield from _labelled(line, "", _views(files, videos), times, shape, values, attributes)


def read_project(document: Document, videos: Videos) -> Items:
    """Read the project file, as it is saved."""
    project = mapping(document.parsed, "project")
    files_of = cache(partial(_files, project, videos))
    for line, (key, item) in enumerate(_part(project, "metadata").items(), start=1):
        where = f"metadata {printable(key[:40])}"
        try:
            of_item = mapping(item, "metadata")
            shape = sequence(of_item.get("xy", []), "xy")
            times, values = sequence(of_item.get("z"), "z"), mapping(of_item.get("av"), "av")
            yield from _labelled(line, where, files_of(str(of_item.get("vid"))), times, shape, values, _part(project, "attribute"))
        except ValueError as error:
            yield Refused(line, where, str(error))


def _files(project: Mapping[str, object], videos: Videos, view: str) -> tuple[str, ...]:
    listed = sequence(mapping(_part(project, "view").get(view, {"fid_list": [view]}), "view").get("fid_list"), "fid_list")
    # One more shows that there are too many.
    files = [mapping(_part(project, "file").get(str(fid)), "file") for fid in listed[: MAX_FILES + 1]]
    return _views(tuple(text(file.get("fname") or file.get("src"), "file name") for file in files), videos)


def _part(project: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = project.get(name)
    return part if isinstance(part, dict) else {}


def _json(cell: str, name: str) -> object:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise ValueError(f"{name} {quoted(cell)} is not JSON") from None


def _views(files: Sequence[str], videos: Videos) -> tuple[str, ...]:
    """List the known files of those labelled together; if none is known, the first."""
    if len(files) > MAX_FILES:
        raise ValueError(f"is about more than {MAX_FILES} files")
    # There may be very many lines of one file, and to look for a video takes time.
    return tuple(filter(videos.finds, files) if len(files) > 1 else ()) or tuple(files[:1])


def _labelled(
    line: int,
    where: str,
    files: tuple[str, ...],
    times: Sequence[object],
    shape: Sequence[object],
    values: Mapping[str, object],
    attributes: Mapping[str, object],
) -> Iterator[Labelled]:
    if not files:
        raise ValueError("names no file")
    if shape:
        raise ValueError("is a shape in a picture, not a range of time")
    if len(times) not in (0, 2):
        raise ValueError(
            "is a still, without a range of time" if len(times) == 1 else f"has {len(times)} times instead of a start and an end"
        )
    start, stop = (number(times[0], "start"), number(times[1], "end")) if times else (None, None)
    for label in _label(values, attributes):
        for file in files:
            yield Labelled(line, where, (file,), start, stop, label)


def _label(values: Mapping[str, object], attributes: Mapping[str, object]) -> list[ToolLabel]:
    """Read the values by the names of their attributes, or raise a ValueError."""
    named = {name: chosen for key, value in values.items() for name, chosen in [_named(key, value, attributes)] if chosen}
    parts = {part_of(name): chosen for name, chosen in named.items() if part_of(name)}
    if not parts and len(named) == 1:
        parts = {"text": next(iter(named.values()))}
    if not parts:
        raise ValueError("has no value for an attribute that is called verb, noun, action or label")
    if parts.keys() == {"noun"}:
        raise ValueError("has a noun without a verb")
    several = next((part for part in ("text", "verb") if len(parts.get(part, ())) > 1), "")
    choices = parts[several] if several else ("",)
    return [label_of({part: (choice if part == several else chosen[0]) for part, chosen in parts.items()}) for choice in choices]


def _named(key: str, value: object, attributes: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
    """Find the name of an attribute and the chosen options, given as `id,id`."""
    attribute = attributes.get(key)
    if not isinstance(value, str):
        return key, ()
    if value.count(",") >= MAX_CHOICES or len(value) > MAX_TEXT_LENGTH:
        raise ValueError(f"{quoted(value)} is too long: at most {MAX_CHOICES} options and {MAX_TEXT_LENGTH} characters are read")
    if not isinstance(attribute, dict):
        return key, () if value.strip() in NO_LABELS else (value.strip(),)
    options = attribute.get("options")
    chosen = [value] if not isinstance(options, dict) or not options else [str(options.get(option, option)) for option in value.split(",")]
    return str(attribute.get("aname", key)), tuple(option.strip() for option in chosen if option.strip() not in NO_LABELS)


FORMATS = (DocumentFormat("VIA 3 project", read_project, is_json=is_project), DocumentFormat("VIA 3 CSV", read_csv, is_text=is_csv))
