"""Find each video's intervals, and score them against labelled ones, next to always guessing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tasks.data.labels.intervals import merged
from tasks.judge.statistics.detection import TIOUS, DetectionScores, Segment, always_guessing, detection_scores, unmasked
from tasks.predict.intervals import Interval, intervals, reported
from tasks.predict.names import Names
from tasks.predict.probabilities import Distributions
from tasks.predict.scored import ScoredVideoClips, likely_by, read_scored
from tasks.store.records.experiments import KnownInterval, KnownLabels, Predictor, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.store.records.record import Target
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
"""Videos that the model never met, that chose its epoch, and that it was trained on."""
GROUPS: tuple[Group, ...] = ("other", "val", "training")


@dataclass(frozen=True)
class FoundIntervals:
    """The intervals of one video, by network: all those of an action, and those that are reported.

    `clips` are the start and stop of its clips.
    """

    video: ScoredVideo
    clips: tuple[tuple[float, float], ...]
    found: Mapping[PredictorRole, tuple[Interval, ...]]
    reported: Mapping[PredictorRole, tuple[Interval, ...]]

    @property
    def not_reported(self) -> Mapping[PredictorRole, tuple[Interval, ...]]:
        """Return the others that were found."""
        reported = {role: set(own) for role, own in self.reported.items()}
        return {role: tuple(interval for interval in own if interval not in reported[role]) for role, own in self.found.items()}


@dataclass(frozen=True)
class ScoredClass:
    """A labelled class: its average precision, mean over tIoUs, by each network and then by always guessing."""

    name: str
    num_labelled: int
    means: tuple[float, ...]


@dataclass(frozen=True)
class WhenScores:
    """Each network's scores by target on the same videos of a group.

    `num_masked` counts the model's intervals that lie where no label says when something happens; they count for nothing. `num_left_out`
    counts labelled videos with intervals of one network alone, which are scored for neither.
    `guessing` are those of always guessing the most frequent class of these labels, and `guessed` is its name.
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
        """Check whether the model was trained on these videos."""
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


def when_scores(plan: PredictPlanResult, films: Sequence[FoundIntervals], labels: KnownLabels, names: Names) -> tuple[WhenScores, ...]:
    """Score all intervals, below the threshold too, on the labelled videos that the model has never met, then of val, then of training.

    An interval where no label says when something happens is neither right nor wrong. Two networks are scored on the videos whose windows both have.
    """
    scored = []
    with_labels = {label.video for label in labels.intervals}
    met = dict.fromkeys(plan.measured_on, "val") | dict.fromkeys(plan.trained_on, "training")
    for name in GROUPS:
        group = [film for film in films if met.get(film.video.video, "other") == name and film.video.video in with_labels]
        of_model = [film for film in group if "model" in film.found]
        if both := [film for film in of_model if len(film.found) == len(plan.predictors)] or of_model:
            scored.append(_scores(plan, both, labels, names, name, len(of_model) - len(both)))
    return tuple(scored)


def table(scores: Iterable[WhenScores], plan: PredictPlanResult, names: Names) -> bytes:
    """Write the average precision of each class as CSV, for each network, target and tIoU, then its mean over classes.

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
    videos = {film.video.video for film in group}
    sources = {video: plan.sources.get(video, video) for video in videos}
    films = {film.video.video: film.clips for film in group}
    truth = [label for label in labels.intervals if label.video in videos]
    roles = [role for role in plan.predictors if all(role in film.found for film in group)]
    true = {target: [_segment(target, label.video, label, names) for label in truth] for target in names.targets}
    number = plan.evaluate.bootstrap_resamples

    covered = None if labels.covered is None else {video: merged(labels.covered.get(video, ())) for video in videos}

    def counted(segments: Sequence[Segment], target: Target) -> Sequence[Segment]:
        return segments if covered is None else unmasked(segments, true[target], covered)

    def scored(segments: Sequence[Segment], target: Target) -> DetectionScores:
        return detection_scores(counted(segments, target), true[target], sources, num_resamples=number)

    def of_network(role: PredictorRole, target: Target) -> list[Segment]:
        return [_segment(target, film.video.video, interval, names) for film in group for interval in film.found[role]]

    of_model = of_network(roles[0], names.targets[-1])
    guesses = {target: always_guessing(true[target], films) for target in names.targets}
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


def find_intervals(
    plan: PredictPlanResult, videos: Sequence[ScoredVideo], names: Names, folder: Path, fetch: Callable[[str, Path], None]
) -> tuple[FoundIntervals, ...]:
    """Find the intervals of each video whose windows were scored.

    Args:
        plan: has the networks with their temperatures and thresholds.
        names: has the targets; without nouns an action is a verb.
        folder: for a file of windows, until this returns.
        fetch: downloads the object at an address to a path.
    """
    return tuple(_find(plan, video, video.windows_uri, names, folder, fetch) for video in videos if video.windows_uri)


def _find(
    plan: PredictPlanResult, video: ScoredVideo, uri: str, names: Names, folder: Path, fetch: Callable[[str, Path], None]
) -> FoundIntervals:
    path = folder / f"{video.video}.windows.parquet"
    fetch(uri, path)
    parts = list(read_scored(path))
    path.unlink()
    if not parts:
        return FoundIntervals(video, (), {}, {})
    starts, stops = (np.concatenate([getattr(part, name) for part in parts]) for name in ("start_seconds", "stop_seconds"))
    each = {role: intervals(starts, stops, _likely(parts, role, plan, names)) for role in plan.predictors if role in parts[0].logits}
    by_role = {role: tuple(interval for interval in own if interval.verb_class != names.nothing_verb) for role, own in each.items()}
    kept = {role: _reported(own, plan.predictors[role]) for role, own in by_role.items()}
    # A window has no address of its own.
    clips = [
        (start, stop)
        for part in parts
        for clip_uri, start, stop in zip(part.uris, part.start_seconds.tolist(), part.stop_seconds.tolist(), strict=True)
        if clip_uri
    ]
    return FoundIntervals(video, tuple(clips), by_role, kept)


def _reported(candidates: tuple[Interval, ...], network: Predictor) -> tuple[Interval, ...]:
    return reported(candidates, network.interval_threshold) if network.reports_intervals else ()


def _likely(parts: Sequence[ScoredVideoClips], role: PredictorRole, plan: PredictPlanResult, names: Names) -> Distributions:
    verbs, nouns = (np.concatenate([part.logits[role][head] for part in parts]) for head in (0, 1))
    return likely_by(plan.predictors[role], verbs, nouns, names.targets)
