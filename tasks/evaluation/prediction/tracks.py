"""Predictions as WebVTT (W3C), so that any player shows them while the video plays."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.evaluation.wording import percent

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class Cue:
    """What is said from `start_seconds` to `stop_seconds`, and how likely it is."""

    start_seconds: float
    stop_seconds: float
    action: str
    probability: float


def web_vtt(title: str, cues: Iterable[Cue]) -> str:
    """The track as text. Names are text in it: never markup, and never the end of a cue.

    Args:
        title: what the track is, for those who open the file.
        cues: in order of time.
    """
    blocks = [f"WEBVTT\n\nNOTE {_text(title)}"]
    for cue in cues:
        start_ms = round(1000 * cue.start_seconds)
        # A cue that ends where it begins is dropped by players.
        stop_ms = max(start_ms + 1, round(1000 * cue.stop_seconds))
        blocks.append(f"{_time(start_ms)} --> {_time(stop_ms)}\n{_text(cue.action)}, {percent(cue.probability)}")
    return "\n\n".join(blocks) + "\n"


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _text(text: str) -> str:
    # Without `>` there is no arrow, which would begin a cue's times.
    return " ".join(text.replace("\0", " ").split()).translate(_ENTITIES)
