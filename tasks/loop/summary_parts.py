"""Make the parts of the summary from the records of steps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tasks.store.records.curves import LearningCurveResult
from tasks.store.records.dataset import Agreement, DatasetResult, LabelResult, LabelsFile, Manifest
from tasks.store.records.decisions import ChampionMove
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.record import SPLITS, SplitName
from tasks.store.records.status import (
    DatasetChange,
    DatasetStatus,
    KeptDataset,
    LabelCount,
    LabelsStatus,
    ModelStatus,
    PredictionsStatus,
    PredictionStatus,
    SplitStatus,
    TrainingStatus,
    VersionStatus,
    VideosStatus,
    WeakClass,
)
from tasks.store.records.training import PlanResult
from tasks.store.records.video import SummaryResult
from tasks.wording import count, minus, percent

if TYPE_CHECKING:
    from tasks.judge.statistics.scoring import ScoredClips

MAX_SHOWN = 20
MAX_DATASETS = 50
MAX_PREDICTIONS = 10
MAX_VERSIONS = 200
NUM_WEAK, NUM_WRONG_CLIPS = 5, 4
CHAMPION_AGAIN = "champion again"


def videos_status(earlier: VideosStatus | None, summary: SummaryResult, num_videos: int, at: str) -> VideosStatus:
    """Sum up an ingest; the store now has `num_videos`.

    An ingest that brought no new video keeps the number and the time of the latest that did. In a store without this part, an earlier
    version may have taken videos in, so none is called new.
    """
    num_new = num_videos - (earlier.num_videos if earlier else num_videos)
    before = (earlier.num_new, earlier.new_at) if earlier else (0, at)
    num_latest, new_at = (num_new, at) if num_new > 0 else before
    return VideosStatus(
        at=at,
        num_videos=num_videos,
        num_clips=summary.num_clips,
        num_new=num_latest,
        new_at=new_at,
        num_set_aside=summary.num_set_aside,
        first_set_aside=summary.first_set_aside[:MAX_SHOWN],
    )


def labels_status(labels: LabelsFile, result: LabelResult, people: Mapping[str, str], at: str) -> LabelsStatus:
    """Count labelled clips by origin; `people` names who labelled a clip on the page."""
    folders = {f"folder {folder.folder}": folder.folder for folder in labels.folders}

    def origin_of(uid: str, origin: str) -> tuple[Literal["folder", "file", "person"], str]:
        if uid in people:
            return "person", people[uid]
        if origin in folders:
            return "folder", folders[origin]
        # A line of a file is `a.csv:12`, an item of another tool's `a.json, video 3`.
        name, _, line = origin.rpartition(":")
        return "file", name if name and line.isdecimal() else origin.partition(", ")[0]

    counted = Counter(origin_of(clip.clip.uid, clip.origin) for clip in labels.clips if clip.origin is not None)
    most = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_SHOWN]
    return LabelsStatus(
        at=at,
        num_clips=result.num_clips,
        num_labelled=result.num_labelled,
        num_unsure=result.num_unsure,
        by_origin=tuple(LabelCount(kind=kind, name=name, num_clips=number) for (kind, name), number in most),
        agreement=agreement_in_words(labels.agreement) if labels.agreement else "",
        num_problems=result.num_problems,
        num_statements=result.num_statements,
    )


def agreement_in_words(agreement: Agreement) -> str:
    """Say how far two readers agree."""
    interval = f" [{agreement.interval[0]:.2f}, {agreement.interval[1]:.2f}]" if agreement.interval else ""
    kappa = "" if agreement.kappa is None else minus(f" {agreement.kappa:.2f}{interval}")
    clips = f"{count(agreement.num_clips, 'clip')} of {count(agreement.num_videos, 'video')}"
    return f"Two readers give the same answer to {percent(agreement.share)} of {clips}; Cohen's kappa{kappa}{agreement.about_interval}."


def dataset_status(earlier: DatasetStatus | None, result: DatasetResult, change: DatasetChange | None, at: str) -> DatasetStatus:
    """Sum up the latest dataset.

    If it was the latest already, it keeps its change and its place.
    """
    is_known = earlier is not None and earlier.digest == result.digest
    kept = earlier.datasets if earlier else ()
    if not is_known:
        latest = KeptDataset(digest=result.digest, at=at, num_clips=sum(result.num_clips.values()))
        kept = (latest, *(dataset for dataset in kept if dataset.digest != result.digest))[:MAX_DATASETS]
    return DatasetStatus(
        at=at,
        digest=result.digest,
        splits=tuple(
            SplitStatus(split=split, num_clips=result.num_clips[split], num_sources=result.num_sources[split]) for split in SPLITS
        ),
        num_unlabelled=result.num_unlabelled,
        change=earlier.change if earlier and is_known else change,
        warnings=result.warnings[:MAX_SHOWN],
        datasets=kept,
    )


def training_status(plan: PlanResult, recipe: str, at: str) -> TrainingStatus:
    """Sum up a planned training."""
    return TrainingStatus(
        at=at,
        run_key=plan.run_key,
        recipe=recipe,
        num_train_clips=plan.num_train_clips,
        estimate=plan.estimate,
        expected_seconds=plan.expected_seconds,
        dataset=plan.dataset_digest,
    )


def with_prediction(earlier: PredictionsStatus | None, latest: PredictionStatus) -> PredictionsStatus:
    """Put a prediction first among the latest, in place of an earlier report on it."""
    others = (known for known in (earlier.predictions if earlier else ()) if known.prediction_uri != latest.prediction_uri)
    return PredictionsStatus(predictions=(latest, *others)[:MAX_PREDICTIONS])


@dataclass(frozen=True)
class Score:
    """Action top-1 in percent on the deciding clips, with its 95 % interval."""

    top1: float
    interval: tuple[float, float]
    num_left_out: int = 0

    @classmethod
    def of(cls, result: EvaluateResult, num_left_out: int = 0) -> "Score":
        """Read the score of a network on one split."""
        low, high = result.action.top1_interval
        return cls(_percent(result.action.top1), (_percent(low), _percent(high)), num_left_out)


@dataclass(frozen=True)
class Standing:
    """The champion after a move or a decision, and since when."""

    version: int | None
    provisional: bool
    since: str | None


@dataclass(frozen=True)
class Gain:
    """Expected points of action top-1, with their interval, of so many more labelled clips."""

    points: float
    interval: tuple[float, float]
    num_clips: int

    @classmethod
    def of(cls, curve: LearningCurveResult) -> "Gain | None":
        """Read the gain of twice as many clips; None if the data cannot tell."""
        twice = next((gain for gain in curve.curves[-1].gains if gain.times == 2), None)
        if twice is None:
            return None
        low, high = twice.interval
        return cls(_percent(twice.gain), (_percent(low), _percent(high)), twice.num_clips - curve.num_clips)

    @classmethod
    def kept_in(cls, model: ModelStatus | None) -> "Gain | None":
        """Read the gain that the summary of a model has."""
        if model is None or model.expected_gain is None or model.gain_interval is None or model.gain_clips is None:
            return None
        return cls(model.expected_gain, model.gain_interval, model.gain_clips)


@dataclass(frozen=True)
class Evidence:
    """Facts of a decision: its split, the champion's weak classes, doubtful labels, the expected gain."""

    split: SplitName
    weak_classes: tuple[WeakClass, ...]
    num_doubtful: int
    gain: Gain | None
    doubtful: Mapping[str, tuple[str, str, str, str]] | None = None


