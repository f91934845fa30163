"""Read Label Studio's exports: JSON, JSON-MIN, CSV and TSV.

Frames count from 1, at the rate of the project's `<Video frameRate>`, which is 24 unless the task's data has `fps` or `framerate`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, repeat

from tasks.data.labels.exported import LabelSpan, VideoSpans, as_json
from tasks.data.labels.formats import DocumentFormat, TableFormat, Writer
from tasks.data.labels.formats.items import (
    VIDEO_SUFFIXES,
    Document,
    Items,
    Labelled,
    Piece,
    Refused,
    Remark,
    Videos,
    frame,
    joined,
    label_of,
    mapping,
    part_of,
    rate,
    sequence,
    text,
)
from tasks.data.labels.formats.safe_parsing import first_byte, parse_json
from tasks.errors import BadLabels
from tasks.wording import plain_count, quoted, some

DEFAULT_FPS = 24.0
RATE_NAMES = ("fps", "framerate", "frame_rate", "frameRate")
NOT_READ = ("taxonomy", "labels")
"""Keys of values that hold labels in another way: paths in a tree, and seconds of a sound or a series."""

OF_EXPORT = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"})
CONTROL, VIDEO = "action", "video"
"""Names in the labelling interface of written tasks."""
MAX_PIECES = 200_000


@dataclass(frozen=True)
class About:
    """The names of a task's video, and its frame rate."""

    videos: tuple[str, ...]
    fps: float


@dataclass(frozen=True)
class Region:
    """Names that one control gives; without `ranges`, for the whole video."""

    line: int
    where: str
    control: str
    names: tuple[str, ...]
    ranges: tuple[object, ...] | None
    identity: str


def labels_of_regions(regions: Sequence[Region | Refused], about: About) -> Items:
    """Join verbs and nouns of the same region, or of the same time, into labels."""
    yield from (region for region in regions if isinstance(region, Refused))
    named = [region for region in regions if isinstance(region, Region)]
    timed = [region for region in named if region.ranges is not None]
    choices = [region for region in named if region.ranges is None]
    of_region = {region.identity for region in timed if region.identity}
    extra = _Parts("region")
    for region in timed:
        extra.keep(region.identity, part_of(region.control), region.names[0])
    for choice in choices:
        if choice.identity in of_region:
            yield from extra.add(choice.identity, choice)
    pieces: list[Piece] = []
    for region in timed:
        for start, stop, reason in _times(region.ranges or (), about.fps):
            if reason:
                yield Refused(region.line, region.where, reason)
                continue
            for name in region.names:
                parts = {part_of(region.control) or "text": name, **extra.added[region.identity]}
                pieces.append(Piece(region.line, region.where, start, stop, parts))
            if len(pieces) > MAX_PIECES:
                raise BadLabels(f"has an annotation of more than {MAX_PIECES} labels; split it into several tasks")
    yield from joined(pieces, [(about.videos, 0.0)])
    yield from _whole([choice for choice in choices if choice.identity not in of_region], about, has_times=bool(timed))


def _times(ranges: Sequence[object], fps: float) -> Iterator[tuple[float, float, str]]:
    for given in ranges:
        try:
            of_range = mapping(given, "range")
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


def _whole(regions: Sequence[Region], about: About, *, has_times: bool) -> Items:
    parts = _Parts("video")
    for region in regions:
        if has_times:
            yield Refused(region.line, region.where, f"{quoted(region.control)} is about the whole video, which has ranges of time")
        elif len(region.names) > 1:
            yield Refused(region.line, region.where, f"{quoted(region.control)} has {len(region.names)} choices for the whole video")
        else:
            yield from parts.add("", region)
    given = parts.added[""]
    if not given:
        return
    first = regions[0]
    if given.keys() == {"noun"}:
        yield Refused(first.line, first.where, "has a noun without a verb")
        return
    if {"verb", "text"} <= given.keys():
        unused = next(region for region in regions if part_of(region.control) == "text" and len(region.names) == 1)
        yield Refused(unused.line, unused.where, f"{quoted(unused.control)} is not used: the video has a verb of its own")
    yield Labelled(first.line, first.where, about.videos, None, None, label_of(given))


