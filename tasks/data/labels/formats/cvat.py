"""Read CVAT's XML, for video and for images, also in its zip archive.

Frames count from 0 in the video file, also where a job or a frame filter has only some of them. A project counts on: each task begins where the
one before it in its subset ends. There is no frame rate in the file: it is the video's own.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, SubElement

from tasks.data.labels.exported import VideoSpans, xml_archive
from tasks.data.labels.formats import DocumentFormat, Writer
from tasks.data.labels.formats.items import Document, Items, Labelled, Refused, ToolLabel, Videos, frame, label_of, part_of
from tasks.data.labels.formats.safe_parsing import Node, elements
from tasks.errors import BadLabels
from tasks.wording import count, quoted

ATTRIBUTES = ("id", "label", "name", "frame", "outside", "task_id")
STEP = re.compile(r"step=([0-9]{1,6})")
KEPT = re.compile(r"-[0-9a-f]{8}$")
"""What the store adds to the name of an annotation file."""

FRAME_NAME = re.compile(r"(?:.*/)?frame_([0-9]{1,9})(?:\.\w+)?")


@dataclass(frozen=True)
class _Task:
    """A video of the file."""

    source: str = ""
    stop_frame: int | None = None
    step: int = 1
    offset: int | None = 0
    """The number that the file gives to the first frame of the video; None if earlier tasks do not say how long they are."""

    def own_frame(self, number: int) -> int:
        """Return a frame of the file as the video counts it, or raise a ValueError."""
        if self.offset is None:
            raise ValueError("an earlier task of the project has no <size>, so that its frames cannot be counted; export the task alone")
        if number < self.offset:
            raise ValueError(f"frame {number} is before frame {self.offset}, at which {quoted(self.source)} begins in this project")
        return number - self.offset


def read(document: Document, videos: Videos) -> Items:
    """Read tracks as their visible times, and tags as runs of frames."""
    tasks: dict[str, _Task] = {}
    tags: defaultdict[str, defaultdict[ToolLabel, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    is_named = False
    for node in elements(document.content, ("meta", "track", "image"), ATTRIBUTES):
        if node.tag == "meta":
            tasks |= _tasks(node)
            continue
        if not is_named and not any(task.source for task in tasks.values()):
            tasks = {"": _named_by_file(document.name, list(tasks.values()), videos)}
        is_named = True
        if node.tag == "track":
            yield from _of_track(node, tasks, videos)
        else:
            yield from _note_tags(node, tags)
    for task_id, of_task in tags.items():
        first_line = min(line for frames in of_task.values() for line in frames.values())
        try:
            task = _task_of(task_id, tasks)
            yield from _of_tags(task, of_task, videos)
        except ValueError as error:
            yield Refused(first_line, "", str(error))


def _tasks(meta: Node) -> dict[str, _Task]:
    """List the tasks, or the job, by id, in a project's order of frames."""
    nodes = [*meta.below("task"), *meta.below("job")] or [meta]
    of_meta = next((child.text for child in meta.named("source")), "")
    tasks: dict[str, _Task] = {}
    offsets: defaultdict[str, int | None] = defaultdict(int)
    for texts in sorted(({child.tag: child.text for child in node.children} for node in nodes), key=lambda texts: _count(texts, "id") or 0):
        step = STEP.search(texts.get("frame_filter", ""))
        task = _Task(
            texts.get("source", "") or (of_meta if len(nodes) == 1 else ""),
            _count(texts, "stop_frame"),
            max(1, int(step[1])) if step else 1,
            offsets[subset := texts.get("subset", "")],
        )
        tasks.setdefault(texts.get("id", ""), task)
        size = _count(texts, "size")
        offsets[subset] = (
            None if task.offset is None or size is None else task.offset + (_count(texts, "start_frame") or 0) + task.step * size
        )
    return tasks


def _count(texts: Mapping[str, str], name: str) -> int | None:
    text = texts.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _named_by_file(name: str, tasks: Sequence[_Task], videos: Videos) -> _Task:
    """Find the video of a file without a <source> by the file's own name."""
    stem = PurePosixPath(name).stem
    for own in (stem, KEPT.sub("", stem)) if len(tasks) < 2 else ():
        if videos.finds(own):
            try:
                videos.fps((own,))
            except ValueError as error:
                raise BadLabels(f"names no video in <source>, and by the name of the file {error}") from None
            return replace(tasks[0] if tasks else _Task(), source=own)
    raise BadLabels("names no video in <source>, as a job's export does: export the task, or name the file after its video")


def _task_of(task_id: str, tasks: Mapping[str, _Task]) -> _Task:
    """Find the video of a track or an image, or raise a ValueError."""
    task = next(iter(tasks.values())) if len(tasks) == 1 else tasks.get(task_id)
    if task is None:
        raise ValueError(f"the file names {count(len(tasks), 'video')}, and this is of none of them")
    if not task.source:
        raise ValueError("its task names no video in <source>")
    return task


