"""Read CVAT's XML, for video and for images, also in its zip archive.

Frames count from 0 in the video file, also where a job or a frame filter has only some of them. There is no frame rate in the file: it is
the video's own.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.dataset.formats.documents import Node, elements
from tasks.dataset.formats.found import Document, Found, Items, Refused, Said, Videos, frame, part_of
from tasks.dataset.formats.tiers import said_of
from tasks.wording import quoted

WANTED = ("meta", "track", "image")
ATTRIBUTES = ("id", "label", "name", "frame", "outside", "task_id")
STEP = re.compile(r"step=([0-9]{1,6})")
FRAME_NAME = re.compile(r"(?:.*/)?frame_([0-9]{1,9})(?:\.\w+)?")


@dataclass(frozen=True)
class _Task:
    """A video of the file: its name, the last frame, and the distance of its frames."""

    source: str
    stop_frame: int | None
    step: int


@dataclass
class _Tags:
    """The frames with one label, by line."""

    frames: dict[int, int] = field(default_factory=dict)


def read(document: Document, videos: Videos) -> Items:
    """Read tracks as the times in which they are visible, and tags as runs of frames."""
    tasks: dict[str, _Task] = {}
    tags: defaultdict[str, defaultdict[Said, _Tags]] = defaultdict(lambda: defaultdict(_Tags))
    for node in elements(document.content, WANTED, ATTRIBUTES):
        if node.tag == "meta":
            tasks |= _tasks(node)
        elif node.tag == "track":
            yield from _of_track(node, tasks, videos)
        else:
            yield from _note_tags(node, tags)
    for task_id, of_task in tags.items():
        first_line = min(line for one in of_task.values() for line in one.frames.values())
        try:
            task = _task_of(task_id, tasks)
            yield from _of_tags(task, of_task, videos)
        except ValueError as error:
            yield Refused(first_line, "", str(error))


def _tasks(meta: Node) -> dict[str, _Task]:
    found: dict[str, _Task] = {}
    for one in (*meta.below("task"), *meta.below("job"), meta):
        texts = {child.tag: child.text for child in one.children}
        inner = next((child.text for child in one.named("source")), "")
        if inner:
            stop = texts.get("stop_frame", "")
            step = STEP.search(texts.get("frame_filter", ""))
            found.setdefault(
                texts.get("id", ""),
                _Task(inner, int(stop) if re.fullmatch("[0-9]{1,9}", stop) else None, max(1, int(step[1])) if step else 1),
            )
    return found


def _task_of(task_id: str, tasks: Mapping[str, _Task]) -> _Task:
    """Find the video of a track or an image.

    Raises:
        ValueError: the file names no video for it.
    """
    if task_id in tasks:
        return tasks[task_id]
    known = {task.source: task for task in tasks.values()}
    if len(known) == 1:
        # `<source>` beside a task is the task's; the task itself knows more.
        return max(tasks.values(), key=lambda task: (task.stop_frame is not None, task.step))
    raise ValueError(
        "the file names no video in <source>" if not known else f"the file names {len(known)} videos, and this is of none of them"
    )


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
    for start, stop, line, said in intervals:
        yield Found(line, "", (task.source,), start / fps, stop / fps, said)


def _visible(track: Node, task: _Task) -> Iterator[tuple[int, int, int, Said]]:
    """Yield the times in which a track is visible with the same attributes: from a frame to the one that ends it."""
    shapes = [(frame(shape.attributes["frame"], "frame"), shape) for shape in track.children if "frame" in shape.attributes]
    opened: tuple[int, int, Said] | None = None
    last = 0
    for number, shape in sorted(shapes, key=lambda pair: pair[0]):
        said = None if shape.attributes.get("outside") == "1" else _said(track.attributes.get("label", ""), shape)
        if opened and opened[2] != said:
            yield opened[0], number, opened[1], opened[2]
            opened = None
        if said and not opened:
            opened = number, shape.line, said
        last = number
    if opened:
        yield opened[0], max(last, task.stop_frame or 0) + 1, opened[1], opened[2]


def _said(label: str, node: Node) -> Said:
    parts = {"text": label}
    for attribute in node.named("attribute"):
        if (part := part_of(attribute.attributes.get("name", ""))) and attribute.text:
            parts[part] = attribute.text
    return said_of(parts)


def _note_tags(image: Node, tags: Mapping[str, Mapping[Said, _Tags]]) -> Items:
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
        tags[image.attributes.get("task_id", "")][_said(node.attributes.get("label", ""), node)].frames.setdefault(number, node.line)


def _of_tags(task: _Task, tags: Mapping[Said, _Tags], videos: Videos) -> Items:
    """Yield runs of frames with equal tags as intervals. Where frame 0 alone has tags, they are about the whole video."""
    is_whole = {number for one in tags.values() for number in one.frames} == {0}
    for said, one in tags.items():
        if is_whole:
            yield Found(one.frames[0], "", (task.source,), None, None, said)
            continue
        fps = videos.fps((task.source,))
        start = previous = None
        for number in sorted(one.frames):
            if start is None or previous is None or number > previous + task.step:
                if start is not None and previous is not None:
                    yield Found(one.frames[start], "", (task.source,), start / fps, (previous + task.step) / fps, said)
                start = number
            previous = number
        if start is not None and previous is not None:
            yield Found(one.frames[start], "", (task.source,), start / fps, (previous + task.step) / fps, said)