class _Parts:
    """The first verb, noun and text that choices give to each label."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._kept: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.added: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def keep(self, identity: str, part: str, name: str) -> None:
        if part:
            self._kept[identity].setdefault(part, name)

    def add(self, identity: str, choice: Region) -> Iterator[Refused]:
        """Add the first name of a choice, and refuse the others."""
        part, (name, *others) = part_of(choice.control), choice.names
        kept = self._kept[identity]
        if part in kept:
            unused = some([quoted(unused_name) for unused_name in choice.names])
            reason = f"{quoted(choice.control)} gives the {self._of} a second {part}; {quoted(kept[part])} is used, not {unused}"
            yield Refused(choice.line, choice.where, reason)
            return
        kept[part] = self.added[identity][part] = name
        if others:
            unused = some([quoted(unused_name) for unused_name in others])
            reason = f"{quoted(choice.control)} has {len(choice.names)} choices for one {self._of}; {quoted(name)} is used, not {unused}"
            yield Refused(choice.line, choice.where, reason)


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
    """Read the full JSON, without predictions and skipped annotations."""
    tasks = document.parsed if isinstance(document.parsed, list) else [document.parsed]
    counter, rates = count(1), _Rates()
    for number, task in enumerate(tasks, start=1):
        where = f"task {task['id']}" if isinstance(task, dict) and isinstance(task.get("id"), int) else f"task number {number}"
        try:
            of_task = mapping(task, "task")
            data = mapping(of_task.get("data"), "data")
            about = About(_video(data), _stated_rate(data) or DEFAULT_FPS)
            annotations = sequence(of_task.get("annotations", of_task.get("completions", [])), "annotations")
        except ValueError as error:
            yield Refused(next(counter), where, str(error))
            continue
        yield from rates.noted(_of_annotations(annotations, about, where, counter), data)
    yield from rates.remarks()


def _of_annotations(annotations: Sequence[object], about: About, where: str, counter: Iterator[int]) -> Items:
    is_true = [isinstance(annotation, dict) and annotation.get("ground_truth") is True for annotation in annotations]
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
            yield Refused(next(counter), place, str(error))
            continue
        yield from labels_of_regions(list(_of_results(results, place, counter)), about)


def _of_results(results: Sequence[object], place: str, counter: Iterator[int]) -> Iterator[Region | Refused]:
    for number, result in enumerate(results, start=1):
        line, where = next(counter), f"{place}, result {number}"
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
            yield Region(line, where, control, *region, identity if isinstance(identity, str) else "")


def read_json_min(document: Document, _: Videos) -> Items:
    """Read JSON-MIN: task data and controls side by side."""
    counter = count(1)
    items = sequence(document.parsed, "file")
    return _of_items((item, f"item {number}", counter) for number, item in enumerate(items, start=1))


def read_table(lines: Iterator[tuple[int, dict[str, str] | str]], _: Videos) -> Items:
    """Read CSV or TSV, which has the JSON of JSON-MIN in its cells."""
    return _of_items(
        (
            Refused(line, "", cells) if isinstance(cells, str) else {name: _cell(value) for name, value in cells.items()},
            "",
            repeat(line),
        )
        for line, cells in lines
    )


def _of_items(items: Iterable[tuple[object, str, Iterator[int]]]) -> Items:
    """Read items, each with its place and the numbers of its lines."""
    rates = _Rates()
    for item, where, counter in items:
        if isinstance(item, Refused):
            yield item
            continue
        try:
            of_item = mapping(item, "item")
            about = About(_video(of_item), _stated_rate(of_item) or DEFAULT_FPS)
        except ValueError as error:
            yield Refused(next(counter), where, str(error))
            continue
        yield from rates.noted(labels_of_regions(list(_of_controls(of_item, where, counter)), about), of_item)
    yield from rates.remarks()


def _cell(value: str) -> object:
    if value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _of_controls(item: Mapping[str, object], place: str, counter: Iterator[int]) -> Iterator[Region | Refused]:
    for control, value in item.items():
        if control in OF_EXPORT or value in (None, ""):
            continue
        if isinstance(value, list):
            for number, part in enumerate(value, start=1):
                is_region = isinstance(part, dict) and {"timelinelabels", "ranges", *NOT_READ} & part.keys()
                if not is_region and not part_of(control):
                    continue
                line, where = next(counter), _inside(place, f"{control} {number}")
                if not is_region:
                    yield Refused(line, where, "is one of several choices without a region; export JSON, which has the regions")
                    continue
                try:
                    region = _region(control, part)
                except ValueError as error:
                    yield Refused(line, where, str(error))
                    continue
                if region:
                    yield Region(line, where, control, *region, "")
        elif part_of(control):
            choices = value.get("choices") if isinstance(value, dict) else [value]
            names = tuple(name for name in choices if isinstance(name, str)) if isinstance(choices, list) else ()
            if names:
                yield Region(next(counter), _inside(place, control), control, names, None, "")


def _inside(place: str, part: str) -> str:
    # A line of a table says enough.
    return f"{place}, {part}" if place else ""


def with_frame_rate(content: bytes, fps: float) -> bytes:
    """State a frame rate in each task of an export that has none.

    Raises:
        BadLabels: the content is no JSON of Label Studio.
    """
    if first_byte(content) not in (b"{", b"["):
        raise BadLabels("is no JSON of Label Studio; export JSON, or add a column 'fps' to its CSV")
    parsed = parse_json(content)
    if not is_json(parsed) and not is_json_min(parsed):
        raise BadLabels("is no JSON of Label Studio")
    for item in parsed if isinstance(parsed, list) else [parsed]:
        data = item.get("data") if isinstance(item, dict) and is_json(parsed) else item
        if isinstance(data, dict) and not any(data.get(name) for name in RATE_NAMES):
            data[RATE_NAMES[0]] = fps
    return json.dumps(parsed, ensure_ascii=False).encode(errors="surrogatepass")


def _region(control: str, value: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[object, ...] | None] | None:
    """Read names and ranges by a value's keys, as `type` is unreliable; None if neither."""
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
    other = next((key for key in NOT_READ if key in value), "")
    if other or (given is None and part_of(control)):
        kind = f"{other}, not timelinelabels or choices" if other else "neither timelinelabels nor choices"
        raise ValueError(f"{quoted(control)} has {kind}; use TimelineLabels or Choices")
    if given is None or not part_of(control):
        return None
    names = tuple(text(name, "label") for name in sequence([given] if isinstance(given, str) else given, "choices"))
    return (names, None) if names else None


