"""Asks a child process for a video's size, length, rate and number of frames."""

import sys
from pathlib import Path
from typing import IO, Never

import av
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import BadVideo, OutOfMemory, Unavailable
from tasks.video import looking
from tasks.video.child import run_child
from tasks.video.looking import READY, VideoProbe
from tasks.video.memory import Memory

MAX_BYTES = 2 << 30
"""Of the child that looks; an 8K picture of 12 bits is 214 MB, and a decoder keeps several."""

START_SECONDS = 60

BYTES_A_SECOND = 8 << 20
"""A file whose header does not tell its length is read to its end, be it from a slow disk."""

MAX_ANSWER_CHARACTERS = 1 << 16

LOOK = ("-m", looking.__name__)

ROOTS = ":".join({str(Path(module.__file__).parents[depth]) for module, depth in ((looking, 2), (av, 1)) if module.__file__})
"""Where a child finds the modules that it imports, however they were installed."""


class Answer(BaseModel):
    """A child's answer, one of these; nothing else is believed, for the file may have taken it over."""

    model_config = ConfigDict(extra="forbid", strict=True)

    probe: VideoProbe | None = None
    count: int | None = None
    bad: str | None = None
    undecoded: str | None = None
    out_of_memory: str | None = None


def probe(path: Path, *, max_seconds: float, memory: Memory) -> VideoProbe:
    """Look into `path`.

    `width` and `height` are those of the picture as displayed: square pixels, rotation applied. `rotation_degrees` is how far a player
    turns the stored picture clockwise. `fps` is the average. `duration_seconds` and `fps` are the header's, or those of the packets in
    the file where the header does not tell.

    Raises:
        BadVideo: it cannot be opened, holds no moving picture, is too large, too small or longer than `max_seconds`, or its start does not decode.
        OutOfMemory: it takes more memory, or crashes the child.
        Unavailable: the child cannot be started.
    """
    answer = _ask(path, "probe", str(max_seconds), memory=memory)
    return answer.probe or _refuse(path, answer, memory)


def count_frames(path: Path, *, memory: Memory) -> int:
    """The number of frames of a clip's first moving picture.

    Raises:
        BadVideo: it does not open, or has none.
        OutOfMemory: it takes more memory, or crashes the child.
        Unavailable: the child cannot be started.
    """
    answer = _ask(path, "count", memory=memory)
    return answer.count or _refuse(path, answer, memory)


def _ask(path: Path, command: str, *arguments: str, memory: Memory) -> Answer:
    time_limit_seconds = START_SECONDS + path.stat().st_size / BYTES_A_SECOND
    status, (first, last) = run_child(
        [sys.executable, "-s", "-S", "-P", *LOOK, command, str(path.absolute()), *arguments],
        folder=Path("/"),
        memory_bytes=min(memory.size_bytes, MAX_BYTES),
        time_limit_seconds=time_limit_seconds,
        read=_first_and_last_line,
        variables={"PYTHONPATH": ROOTS},
    )
    if status is None:
        raise BadVideo(f"{path.name}: reading it took longer than {time_limit_seconds:.0f} s and was ended")
    if first != READY:
        raise Unavailable(f"the process that looks into videos does not start (exit status {status}: {last}); retry, with more memory")
    if status != 0:
        raise OutOfMemory(f"{path.name}: reading it crashes; it is damaged, or memory is too small (exit status {status}: {last})")
    try:
        return Answer.model_validate_json(last)
    except ValidationError as error:
        raise BadVideo(f"{path.name}: what it holds cannot be told ({last[:100]!r})") from error


def _first_and_last_line(output: IO[str]) -> tuple[str, str]:
    lines = output.read(MAX_ANSWER_CHARACTERS).splitlines() or [""]
    return lines[0], lines[-1]


def _refuse(path: Path, answer: Answer, memory: Memory) -> Never:
    reason = answer.out_of_memory or answer.undecoded or answer.bad or "what it holds cannot be told"
    # A decoder without memory for its pictures does not always say so.
    if answer.out_of_memory or (answer.undecoded and memory.enough_at(MAX_BYTES).is_scarce):
        raise OutOfMemory(f"{path.name}: {reason}")
    raise BadVideo(f"{path.name}: {reason}")
