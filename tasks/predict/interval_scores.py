"""Score intervals against labels: all of them next to always guessing, and the reported ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np

from tasks.data.labels.intervals import Span, overlap_finder, union, without
from tasks.judge.statistics.detection import TIOUS, DetectionScores, Segment, always_guessing, detection_scores, unmasked
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.predict.intervals import Interval
from tasks.predict.scored_video import FoundIntervals, Names
from tasks.store.records.prediction import KnownInterval, KnownLabels, PredictorRole, PredictPlanResult
from tasks.store.records.record import Target
from tasks.store.records.video import Interval as Stretch
from tasks.wording import csv_table, plain_cell

COLUMNS = (
    "videos",
    "network",
    "target",
    "class",
    "num_labelled",
    *(f"ap_{tiou:g}" for tiou in TIOUS),
    "ap_mean",
    "ap_mean_low",
    "ap_mean_high",
)
GUESSING = "always guessing"
Group = Literal["other", "val", "training"]
"""Videos that no network met, that chose the epoch of one, and that one was trained on."""
GROUPS: tuple[Group, ...] = ("other", "val", "training")
Finder = Callable[[Span], Iterator[Stretch]]
"""Yields the spans of a video that overlap another."""


@dataclass(frozen=True)
class ScoredClass:
    """A labelled class with its average precision, the mean over tIoUs.

    `means` has the value of each network, and then that of always guessing.
    """

    name: str
    num_labelled: int
    means: tuple[float, ...]


@dataclass(frozen=True)
class WhenScores:
    """Each network's scores by target on the same videos of a group.

    `num_masked` counts the model's intervals where no label says when something happens; they count for nothing. `num_left_out` counts
    labelled videos with intervals of one network alone, which are scored for neither. `guessing` are the scores of always guessing the most
    frequent class of these labels, and `guessed` is its name.
    """

    group: Group
    num_videos: int
    num_sources: int
    num_labelled: int
    num_left_out: int
    num_masked: int
    networks: Mapping[PredictorRole, Mapping[Target, DetectionScores]]
    guessing: Mapping[Target, DetectionScores]
    guessed: Mapping[Target, str]
    names: Names

    @property
    def is_trained_on(self) -> bool:
        """Check whether a network was trained on these videos."""
        return self.group == "training"

    @property
    def has_intervals(self) -> bool:
        """Check whether enough source videos have labels to give intervals of the means."""
        return all(scores.interval for scores in self.guessing.values())

    def classes(self, target: Target) -> tuple[ScoredClass, ...]:
        """List the labelled classes of a target, the most frequent first."""
        columns = [*(targets[target] for targets in self.networks.values()), self.guessing[target]]
        return tuple(
            ScoredClass(self.names.name(target, of_each[0].label), of_each[0].num_labelled, tuple(precision.mean for precision in of_each))
            for of_each in zip(*(column.classes for column in columns), strict=True)
        )


def when_scores(plan: PredictPlanResult, predicted: Sequence[FoundIntervals], labels: KnownLabels, names: Names) -> tuple[WhenScores, ...]:
    """Score all intervals of the labelled videos, also those below the threshold, group by group.

    An interval where no label says when something happens is neither right nor wrong. Two networks are scored on the videos whose windows
    both have.
    """
    scored = []
    with_labels = {label.video for label in labels.intervals}
    met = dict.fromkeys(plan.measured_on, "val") | dict.fromkeys(plan.trained_on, "training")
    for name in GROUPS:
        group = [each for each in predicted if met.get(each.video.video, "other") == name and each.video.video in with_labels]
        of_model = [each for each in group if "model" in each.intervals]
        if both := [each for each in of_model if len(each.intervals) == len(plan.predictors)] or of_model:
            scored.append(_scores(plan, both, labels, names, name, len(of_model) - len(both)))
    return tuple(scored)


def table(scores: Iterable[WhenScores], plan: PredictPlanResult, names: Names) -> bytes:
    """Write the average precision of each class, and their mean, as CSV.

    The limits are those of the 95 % interval, empty where it cannot be given.
    """
    rows = []
    for score in scores:
        networks = {plan.predictors[role].label: targets for role, targets in score.networks.items()} | {GUESSING: score.guessing}
        for network, targets in networks.items():
            for target, detection in targets.items():
                each = [
                    (names.name(target, own.label), own.num_labelled, (*own.by_tiou, own.mean), own.interval) for own in detection.classes
                ]
                each.append(("(mean of classes)", score.num_labelled, (*detection.by_tiou, detection.mean), detection.interval))
                for name, number, values, interval in each:
                    figures = [round(value, 6) for value in (*values, *(interval or ()))]
                    cells = (score.group, network, target, name, number, *figures, *(() if interval else ("", "")))
                    rows.append(dict(zip(COLUMNS, map(plain_cell, cells), strict=True)))
    return csv_table(COLUMNS, rows)


def _scores(
    plan: PredictPlanResult,
    group: Sequence[FoundIntervals],
    labels: KnownLabels,
    names: Names,
    name: Group,
    num_left_out: int,
) -> WhenScores:
    videos = {each.video.video for each in group}
    sources = {video: plan.sources.get(video, video) for video in videos}
    clips_of = {each.video.video: each.clips for each in group}
    truth = [label for label in labels.intervals if label.video in videos]
    roles = [role for role in plan.predictors if all(role in each.intervals for each in group)]
    true = {target: [_segment(target, label.video, label, names) for label in truth] for target in names.targets}
    covered = None if labels.covered is None else {video: union(labels.covered.get(video, ())) for video in videos}

    def counted(segments: Sequence[Segment], target: Target) -> Sequence[Segment]:
        return segments if covered is None else unmasked(segments, true[target], covered)

    def scored(segments: Sequence[Segment], target: Target) -> DetectionScores:
        return detection_scores(counted(segments, target), true[target], sources, num_resamples=plan.evaluate.bootstrap_resamples)

    def of_network(role: PredictorRole, target: Target) -> list[Segment]:
        return [_segment(target, each.video.video, interval, names) for each in group for interval in each.intervals[role]]

    of_model = of_network(roles[0], names.targets[-1])
    guesses = {target: always_guessing(true[target], clips_of) for target in names.targets}
    return WhenScores(
        group=name,
        num_videos=len(videos),
        num_sources=len(set(sources.values())),
        num_labelled=len(truth),
        num_left_out=num_left_out,
        num_masked=len(of_model) - len(counted(of_model, names.targets[-1])),
        networks={role: {target: scored(of_network(role, target), target) for target in names.targets} for role in roles},
        guessing={target: scored(own, target) for target, own in guesses.items()},
        guessed={target: names.name(target, own[0].label) for target, own in guesses.items()},
        names=names,
    )


def _segment(target: Target, video: str, interval: Interval | KnownInterval, names: Names) -> Segment:
    labels = {"verb": interval.verb_class, "noun": interval.noun_class, "action": names.action(interval.verb_class, interval.noun_class)}
    score = interval.probability if isinstance(interval, Interval) else 1.0
    return Segment(video, interval.start_seconds, interval.stop_seconds, labels[target], score)


@dataclass(frozen=True)
class ReportedScores:
    """The scores of a network's reported intervals in a group of videos.

    An interval counts if it lies by half or more where labels say when something happens, and only with that part. It is right if its
    action covers more than half of the part, and a false alarm if actions cover less than half. The `interval` of the precision is at 95 %,
    over source videos. Both are None without an interval to count. `idle_seconds` is the labelled time of predicted clips in which nothing
    happens.
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
    plan: PredictPlanResult, predicted: Sequence[FoundIntervals], labels: KnownLabels, names: Names
) -> tuple[ReportedScores, ...]:
    """Measure each network's reported intervals, by group of videos with labelled time."""
    met = dict.fromkeys(plan.measured_on, "val") | dict.fromkeys(plan.trained_on, "training")
    truth: dict[str, list[KnownInterval]] = {}
    for label in labels.intervals:
        truth.setdefault(label.video, []).append(label)
    labelled = [
        _labelled(each, looked_at, truth.get(each.video.video, ()), names) for each in predicted if (looked_at := _looked_at(each, labels))
    ]
    scores = []
    for group in GROUPS:
        own = [each for each in labelled if met.get(each.predicted.video.video, "other") == group]
        for role in plan.predictors:
            if of_role := [each for each in own if role in each.predicted.reported]:
                scores.append(_scores_of(role, group, of_role, names, plan))
    return tuple(scores)


