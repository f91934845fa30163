"""Measure reported intervals on labelled footage: how many are right, and false alarms a minute in which nothing happens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.data.labels.intervals import Span, merged, overlap_seconds
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.predict.interval_scores import GROUPS, FoundIntervals, Group
from tasks.predict.names import Names
from tasks.store.records.experiments import KnownLabels, PredictorRole, PredictPlanResult
from tasks.store.records.video import Interval


@dataclass(frozen=True)
class ReportedScores:
    """The reported intervals of a network that lie by half or more where somebody labelled videos of a group.

    An interval is right if its action covers more than half of it, and a false alarm if actions cover less than half. The `interval` of the
    precision is at 95 %, over source videos; it and the precision are None without an interval. `idle_seconds` is the labelled time in which
    nothing happens.
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
    covered = labels.covered or {}
    scores = []
    for group in GROUPS:
        own = [film for film in films if met.get(film.video.video, "other") == group and covered.get(film.video.video)]
        for role in plan.predictors:
            if of_role := [film for film in own if role in film.reported]:
                scores.append(_scores(role, group, of_role, labels, names, plan))
    return tuple(scores)


def _scores(
    role: PredictorRole, group: Group, films: Sequence[FoundIntervals], labels: KnownLabels, names: Names, plan: PredictPlanResult
) -> ReportedScores:
    right: list[bool] = []
    sources: list[str] = []
    num_false_alarms, idle_seconds = 0, 0.0
    for film in films:
        video = film.video.video
        truth = [label for label in labels.intervals if label.video == video]
        looked_at, acting = _joined((labels.covered or {})[video]), _joined(truth)
        idle_seconds += _seconds(looked_at) - sum(_shared_seconds(part, looked_at) for part in acting)
        for interval in film.reported[role]:
            half = (interval.stop_seconds - interval.start_seconds) / 2
            if _shared_seconds(interval, looked_at) < half:
                continue
            action = names.action(interval.verb_class, interval.noun_class)
            same = _joined(label for label in truth if names.action(label.verb_class, label.noun_class) == action)
            right.append(_shared_seconds(interval, same) > half)
            sources.append(plan.sources.get(video, video))
            num_false_alarms += _shared_seconds(interval, acting) < half
    return ReportedScores(
        role=role,
        group=group,
        num_videos=len(films),
        num_intervals=len(right),
        num_right=sum(right),
        interval=top1_interval(np.array(right), sources) if right else None,
        num_false_alarms=num_false_alarms,
        idle_seconds=idle_seconds,
    )


def _joined(spans: Iterable[Span]) -> list[Interval]:
    return [Interval(start_seconds=start, stop_seconds=stop) for start, stop in merged(spans)]


def _seconds(spans: Iterable[Span]) -> float:
    return sum(span.stop_seconds - span.start_seconds for span in spans)


def _shared_seconds(span: Span, others: Iterable[Span]) -> float:
    return sum(overlap_seconds(span, other) for other in others)