def _video(data: Mapping[str, object]) -> tuple[str, ...]:
    """Find a task's `video` and its `name`, else the only value that names a video."""
    if isinstance(named := data.get("video"), str) and named.strip():
        other = data.get("name")
        return (named.strip(), other.strip()) if isinstance(other, str) and other.strip() else (named.strip(),)
    videos = [value for name, value in data.items() if name not in OF_EXPORT and isinstance(value, str) and _is_video(value)]
    if len(videos) != 1:
        raise ValueError("has no video in its data" if not videos else f"has {len(videos)} videos in its data; name one of them 'video'")
    return (videos[0].strip(),)


def _is_video(value: str) -> bool:
    # A presigned address ends before its `?`, and a local file's name is behind it.
    name = value.strip().casefold()
    return name.endswith(VIDEO_SUFFIXES) or name.partition("?")[0].endswith(VIDEO_SUFFIXES)


class _Rates:
    """A counter of labels whose times rest on the default frame rate."""

    def __init__(self) -> None:
        self._num_labels = 0

    def noted(self, items: Items, data: Mapping[str, object]) -> Items:
        """Yield a task's items, and count its labels if `data` states no rate."""
        is_stated = _stated_rate(data) is not None
        for item in items:
            self._num_labels += isinstance(item, Labelled) and item.start_seconds is not None and not is_stated
            yield item

    def remarks(self) -> Iterator[Remark]:
        if self._num_labels:
            labels = plain_count(self._num_labels, "label")
            yield Remark(f"no frame rate for {labels}: {DEFAULT_FPS:g} assumed; `labels import --frame-rate` states another")


def _stated_rate(data: Mapping[str, object]) -> float | None:
    return next((rate(data[name], name) for name in RATE_NAMES if data.get(name) not in (None, "")), None)


def write(videos: Sequence[VideoSpans]) -> bytes:
    """Write Label Studio's tasks: labels as annotations, predictions as pre-annotations with their scores.

    Each task states the frame rate of its video as `fps`. Ranges are rounded outwards to whole frames.
    """
    return as_json([_task(number, video) for number, video in enumerate(videos, start=1)])


def _task(number: int, video: VideoSpans) -> dict[str, object]:
    annotations = [{"id": number, "result": _results(video.labels, video, f"l{number}-")}] if video.labels else []
    predictions = []
    if video.predictions:
        scores = [span.score for span in video.predictions if span.score is not None]
        results = _results(video.predictions, video, f"p{number}-")
        predictions = [{"model_version": "Retake", "score": round(sum(scores) / max(1, len(scores)), 6), "result": results}]
    data = {VIDEO: video.uri, "name": video.name, "fps": video.fps}
    return {"id": number, "data": data, "annotations": annotations, "predictions": predictions}


def _results(spans: Sequence[LabelSpan], video: VideoSpans, prefix: str) -> list[dict[str, object]]:
    return [
        {
            "id": f"{prefix}{number}",
            "from_name": CONTROL,
            "to_name": VIDEO,
            "type": "timelinelabels",
            "value": {"ranges": [dict(zip(("start", "end"), span.frames(video.fps), strict=True))], "timelinelabels": [span.text]},
            **({} if span.score is None else {"score": round(span.score, 6)}),
        }
        for number, span in enumerate(spans, start=1)
    ]


FORMATS = (
    DocumentFormat("Label Studio JSON", read_json, is_json=is_json),
    DocumentFormat("Label Studio JSON-MIN", read_json_min, is_json=is_json_min),
    TableFormat("Label Studio CSV", ("annotation_id", "annotator"), read_table, is_first=True),
    Writer("label-studio", ".json", write),
)