def _of_track(track: Node, tasks: Mapping[str, _Task], videos: Videos) -> Items:
    try:
        task = _task_of(track.attributes.get("task_id", ""), tasks)
        fps = videos.fps((task.source,))
        intervals = list(_visible(track, task))
    except ValueError as error:
        yield Refused(track.line, "", str(error))
        return
    if not intervals:
        yield Refused(track.line, "", f"track {quoted(track.attributes.get('label', ''))} is visible in no frame")
    for start, stop, line, label in intervals:
        yield Labelled(line, "", (task.source,), start / fps, stop / fps, label)


def _visible(track: Node, task: _Task) -> Iterator[tuple[int, int, int, ToolLabel]]:
    """Yield the stretches in which a track is visible with the same attributes.

    Each is its first frame, the frame that ends it, a line and a label.
    """
    shapes = [(task.own_frame(frame(shape.attributes["frame"], "frame")), shape) for shape in track.children if "frame" in shape.attributes]
    opened: tuple[int, int, ToolLabel] | None = None
    last = 0
    for number, shape in sorted(shapes, key=lambda pair: pair[0]):
        label = None if shape.attributes.get("outside") == "1" else _label(track.attributes.get("label", ""), shape)
        if opened and opened[2] != label:
            yield opened[0], number, opened[1], opened[2]
            opened = None
        if label and not opened:
            opened = number, shape.line, label
        last = number
    if opened:
        yield opened[0], max(last + task.step, (task.stop_frame or 0) + 1), opened[1], opened[2]


def _label(label: str, node: Node) -> ToolLabel:
    parts = {"text": label}
    for attribute in node.named("attribute"):
        if (part := part_of(attribute.attributes.get("name", ""))) and attribute.text:
            parts[part] = attribute.text
    return label_of(parts)


def _note_tags(image: Node, tags: Mapping[str, Mapping[ToolLabel, dict[int, int]]]) -> Items:
    name = FRAME_NAME.fullmatch(image.attributes.get("name", ""))
    for node in image.children:
        if node.tag != "tag":
            yield Refused(node.line, "", f"is a {node.tag} in a picture, which has no time; only tags label frames")
            continue
        try:
            number = int(name[1]) if name else frame(image.attributes.get("id"), "id")
        except ValueError as error:
            yield Refused(node.line, "", str(error))
            continue
        tags[image.attributes.get("task_id", "")][_label(node.attributes.get("label", ""), node)].setdefault(number, node.line)


def _of_tags(task: _Task, tags: Mapping[ToolLabel, Mapping[int, int]], videos: Videos) -> Items:
    """Yield runs of equal tags; tags of frame 0 alone label the whole video."""
    own = {label: {task.own_frame(number): line for number, line in sorted(frames.items())} for label, frames in tags.items()}
    is_whole = {number for frames in own.values() for number in frames} == {0}
    for label, frames in own.items():
        if is_whole:
            yield Labelled(frames[0], "", (task.source,), None, None, label)
            continue
        fps = videos.fps((task.source,))
        runs: list[tuple[int, int]] = []
        for number in frames:
            goes_on = runs and number <= runs[-1][1] + task.step
            runs[-1:] = [(runs[-1][0], number)] if goes_on else [*runs[-1:], (number, number)]
        for first, last in runs:
            yield Labelled(frames[first], "", (task.source,), first / fps, (last + task.step) / fps, label)


def write(videos: Sequence[VideoSpans]) -> bytes:
    """Write a CVAT XML for each video; labels are tracks with a corner box."""
    return xml_archive(videos, ".xml", _document)


def _document(video: VideoSpans) -> Element:
    size = max(1, math.ceil(round(video.duration_seconds * video.fps, 6)))
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    facts = {"name": video.name, "size": size, "mode": "interpolation", "start_frame": 0, "stop_frame": size - 1, "frame_filter": ""}
    for name, value in facts.items():
        SubElement(task, name).text = str(value)
    labels = SubElement(task, "labels")
    for text in sorted({span.text for span in video.labels}):
        label = SubElement(labels, "label")
        SubElement(label, "name").text = text
        SubElement(label, "attributes")
    SubElement(task, "source").text = video.name
    for number, span in enumerate(video.labels):
        track = SubElement(root, "track", id=str(number), label=span.text, source="manual")
        first, last = span.frames(video.fps)
        # CVAT knows no frame behind the last: a track that lasts so long has no end.
        for number_of_frame, outside in ((min(first, size) - 1, 0), (last, 1)):
            if number_of_frame < size:
                corner = {"xtl": "0", "ytl": "0", "xbr": "9", "ybr": "9", "z_order": "0"}
                SubElement(
                    track, "box", {"frame": str(number_of_frame), "keyframe": "1", "outside": str(outside), "occluded": "0", **corner}
                )
    return root


FORMATS = (DocumentFormat("CVAT XML", read, xml_root="annotations"), Writer("cvat", ".zip", write))
