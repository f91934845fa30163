"""Write predictions as WebVTT (W3C) subtitles, which any player shows with the video."""

from dataclasses import dataclass

from tasks.wording import percent

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class Cue:
    """The action predicted from `start_seconds` to `stop_seconds`, with its probability."""

    start_seconds: float
    stop_seconds: float
    action: str
    probability: float


def opening(title: str) -> str:
    """Write the header of a track, with `title` as a note."""
    return f"WEBVTT\n\nNOTE {_text(title)}\n"


def block(cue: Cue) -> str:
    """Write one cue. Names are escaped, so that they can neither be markup nor end the cue."""
    start_ms = round(1000 * cue.start_seconds)
    # Players drop a cue of zero length.
    stop_ms = max(start_ms + 1, round(1000 * cue.stop_seconds))
    return f"\n{_time(start_ms)} --> {_time(stop_ms)}\n{_text(cue.action)}, {percent(cue.probability)}\n"


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _text(text: str) -> str:
    # Escaping `>` also keeps `-->` out, which would start a cue's timing line.
    return " ".join(text.replace("\0", " ").split()).translate(_ENTITIES)
