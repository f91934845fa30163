"""A container's log is read from the frames in which an engine sends it."""

import io
from contextlib import nullcontext
from types import SimpleNamespace

from dags._docker import FRAME_HEADER, ContainerLog


class Engine:
    """Sends each line, or part of a long one, in a frame with its time."""

    base_url, api_version = "http://engine", "1.47"

    def __init__(self, *parts):
        self.parts = list(parts)

    def get(self, url, **request):
        frames = (f"2026-05-01T12:00:{time:02}.000000000Z ".encode() + text for time, text in self.parts)
        sent = b"".join(FRAME_HEADER.pack(2, len(frame)) + frame for frame in frames)
        return nullcontext(SimpleNamespace(raw=io.BytesIO(sent), raise_for_status=lambda: None))


def test_a_last_line_without_a_line_break_is_read_once_the_container_has_ended():
    engine, lines = Engine((1, b"begun\n"), (2, b"error: ")), []
    log = ContainerLog(engine, "step", lines.append)
    log.follow()
    assert lines == ["begun"], "the rest of the line may follow, with the same time"
    engine.parts.append((2, b"no film"))
    log.follow(has_ended=True)
    log.follow(has_ended=True)
    assert lines == ["begun", "error: no film"]
    assert log.last_line == "error: no film"
