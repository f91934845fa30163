"""Make the summary of a model: its champion, the history of its versions, and its weak classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.curves import LearningCurveResult
from tasks.store.records.dataset import Manifest
from tasks.store.records.evaluation import ChampionMove, EvaluateResult
from tasks.store.records.record import SplitName
from tasks.store.records.status import ModelStatus, VersionStatus, WeakClass

MAX_VERSIONS = 200
NUM_WEAK, NUM_WRONG_CLIPS = 5, 4
CHAMPION_AGAIN = "champion again"


@dataclass(frozen=True)
class Score:
    """Action top-1 of a version on the deciding clips and its 95 % interval, in percent."""

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
    """The champion after a move or a decision: its version, and since when it is champion."""

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
    """Facts of a decision: its split, the clips that its champion gets wrong, doubtful labels, and the expected gain."""

    split: SplitName
    weak_classes: tuple[WeakClass, ...]
    num_doubtful: int
    gain: Gain | None


def with_decision(
    earlier: ModelStatus | None, model_name: str, entry: VersionStatus, champion: Standing, evidence: Evidence, at: str
) -> ModelStatus:
    """Add a decision or a rollback to the history of a model, the latest first; the same one is there once."""
    others = [known for known in (earlier.versions if earlier else ()) if (known.version, known.at) != (entry.version, entry.at)]
    return ModelStatus(
        at=at,
        model_name=model_name,
        champion=champion.version,
        provisional=champion.provisional,
        champion_since=champion.since,
        split=evidence.split,
        num_doubtful=evidence.num_doubtful,
        weak_classes=evidence.weak_classes,
        versions=tuple(sorted((entry, *others), key=lambda version: version.at, reverse=True)[:MAX_VERSIONS]),
        now_dataset=earlier.now_dataset if earlier else "",
        now_split=earlier.now_split if earlier else None,
        **_gain_fields(evidence.gain),
    )


def with_gain(earlier: ModelStatus | None, run_key: str, gain: Gain | None) -> ModelStatus | None:
    """Add the gain by a learning curve, if it is of the training that was decided on last; else return None."""
    decisions = (version for version in (earlier.versions if earlier else ()) if version.event != CHAMPION_AGAIN)
    last = next(decisions, None)
    if earlier is None or last is None or last.run_key != run_key:
        return None
    return earlier.model_copy(update=_gain_fields(gain))


def with_scores(model: ModelStatus, dataset: str, split: SplitName, scores: Mapping[int, Score]) -> ModelStatus:
    """Note how versions score on a split of a dataset, in place of scores on other clips."""
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


def weak_classes(scored: ScoredClips, manifest: Manifest) -> tuple[WeakClass, ...]:
    """List the actions that a network names worst, each with clips that it gets wrong, those of the largest loss first.

    A class with few clips counts as nearer to a half (Laplace's rule of succession), so that one wrong clip is not the worst class.
    """
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
