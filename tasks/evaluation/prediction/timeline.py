"""What two networks say along one video: equal neighbours drawn together."""

from collections.abc import Sequence
from dataclasses import dataclass

UNITS_A_CHARACTER = 0.75
"""Per cent of a desk's page that a letter takes; where a span has less room than its words, they are left to the table below."""


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
class Span:
    """Neighbouring clips of which both networks say the same; probabilities are means."""

    start_seconds: float
    stop_seconds: float
    num_clips: int
    model: Guess
    against: Guess | None
    truth: str | None

    @property
    def agrees(self) -> bool:
        """Whether both name the same action, or one network alone names any."""
        return self.against is None or self.against.action == self.model.action


@dataclass(frozen=True)
class Bar:
    """A span as it is drawn: where it begins and how wide it is, in per cent of the video."""

    span: Span
    x: float
    width: float
    model_fits: bool
    against_fits: bool


def spans(clips: Sequence[ShownClip]) -> tuple[Span, ...]:
    """Clips in order of time, equal neighbours made one."""
    groups: list[list[ShownClip]] = []
    for clip in clips:
        if groups and _same(groups[-1][-1], clip):
            groups[-1].append(clip)
        else:
            groups.append([clip])
    return tuple(
        Span(
            start_seconds=group[0].start_seconds,
            stop_seconds=group[-1].stop_seconds,
            num_clips=len(group),
            model=_mean([clip.model for clip in group]),
            against=_mean([clip.against for clip in group if clip.against]) if group[0].against else None,
            truth=group[0].truth,
        )
        for group in groups
    )


def bars(found: Sequence[Span]) -> tuple[Bar, ...]:
    """Spans of one video along its whole length."""
    total = max((span.stop_seconds for span in found), default=0.0) or 1.0
    return tuple(_bar(span, total) for span in found)


def _bar(span: Span, total: float) -> Bar:
    width = 100 * (span.stop_seconds - span.start_seconds) / total
    return Bar(
        span=span,
        x=100 * span.start_seconds / total,
        width=width,
        model_fits=_fits(span.model, width),
        against_fits=span.against is not None and _fits(span.against, width),
    )


def _fits(guess: Guess, width: float) -> bool:
    return len(guess.action) * UNITS_A_CHARACTER <= width


def _same(one: ShownClip, other: ShownClip) -> bool:
    theirs = one.against.action if one.against else None, other.against.action if other.against else None
    return (one.model.action, theirs[0], one.truth) == (other.model.action, theirs[1], other.truth)


def _mean(guesses: Sequence[Guess]) -> Guess:
    return Guess(guesses[0].action, sum(guess.probability for guess in guesses) / len(guesses))
