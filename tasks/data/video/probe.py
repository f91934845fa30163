"""Probe a video's size, duration, frame rate and number of frames in a child process."""

import sys
from pathlib import Path
from typing import IO, Annotated, Never

import av
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from tasks.data.video import inspection
from tasks.data.video.child import Memory, run_child
from tasks.data.video.inspection import READY, VideoProbe, camera, is_plausible
from tasks.errors import BadVideo, OutOfMemory, Unavailable

MAX_BYTES = 2 << 30
"""Memory limit of the child. An 8K picture of 12 bits is 214 MB, and a decoder keeps several."""

START_SECONDS = 60

BYTES_PER_SECOND = 8 << 20
"""Reading speed assumed for the time limit. A file without a duration in its header is read to the end, perhaps from a slow disk."""

MAX_ANSWER_CHARACTERS = 1 << 16

INSPECT = ("-m", inspection.__name__)

ROOTS = ":".join({str(Path(module.__file__).parents[depth]) for module, depth in ((inspection, 3), (av, 1)) if module.__file__})
"""The child's module search path, for any kind of installation."""


def _with_plain_tags(probe: VideoProbe) -> VideoProbe:
    if probe.camera != camera({"model": probe.camera or ""}):
        raise ValueError("the camera's name is not plain text")
    if probe.recorded_at and not is_plausible(probe.recorded_at):
        raise ValueError("the time of the recording is not plausible")
    return probe


class Answer(BaseModel):
    """A child's answer of exactly one field, strict because the file may control the child."""

    model_config = ConfigDict(extra="forbid", strict=True)

    probe: Annotated[VideoProbe, AfterValidator(_with_plain_tags)] | None = None
    count: int | None = None
    bad: str | None = None
    undecoded: str | None = None
    out_of_memory: str | None = None


def probe(path: Path, *, max_seconds: float, memory: Memory) -> VideoProbe:
    """Probe a video file.

    `width` and `height` are as displayed: square pixels, rotation applied. `rotation_degrees` is the clockwise rotation that a player
    applies to the stored picture. `duration_seconds` and the average `fps` come from the header, or else from the packets.

    Raises:
        BadVideo: it cannot be opened, has no video stream, is too large, too small or longer than `max_seconds`, or its start does not decode.
        OutOfMemory: it exceeds the memory limit, or crashes the child.
        Unavailable: the child cannot be started.
    """
    answer = _ask(path, "probe", str(max_seconds), memory=memory)
    return answer.probe or _refuse(path, answer, memory)


def count_frames(path: Path, *, memory: Memory) -> int:
    """Count the frames of a clip's first video stream.

    Raises:
        BadVideo: it cannot be opened, or has no frames.
        OutOfMemory: it exceeds the memory limit, or crashes the child.
        Unavailable: the child cannot be started.
    """
    answer = _ask(path, "count", memory=memory)
    return answer.count or _refuse(path, answer, memory)


def _ask(path: Path, command: str, *arguments: str, memory: Memory) -> Answer:
    time_limit_seconds = START_SECONDS + path.stat().st_size / BYTES_PER_SECOND
    status, (first, last) = run_child(
        [sys.executable, "-s", "-S", "-P", *INSPECT, command, str(path.absolute()), *arguments],
        folder=Path("/"),
        memory_bytes=min(memory.size_bytes, MAX_BYTES),
        time_limit_seconds=time_limit_seconds,
        read=_first_and_last_line,
        variables={"PYTHONPATH": ROOTS},
    )
    if status is None:
        raise BadVideo(f"{path.name}: reading it took longer than {time_limit_seconds:.0f} s and was stopped")
    if first != READY:
        raise Unavailable(f"the process that probes videos does not start (exit status {status}: {last}); retry with more memory")
    if status != 0:
        raise OutOfMemory(f"{path.name}: reading it crashes; it is damaged, or memory is too small (exit status {status}: {last})")
    try:
        return Answer.model_validate_json(last)
    except ValidationError as error:
        raise BadVideo(f"{path.name}: its content cannot be determined ({last[:100]!r})") from error


def _first_and_last_line(output: IO[str]) -> tuple[str, str]:
    lines = output.read(MAX_ANSWER_CHARACTERS).splitlines() or [""]
    return lines[0], lines[-1]


def _refuse(path: Path, answer: Answer, memory: Memory) -> Never:
    reason = answer.out_of_memory or answer.undecoded or answer.bad or "its content cannot be determined"
    # A decoder that runs out of memory does not always report it.
    if answer.out_of_memory or (answer.undecoded and memory.enough_at(MAX_BYTES).is_scarce):
        raise OutOfMemory(f"{path.name}: {reason}")
    raise BadVideo(f"{path.name}: {reason}")