def with_decision(
    earlier: ModelStatus | None, model_name: str, entry: VersionStatus, champion: Standing, evidence: Evidence, at: str
) -> ModelStatus:
    """Add a decision or a rollback to a model's history: the latest first, each once."""
    others = [known for known in (earlier.versions if earlier else ()) if (known.version, known.at) != (entry.version, entry.at)]
    return ModelStatus(
        at=at,
        model_name=model_name,
        champion=champion.version,
        provisional=champion.provisional,
        champion_since=champion.since,
        split=evidence.split,
        num_doubtful=evidence.num_doubtful,
        doubtful=evidence.doubtful,
        weak_classes=evidence.weak_classes,
        versions=tuple(sorted((entry, *others), key=lambda version: version.at, reverse=True)[:MAX_VERSIONS]),
        now_dataset=earlier.now_dataset if earlier else "",
        now_split=earlier.now_split if earlier else None,
        **_gain_fields(evidence.gain),
    )


def with_gain(earlier: ModelStatus | None, run_key: str, gain: Gain | None) -> ModelStatus | None:
    """Add the gain of a learning curve; None unless its training was decided on last."""
    decisions = (version for version in (earlier.versions if earlier else ()) if version.event != CHAMPION_AGAIN)
    last = next(decisions, None)
    if earlier is None or last is None or last.run_key != run_key:
        return None
    return earlier.model_copy(update=_gain_fields(gain))


