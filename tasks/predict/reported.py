"""Measure reported intervals on labelled footage: how many are right, and false alarms a minute in which nothing happens."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from tasks.data.labels.intervals import Span, merged, overlap_finder, without
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.predict.interval_scores import GROUPS, FoundIntervals, Group
from tasks.predict.names import Names
from tasks.store.records.experiments import KnownInterval, KnownLabels, PredictorRole, PredictPlanResult
from tasks.store.records.video import Interval

Finder = Callable[[Span], Iterator[Interval]]
"""Yields the spans of a film that overlap another."""


@dataclass(frozen=True)
class ReportedScores:
    """The reported intervals of a network that lie by half or more where labels of videos of a group say when something happens.

    Only that part of an interval counts. It is right if its action covers more than half of the part, and a false alarm if actions cover less than
    half. The `interval` of the precision is at 95 %, over source videos; it and the precision are None without an interval. `idle_seconds` is the
    labelled time of predicted clips in which nothing happens.
    """

    role: PredictorRole
    group: Group
    num_videos: int
    num_intervals: int
    num_right: int
    interval: tuple[float, float] | None
    num_false_alarms: int
    idle_seconds: float

    @property
    def precision(self) -> float | None:
        """Return the share of intervals that are right."""
        return self.num_right / self.num_intervals if self.num_intervals else None

    @property
    def false_alarms_per_minute(self) -> float | None:
        """Return the false alarms a minute in which nothing happens; None without such time."""
        return 60 * self.num_false_alarms / self.idle_seconds if self.idle_seconds else None


def reported_scores(
    plan: PredictPlanResult, films: Sequence[FoundIntervals], labels: KnownLabels, names: Names
) -> tuple[ReportedScores, ...]:
    """Measure each network's reported intervals by group of videos; groups without labelled time are left out."""
    met = dict.fromkeys(plan.measured_on, "val") | dict.fromkeys(plan.trained_on, "training")
    truth: dict[str, list[KnownInterval]] = {}
    for label in labels.intervals:
        truth.setdefault(label.video, []).append(label)
    labelled = [
        _labelled(film, looked_at, truth.get(film.video.video, ()), names) for film in films if (looked_at := _looked_at(film, labels))
    ]
    scores = []
    for group in GROUPS:
        own = [each for each in labelled if met.get(each.film.video.video, "other") == group]
        for role in plan.predictors:
            if of_role := [each for each in own if role in each.film.reported]:
                scores.append(_scores(role, group, of_role, names, plan))
    return tuple(scores)


@dataclass(frozen=True)
class _Labelled:
    """A film with its labelled time, its actions together and each by its id; the spans of each do not overlap."""

    film: FoundIntervals
    looked_at: Finder
    acting: Finder
    by_action: Mapping[int, Finder]
    idle_seconds: float


def _looked_at(film: FoundIntervals, labels: KnownLabels) -> list[Interval]:
    """List the labelled time of a film up to the end of its last clip: a film that is labelled as a whole has no end."""
    end = Interval(start_seconds=max((stop for _, stop in film.clips), default=0.0), stop_seconds=inf)
    return _joined(without((labels.covered or {}).get(film.video.video, ()), [end]))


def _labelled(film: FoundIntervals, looked_at: Sequence[Interval], truth: Sequence[KnownInterval], names: Names) -> _Labelled:
    by_action: dict[int, list[KnownInterval]] = {}
    for label in truth:
        by_action.setdefault(names.action(label.verb_class, label.noun_class), []).append(label)
    return _Labelled(
        film=film,
        looked_at=overlap_finder(looked_at),
        acting=overlap_finder(_joined(truth)),
        by_action={action: overlap_finder(_joined(own)) for action, own in by_action.items()},
        idle_seconds=_seconds(without(looked_at, truth)),
    )


def _scores(role: PredictorRole, group: Group, films: Sequence[_Labelled], names: Names, plan: PredictPlanResult) -> ReportedScores:
    right: list[bool] = []
    sources: list[str] = []
    num_false_alarms = 0
    for labelled in films:
        video = labelled.film.video.video
        for interval in labelled.film.reported[role]:
            parts = _within(interval, labelled.looked_at)
            seconds = _seconds(parts)
            if seconds < (interval.stop_seconds - interval.start_seconds) / 2:
                continue
            same = labelled.by_action.get(names.action(interval.verb_class, interval.noun_class))
            right.append(same is not None and _covered_seconds(parts, same) > seconds / 2)
            sources.append(plan.sources.get(video, video))
            num_false_alarms += _covered_seconds(parts, labelled.acting) < seconds / 2
    return ReportedScores(
        role=role,
        group=group,
        num_videos=len(films),
        num_intervals=len(right),
        num_right=sum(right),
        interval=top1_interval(np.array(right), sources) if right else None,
        num_false_alarms=num_false_alarms,
        idle_seconds=sum(labelled.idle_seconds for labelled in films),
    )


def _joined(spans: Iterable[Span]) -> list[Interval]:
    return [Interval(start_seconds=start, stop_seconds=stop) for start, stop in merged(spans)]


def _seconds(spans: Iterable[Span]) -> float:
    return sum(span.stop_seconds - span.start_seconds for span in spans)


def _within(span: Span, find: Finder) -> list[Interval]:
    """List the parts of a span that others cover."""
    return [
        Interval(start_seconds=max(span.start_seconds, other.start_seconds), stop_seconds=min(span.stop_seconds, other.stop_seconds))
        for other in find(span)
    ]


def _covered_seconds(parts: Iterable[Span], find: Finder) -> float:
    return sum(_seconds(_within(part, find)) for part in parts)