@dataclass(frozen=True)
class _Labelled:
    """A video's labelled time, all actions, and each by id; a finder's spans are disjoint."""

    predicted: FoundIntervals
    looked_at: Finder
    acting: Finder
    by_action: Mapping[int, Finder]
    idle_seconds: float


def _looked_at(predicted: FoundIntervals, labels: KnownLabels) -> list[Stretch]:
    """List the labelled time of a video up to the end of its last clip."""
    # A video that is labelled as a whole has no end of its own.
    end = Stretch(start_seconds=max((stop for _, stop in predicted.clips), default=0.0), stop_seconds=inf)
    return _joined(without((labels.covered or {}).get(predicted.video.video, ()), [end]))


def _labelled(predicted: FoundIntervals, looked_at: Sequence[Stretch], truth: Sequence[KnownInterval], names: Names) -> _Labelled:
    by_action: dict[int, list[KnownInterval]] = {}
    for label in truth:
        by_action.setdefault(names.action(label.verb_class, label.noun_class), []).append(label)
    return _Labelled(
        predicted=predicted,
        looked_at=overlap_finder(looked_at),
        acting=overlap_finder(_joined(truth)),
        by_action={action: overlap_finder(_joined(own)) for action, own in by_action.items()},
        idle_seconds=_seconds(without(looked_at, truth)),
    )


def _scores_of(role: PredictorRole, group: Group, own: Sequence[_Labelled], names: Names, plan: PredictPlanResult) -> ReportedScores:
    right: list[bool] = []
    sources: list[str] = []
    num_false_alarms = 0
    for labelled in own:
        video = labelled.predicted.video.video
        for interval in labelled.predicted.reported[role]:
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
        num_videos=len(own),
        num_intervals=len(right),
        num_right=sum(right),
        interval=top1_interval(np.array(right), sources) if right else None,
        num_false_alarms=num_false_alarms,
        idle_seconds=sum(labelled.idle_seconds for labelled in own),
    )


def _joined(spans: Iterable[Span]) -> list[Stretch]:
    return [Stretch(start_seconds=start, stop_seconds=stop) for start, stop in union(spans)]


def _seconds(spans: Iterable[Span]) -> float:
    return sum(span.stop_seconds - span.start_seconds for span in spans)


def _within(span: Span, find: Finder) -> list[Stretch]:
    """List the parts of a span that others cover."""
    return [
        Stretch(start_seconds=max(span.start_seconds, other.start_seconds), stop_seconds=min(span.stop_seconds, other.stop_seconds))
        for other in find(span)
    ]


def _covered_seconds(parts: Iterable[Span], find: Finder) -> float:
    return sum(_seconds(_within(part, find)) for part in parts)
