"""Score the intervals of each network against labelled ones, next to always guessing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.csv_table import csv_table
from tasks.judge.statistics.detection import TIOUS, DetectionScores, Segment, always_guessing, detection_scores
from tasks.predict.found_intervals import FoundIntervals
from tasks.predict.intervals import Interval
from tasks.predict.names import Names
from tasks.store.records.prediction import KnownInterval, PredictorRole, PredictPlanResult
from tasks.store.records.record import Target
from tasks.wording import plain_cell

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


@dataclass(frozen=True)
class ScoredClass:
    """A labelled class: its average precision, mean over tIoUs, by each network and then by always guessing."""

    name: str
    num_labelled: int
    means: tuple[float, ...]


@dataclass(frozen=True)
class WhenScores:
    """Each network's scores by target on the same videos, either of those that the model was trained on or of others.

    `num_left_out` counts labelled videos with intervals of one network alone, which are scored for neither.
    `guessing` are those of always guessing the most frequent class of these labels, and `guessed` is its name.
    """

    is_trained_on: bool
    num_videos: int
    num_sources: int
    num_labelled: int
    num_left_out: int
    networks: Mapping[PredictorRole, Mapping[Target, DetectionScores]]
    guessing: Mapping[Target, DetectionScores]
    guessed: Mapping[Target, str]
    names: Names

    @property
    def has_intervals(self) -> bool:
        """Check whether enough source videos have labels to give intervals of the means."""
        return all(scores.interval for scores in self.guessing.values())

    def classes(self, target: Target) -> tuple[ScoredClass, ...]:
        """List the labelled classes of a target, the most frequent first."""
        columns = [*(targets[target] for targets in self.networks.values()), self.guessing[target]]
        return tuple(
            ScoredClass(self.names.name(target, of_each[0].label), of_each[0].num_labelled, tuple(one.mean for one in of_each))
            for of_each in zip(*(column.classes for column in columns), strict=True)
        )


def when_scores(
    plan: PredictPlanResult, found: Sequence[FoundIntervals], labelled: Sequence[KnownInterval], names: Names
) -> tuple[WhenScores, ...]:
    """Score all intervals, below the threshold too, on the labelled videos outside training, then on those of training.

    Two networks are scored on the videos of which both have windows.
    """
    scored = []
    with_labels = {one.video for one in labelled}
    for is_trained_on in (False, True):
        group = [one for one in found if (one.video.video in plan.trained_on) == is_trained_on and one.video.video in with_labels]
        of_model = [one for one in group if "model" in one.found]
        if both := [one for one in of_model if len(one.found) == len(plan.predictors)] or of_model:
            scored.append(_scores(plan, both, labelled, names, is_trained_on, len(of_model) - len(both)))
    return tuple(scored)


def table(scores: Iterable[WhenScores], plan: PredictPlanResult, names: Names) -> bytes:
    """Write the average precision of each class as CSV, for each network, target and tIoU, then its mean over classes.

    The limits are those of the 95 % interval, empty where it cannot be given.
    """
    rows = []
    for one in scores:
        networks = {plan.predictors[role].label: targets for role, targets in one.networks.items()} | {GUESSING: one.guessing}
        for network, targets in networks.items():
            for target, found in targets.items():
                each = [(names.name(target, own.label), own.num_labelled, (*own.by_tiou, own.mean), own.interval) for own in found.classes]
                each.append(("(mean of classes)", one.num_labelled, (*found.by_tiou, found.mean), found.interval))
                for name, number, values, interval in each:
                    videos = "training" if one.is_trained_on else "other"
                    figures = [round(value, 6) for value in (*values, *(interval or ()))]
                    cells = (videos, network, target, name, number, *figures, *(() if interval else ("", "")))
                    rows.append(dict(zip(COLUMNS, map(plain_cell, cells), strict=True)))
    return csv_table(COLUMNS, rows)


def _scores(
    plan: PredictPlanResult,
    found: Sequence[FoundIntervals],
    labelled: Sequence[KnownInterval],
    names: Names,
    is_trained_on: bool,
    num_left_out: int,
) -> WhenScores:
    videos = {one.video.video for one in found}
    sources = {video: plan.sources.get(video, video) for video in videos}
    films = {one.video.video: one.clips for one in found}
    truth = [one for one in labelled if one.video in videos]
    roles = [role for role in plan.predictors if all(role in one.found for one in found)]
    true = {target: [_segment(target, one.video, one, names) for one in truth] for target in names.targets}
    number = plan.evaluate.bootstrap_resamples

    def scored(segments: Sequence[Segment], target: Target) -> DetectionScores:
        return detection_scores(segments, true[target], sources, num_resamples=number)

    def of_network(role: PredictorRole, target: Target) -> list[Segment]:
        return [_segment(target, one.video.video, interval, names) for one in found for interval in one.found[role]]

    guesses = {target: always_guessing(true[target], films) for target in names.targets}
    return WhenScores(
        is_trained_on=is_trained_on,
        num_videos=len(videos),
        num_sources=len(set(sources.values())),
        num_labelled=len(truth),
        num_left_out=num_left_out,
        networks={role: {target: scored(of_network(role, target), target) for target in names.targets} for role in roles},
        guessing={target: scored(own, target) for target, own in guesses.items()},
        guessed={target: names.name(target, own[0].label) for target, own in guesses.items()},
        names=names,
    )


def _segment(target: Target, video: str, one: Interval | KnownInterval, names: Names) -> Segment:
    label = {"verb": one.verb_class, "noun": one.noun_class, "action": names.action(one.verb_class, one.noun_class)}[target]
    return Segment(video, one.start_seconds, one.stop_seconds, label, one.probability if isinstance(one, Interval) else 1.0)
