"""Read Label Studio's exports: JSON, JSON-MIN, CSV and TSV.

Frames count from 1, at the rate of the project's `<Video frameRate>`, which is 24 unless the task's data has `fps` or `framerate`.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.dataset.formats.documents import parse_json
from tasks.dataset.formats.found import Document, Found, Items, Refused, Said, Videos, frame, mapping, part_of, rate, sequence, text
from tasks.dataset.formats.tiers import Piece, joined
from tasks.errors import BadLabels
from tasks.wording import quoted

DEFAULT_FPS = 24.0
RATE_NAMES = ("fps", "framerate", "frame_rate", "frameRate")
VIDEO_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".ogv", ".3gp")
OF_EXPORT = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"})


def is_json(parsed: object) -> bool:
    """Recognise the full JSON: tasks with `data` and `annotations`."""
    tasks = parsed if isinstance(parsed, list) else [parsed]
    return (
        bool(tasks)
        and isinstance(tasks[0], dict)
        and isinstance(tasks[0].get("data"), dict)
        and bool({"annotations", "completions", "predictions"} & tasks[0].keys())
    )


def is_json_min(parsed: object) -> bool:
    """Recognise JSON-MIN: one flat object for each annotation."""
    return isinstance(parsed, list) and bool(parsed) and isinstance(parsed[0], dict) and {"annotation_id", "annotator"} <= parsed[0].keys()


def read_json(document: Document, _: Videos) -> Items:
    """Read the full JSON; annotations that were skipped, and predictions, are no labels."""
    tasks = document.parsed if isinstance(document.parsed, list) else [document.parsed]
    counter = _Counter()
    for number, task in enumerate(tasks, start=1):
        where = f"task {task['id']}" if isinstance(task, dict) and isinstance(task.get("id"), int) else f"task number {number}"
        try:
            of_task = mapping(task, "task")
            data = mapping(of_task.get("data"), "data")
            about = _About(_video(data), _fps(data))
            annotations = sequence(of_task.get("annotations", of_task.get("completions", [])), "annotations")
        except ValueError as error:
            yield Refused(counter.next(), where, str(error))
            continue
        yield from _of_annotations(annotations, about, where, counter)


def _of_annotations(annotations: Sequence[object], about: "_About", where: str, counter: "_Counter") -> Items:
    is_true = [isinstance(one, dict) and one.get("ground_truth") is True for one in annotations]
    for number, annotation in enumerate(annotations, start=1):
        place = f"{where}, annotation {number}" if len(annotations) > 1 else where
        try:
            of_annotation = mapping(annotation, "annotation")
            if of_annotation.get("was_cancelled") is True:
                raise ValueError("was skipped in Label Studio")
            if any(is_true) and not is_true[number - 1]:
                raise ValueError("another annotation of this task is marked as the ground truth")
            results = sequence(of_annotation.get("result"), "result")
        except ValueError as error:
            yield Refused(counter.next(), place, str(error))
            continue
        yield from _regions(list(_of_results(results, place, counter)), about)


def _of_results(results: Sequence[object], place: str, counter: "_Counter") -> "Iterator[_Region | Refused]":
    for number, result in enumerate(results, start=1):
        line, where = counter.next(), f"{place}, result {number}"
        try:
            of_result = mapping(result, "result")
            value = mapping(of_result.get("value"), "value")
            control = str(of_result.get("from_name", ""))
            region = _region(control, value)
        except ValueError as error:
            yield Refused(line, where, str(error))
            continue
        if region:
            identity = of_result.get("id")
            yield _Region(line, where, control, *region, identity if isinstance(identity, str) else "")


def read_json_min(document: Document, _: Videos) -> Items:
    """Read JSON-MIN: task data and controls side by side."""
    counter = _Counter()
    for number, item in enumerate(document.parsed if isinstance(document.parsed, list) else [], start=1):
        where = f"item {number}"
        try:
            of_item = mapping(item, "item")
            about = _About(_video(of_item), _fps(of_item))
        except ValueError as error:
            yield Refused(counter.next(), where, str(error))
            continue
        yield from _regions(list(_of_controls(of_item, where, counter)), about)


def read_table(lines: Iterator[tuple[int, dict[str, str] | str]], _: Videos) -> Items:
    """Read CSV or TSV, which has the JSON of JSON-MIN in its cells."""
    for line, cells in lines:
        if isinstance(cells, str):
            yield Refused(line, "", cells)
            continue
        item = {name: _cell(value) for name, value in cells.items()}
        try:
            about = _About(_video(item), _fps(item))
        except ValueError as error:
            yield Refused(line, "", str(error))
            continue
        yield from _regions(list(_of_controls(item, "", _Counter(line))), about)


def _cell(value: str) -> object:
    if value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _of_controls(item: Mapping[str, object], place: str, counter: "_Counter") -> "Iterator[_Region | Refused]":
    for control, value in item.items():
        if control in OF_EXPORT or value in (None, ""):
            continue
        if isinstance(value, list):
            for number, part in enumerate(value, start=1):
                if not isinstance(part, dict) or not {"timelinelabels", "ranges"} & part.keys():
                    continue
                line, where = counter.next(), _inside(place, f"{control} {number}")
                try:
                    region = _region(control, part)
                except ValueError as error:
                    yield Refused(line, where, str(error))
                    continue
                if region:
                    yield _Region(line, where, control, *region, "")
        elif part_of(control):
            choices = value.get("choices") if isinstance(value, dict) else [value]
            names = tuple(name for name in choices if isinstance(name, str)) if isinstance(choices, list) else ()
            if names:
                yield _Region(counter.next(), _inside(place, control), control, names, None, "")


def _inside(place: str, part: str) -> str:
    """Say where a part of an item is; a line of a table says enough."""
    return f"{place}, {part}" if place else ""


def with_frame_rate(content: bytes, fps: float) -> bytes:
    """State a frame rate in each task of an export that states none.

    Raises:
        BadLabels: it is no JSON of Label Studio.
    """
    parsed = parse_json(content)
    if not is_json(parsed) and not is_json_min(parsed):
        raise BadLabels("is no JSON of Label Studio")
    for item in parsed if isinstance(parsed, list) else [parsed]:
        data = item.get("data") if isinstance(item, dict) and is_json(parsed) else item
        if isinstance(data, dict) and not any(data.get(name) for name in RATE_NAMES):
            data[RATE_NAMES[0]] = fps
    return json.dumps(parsed, ensure_ascii=False).encode()


@dataclass
class _Counter:
    """Numbers the items of a file; in a table all items of a line have its number."""

    line: int | None = None
    number: int = 0

    def next(self) -> int:
        self.number += 1
        return self.number if self.line is None else self.line


@dataclass(frozen=True)
class _About:
    videos: tuple[str, ...]
    fps: float


@dataclass(frozen=True)
class _Region:
    """Names that one control gives: for ranges of frames, or for the whole video if there are none."""

    line: int
    where: str
    control: str
    names: tuple[str, ...]
    ranges: tuple[object, ...] | None
    identity: str = field(compare=False)


def _region(control: str, value: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[object, ...] | None] | None:
    """Read a result by the keys of its value; its `type` is not reliable. None if it is about something else."""
    if "timelinelabels" in value:
        names = tuple(text(name, "label") for name in sequence(value["timelinelabels"], "timelinelabels"))
        if not names:
            raise ValueError("has no label")
        if "ranges" not in value:
            raise ValueError("is a box with the name of a timeline, without ranges of time")
        return names, tuple(sequence(value["ranges"], "ranges"))
    if "sequence" in value:
        raise ValueError("is a box in the picture, not a range of time")
    given = value.get("choices", value.get("text"))
    if given is None or not part_of(control):
        return None
    names = tuple(text(name, "label") for name in sequence([given] if isinstance(given, str) else given, "choices"))
    return (names, None) if names else None


def _regions(regions: "Sequence[_Region | Refused]", about: _About) -> Items:
    """Join the regions of one annotation: a verb and a noun of the same region, or of the same time, are one label."""
    timed = [one for one in regions if isinstance(one, _Region) and one.ranges is not None]
    of_region = {one.identity for one in timed if one.identity}
    whole = [one for one in regions if isinstance(one, _Region) and one.ranges is None and one.identity not in of_region]
    extra: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for one in regions:
        if isinstance(one, Refused):
            yield one
        elif one.ranges is None and one.identity in of_region:
            extra[one.identity][part_of(one.control)] = one.names[0]
    pieces: list[Piece] = []
    for one in timed:
        for start, stop, reason in _times(one.ranges or (), about.fps):
            if reason:
                yield Refused(one.line, one.where, reason)
                continue
            for name in one.names:
                said = {part_of(one.control) or "text": name, **extra.get(one.identity, {})}
                pieces.append(Piece(one.line, one.where, start, stop, said))
    for item in joined(pieces):
        yield (
            item
            if isinstance(item, Refused)
            else Found(item.line, item.where, about.videos, item.start_seconds, item.stop_seconds, item.said)
        )
    yield from _whole(whole, about, has_times=bool(timed))


def _times(ranges: Sequence[object], fps: float) -> Iterator[tuple[float, float, str]]:
    for one in ranges:
        try:
            of_range = mapping(one, "range")
            if of_range.get("start") is None or of_range.get("end") is None:
                raise ValueError("has a range without a start or an end")
            start, end = frame(of_range["start"], "start"), frame(of_range["end"], "end")
            if start < 1:
                raise ValueError(f"begins at frame {start}, but frames count from 1")
            if end < start:
                raise ValueError(f"ends at frame {end}, before its start at frame {start}")
            yield (start - 1) / fps, end / fps, ""
        except ValueError as error:
            yield 0, 0, str(error)


def _whole(regions: Sequence[_Region], about: _About, *, has_times: bool) -> Items:
    parts: dict[str, str] = {}
    for one in regions:
        if has_times:
            yield Refused(one.line, one.where, f"{quoted(one.control)} is about the whole video, which has ranges of time")
        elif len(one.names) > 1:
            yield Refused(one.line, one.where, f"{quoted(one.control)} has {len(one.names)} choices for the whole video")
        else:
            parts.setdefault(part_of(one.control), one.names[0])
    if parts and not has_times:
        first = regions[0]
        if parts.keys() == {"noun"}:
            yield Refused(first.line, first.where, "has a noun without a verb")
        else:
            yield Found(
                first.line,
                first.where,
                about.videos,
                None,
                None,
                Said(parts.get("verb", ""), parts.get("noun", ""), parts.get("text", "")),
            )


def _video(data: Mapping[str, object]) -> tuple[str, ...]:
    """Find the video in the data of a task: `video`, which may have a `name` beside it, else the only value that looks like one."""
    if isinstance(named := data.get("video"), str) and named.strip():
        other = data.get("name")
        return (named.strip(), other.strip()) if isinstance(other, str) and other.strip() else (named.strip(),)
    found = [
        value for name, value in data.items() if name not in OF_EXPORT and isinstance(value, str) and _path(value).endswith(VIDEO_SUFFIXES)
    ]
    if len(found) != 1:
        raise ValueError("has no video in its data" if not found else f"has {len(found)} videos in its data; name one of them 'video'")
    return (found[0].strip(),)


def _path(value: str) -> str:
    return value.strip().casefold().partition("?X-Amz")[0]


def _fps(data: Mapping[str, object]) -> float:
    return next((rate(data[name], name) for name in RATE_NAMES if data.get(name) not in (None, "")), DEFAULT_FPS)
