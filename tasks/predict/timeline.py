"""Lay out two networks' predictions along one video, merging equal neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tasks.wording import clock, percent

Value = TypeVar("Value")

PERCENT_PER_LETTER, PERCENT_PER_LETTER_ON_PHONES = 0.8, 2.2
"""Width of a letter in percent of the page. A bar narrower than its text stays empty, since the table below has the text."""


@dataclass(frozen=True)
class Guess:
    """A network's best action on one clip."""

    action: str
    probability: float


@dataclass(frozen=True)
class ShownClip:
    """One clip on the page; `against` is missing without a second network, `truth` without a label."""

    uid: str
    start_seconds: float
    stop_seconds: float
    model: Guess
    against: Guess | None
    truth: str | None


@dataclass(frozen=True)
class ShownInterval:
    """A stretch of a video with an action.

    A network found it, with its probability, or people labelled it, without one. `is_not_reported`: it is not reported.
    """

    start_seconds: float
    stop_seconds: float
    action: str
    probability: float | None
    is_not_reported: bool = False


@dataclass(frozen=True)
class Span:
    """Adjacent clips with equal predictions of both networks; probabilities are means."""

    start_seconds: float
    stop_seconds: float
    num_clips: int
    model: Guess
    against: Guess | None
    truth: str | None

    @property
    def differs(self) -> bool:
        """Check whether the networks predict different actions; False without a second network."""
        return self.against is not None and self.against.action != self.model.action


@dataclass(frozen=True)
class Bar:
    """A prediction's stretch: start and width in percent, text if it fits, and tooltip."""

    x: float
    width: float
    shown: str
    spoken: str
    is_not_reported: bool = False

    @property
    def is_tight(self) -> bool:
        """Check whether the text is too long for a phone."""
        return len(self.shown) * PERCENT_PER_LETTER_ON_PHONES > self.width


@dataclass(frozen=True)
class Drawing:
    """The bars of a video's timeline: each network's predictions, and where they differ."""

    model: tuple[Bar, ...]
    against: tuple[Bar, ...]
    differ: tuple[Bar, ...]


def spans(clips: Sequence[ShownClip]) -> tuple[Span, ...]:
    """Merge equal neighbours of clips in time order; spans never cover parts that were not predicted."""
    groups = _stretches([(clip, (clip.model.action, clip.against.action if clip.against else None, clip.truth)) for clip in clips])
    return tuple(
        Span(
            start_seconds=group[0].start_seconds,
            stop_seconds=group[-1].stop_seconds,
            num_clips=len(group),
            model=_mean([clip.model for clip in group]),
            against=_mean([clip.against for clip in group if clip.against]) if group[0].against else None,
            truth=group[0].truth,
        )
        for _, group in groups
    )


def drawing(clips: Sequence[ShownClip]) -> Drawing:
    """Draw clips of one video, in time order; parts that were not predicted stay blank."""
    total = _length(clips)
    both = [(clip, clip.against) for clip in clips if clip.against]
    return Drawing(
        model=_bars([(clip, clip.model.action) for clip in clips], total),
        against=_bars([(clip, theirs.action) for clip, theirs in both], total),
        differ=tuple(
            bar
            for bar in _bars([(clip, "" if theirs.action == clip.model.action else "they differ") for clip, theirs in both], total)
            if bar.spoken
        ),
    )


def interval_bars(intervals: Sequence[ShownInterval], clips: Sequence[ShownClip]) -> tuple[Bar, ...]:
    """Draw a network's intervals below the clips of the same video; those that begin after the last clip are left out."""
    total = _length(clips)
    return tuple(
        replace(
            _bar(interval.start_seconds, min(interval.stop_seconds, total), interval.action, _likely(interval), total),
            is_not_reported=interval.is_not_reported,
        )
        for interval in intervals
        if interval.start_seconds < total
    )


def _bars(pairs: Sequence[tuple[ShownClip, str]], total: float) -> tuple[Bar, ...]:
    bars = []
    for words, clips in _stretches(pairs):
        bars.append(_bar(clips[0].start_seconds, clips[-1].stop_seconds, words, "", total))
    return tuple(bars)


def _bar(start: float, stop: float, words: str, more: str, total: float) -> Bar:
    width = 100 * (stop - start) / total
    spoken = f"{clock(start)} to {clock(stop)}: {words}{more}" if words else ""
    return Bar(100 * start / total, width, words if (len(words) + 1) * PERCENT_PER_LETTER <= width else "", spoken)


def _likely(interval: ShownInterval) -> str:
    if interval.probability is None:
        return ""
    return f", {percent(interval.probability)}" + (", not reported" if interval.is_not_reported else "")


def _length(clips: Sequence[ShownClip]) -> float:
    return max((clip.stop_seconds for clip in clips), default=0.0) or 1.0


def _stretches(pairs: Sequence[tuple[ShownClip, Value]]) -> list[tuple[Value, list[ShownClip]]]:
    """Group adjacent clips with equal values; a gap in time starts a new group."""
    stretches: list[tuple[Value, list[ShownClip]]] = []
    for clip, words in pairs:
        if stretches and words == stretches[-1][0] and clip.start_seconds == stretches[-1][1][-1].stop_seconds:
            stretches[-1][1].append(clip)
        else:
            stretches.append((words, [clip]))
    return stretches


def _mean(guesses: Sequence[Guess]) -> Guess:
    return Guess(guesses[0].action, sum(guess.probability for guess in guesses) / len(guesses))