def with_scores(model: ModelStatus, dataset: str, split: SplitName, scores: Mapping[int, Score]) -> ModelStatus:
    """Note scores on a split of a dataset, in place of scores on other clips."""
    is_other = not are_of(model, dataset, split)

    def now(version: VersionStatus) -> VersionStatus:
        score = scores.get(version.version)
        if score:
            return version.model_copy(update={"top1_now": score.top1, "interval_now": score.interval, "num_left_out": score.num_left_out})
        return version.model_copy(update={"top1_now": None, "interval_now": None, "num_left_out": 0}) if is_other else version

    return model.model_copy(update={"versions": tuple(map(now, model.versions)), "now_dataset": dataset, "now_split": split})


def are_of(model: ModelStatus, dataset: str, split: SplitName) -> bool:
    """Check whether the scores of today are of this split of this dataset."""
    return (model.now_dataset, model.now_split) == (dataset, split)


def not_scored_now(model: ModelStatus, most: int) -> list[VersionStatus]:
    """List the latest versions without a score of today, each once."""
    latest: dict[int, VersionStatus] = {}
    for version in model.versions:
        latest.setdefault(version.version, version)
    return [version for version in list(latest.values())[:most] if version.top1_now is None]


def champion_since(moves: Sequence[ChampionMove], version: int | None) -> str | None:
    """Find when a version became champion, by the last moves in a row to it."""
    since = None
    for move in reversed(moves):
        if version is None or move.decision.champion_after != version:
            break
        since = move.decision.time
    return since


def weak_classes(scored: "ScoredClips", manifest: Manifest) -> tuple[WeakClass, ...]:
    """List the actions that a network names worst.

    Each has clips that the network gets wrong, those of the largest loss first. A class with few clips counts as nearer to a half
    (Laplace's rule of succession), so that one wrong clip is not the worst class.
    """
    from tasks.judge.statistics.answers import answers_of  # here alone: most steps that write a part need no SciPy

    clips = {clip.uid: clip for clip in manifest.clips}
    right = answers_of(scored, manifest.vocabulary)["action"].right
    of_action: dict[str, list[int]] = {}
    for number, uid in enumerate(scored.uids):
        of_action.setdefault(clips[uid].action, []).append(number)
    classes = []
    for name, numbers in of_action.items():
        wrong = sorted((number for number in numbers if not right[number]), key=lambda number: -scored.losses[number])
        if wrong:
            shown = clips[scored.uids[wrong[0]]]
            uids = tuple(scored.uids[number] for number in wrong[:NUM_WRONG_CLIPS])
            num_right = len(numbers) - len(wrong)
            classes.append(WeakClass(name=name, verb=shown.verb, noun=shown.noun, num_right=num_right, num_clips=len(numbers), uids=uids))
    return tuple(sorted(classes, key=lambda weak: ((weak.num_right + 1) / (weak.num_clips + 2), weak.name))[:NUM_WEAK])


def _gain_fields(gain: Gain | None) -> dict[str, Any]:
    return {
        "expected_gain": gain.points if gain else None,
        "gain_interval": gain.interval if gain else None,
        "gain_clips": gain.num_clips if gain else None,
    }


def _percent(share: float) -> float:
    return round(100 * share, 1)
