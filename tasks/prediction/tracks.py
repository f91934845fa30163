"""Predictions as WebVTT (W3C), so that any player shows them while the video plays."""

from dataclasses import dataclass

from tasks.wording import percent

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class Cue:
    """What is said from `start_seconds` to `stop_seconds`, and how likely it is."""

    start_seconds: float
    stop_seconds: float
    action: str
    probability: float


def opening(title: str) -> str:
    """How a track begins; `title` tells those who open the file what it is."""
    return f"WEBVTT\n\nNOTE {_text(title)}\n"


def block(cue: Cue) -> str:
    """A cue as it follows the opening and the cues before it. Names are text in it: never markup, and never its end."""
    start_ms = round(1000 * cue.start_seconds)
    # A cue that ends where it begins is dropped by players.
    stop_ms = max(start_ms + 1, round(1000 * cue.stop_seconds))
    return f"\n{_time(start_ms)} --> {_time(stop_ms)}\n{_text(cue.action)}, {percent(cue.probability)}\n"


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _text(text: str) -> str:
    # Without `>` there is no arrow, which would begin a cue's times.
    return " ".join(text.replace("\0", " ").split()).translate(_ENTITIES)
