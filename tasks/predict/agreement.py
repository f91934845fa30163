"""Measure the agreement, the differences and the accuracy of two networks."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from tasks.judge.statistics.answers import Answers, Ids, verb_and_noun
from tasks.judge.statistics.metrics import measure
from tasks.judge.statistics.mistakes import Confusion, confusion_of, wrong_cells
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.predict.probabilities import Ranked
from tasks.predict.scored_video import Names
from tasks.store.records.dataset import NOTHING
from tasks.store.records.evaluation import TargetMetrics
from tasks.store.records.prediction import KnownLabel, PredictorRole
from tasks.store.records.record import Target
from tasks.wording import csv_table, plain_cell, stretch

COLUMNS = ("target", "against", "against_class", "model", "model_class", "num_clips")


class TalliedClip(NamedTuple):
    """A clip, and how far the probabilities of the two networks diverge on it."""

    uid: str
    file: str
    start_seconds: float
    stop_seconds: float
    divergence: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """The clips with equal top-1 predictions, with a 95 % interval over source videos."""

    target: Target
    num_clips: int
    num_sources: int
    num_alike: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """A pair of different predictions by the two networks, and its number of clips."""

    model: str
    against: str
    num_clips: int


@dataclass(frozen=True)
class Accuracy:
    """Each network's accuracy on the same labelled clips, either of training videos or of others.

    Two networks are measured on the clips that both predicted, without the `num_left_out` that only the model predicted. `expected` are the
    mean probabilities of their first predictions: the accuracy of a network that is calibrated on these clips.
    """

    is_trained_on: bool
    num_clips: int
    num_sources: int
    num_left_out: int
    networks: Mapping[PredictorRole, Mapping[Target, TargetMetrics]]
    expected: Mapping[PredictorRole, Mapping[Target, float]]

    def is_too_sure(self, role: PredictorRole, target: Target) -> bool:
        """Check whether more is expected than the accuracy's 95 % interval allows."""
        return self.expected[role][target] > self.networks[role][target].top1_interval[1]


@dataclass
class _Labelled:
    """Labelled clips that the same networks predicted."""

    sources: list[str] = field(default_factory=list)
    true: dict[Target, list[int]] = field(default_factory=dict)
    ranked: dict[PredictorRole, dict[Target, list[Ids]]] = field(default_factory=dict)
    likely: dict[PredictorRole, dict[Target, list[float]]] = field(default_factory=dict)


class Tally:
    """Count clips, a few of one video at a time, in little memory."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._sources: list[str] = []
        self._compared: list[TalliedClip] = []
        self._ids: dict[Target, list[Ids]] = {target: [np.empty((2, 0), np.int64)] for target in names.targets}
        self.named: dict[Target, Counter[tuple[int, int]]] = {target: Counter() for target in names.targets}
        """Numbers of clips by target and pair of top-1 predictions: the model's and the other network's."""
        self._of_both: dict[bool, _Labelled] = {False: _Labelled(), True: _Labelled()}
        self._of_one: dict[bool, _Labelled] = {False: _Labelled(), True: _Labelled()}

    def add(
        self,
        clips: Sequence[TalliedClip],
        source: str,
        ranked: Mapping[PredictorRole, Mapping[Target, Ranked]],
        labels: Mapping[str, KnownLabel],
        *,
        is_trained_on: bool = False,
    ) -> None:
        """Add clips of one video."""
        if "against" in ranked:
            self._sources += [source] * len(clips)
            self._compared += clips
            for target in self._names.targets:
                both = np.stack([ranked[role][target].ids[:, 0] for role in ("model", "against")])
                self._ids[target].append(both)
                self.named[target].update(zip(*both.tolist(), strict=True))
        labelled = (self._of_both if "against" in ranked else self._of_one)[is_trained_on]
        for i, clip in enumerate(clips):
            label = labels.get(clip.uid)
            # A clip in which nothing happens counts in no accuracy of actions.
            if label and self._names.name("verb", label.verb_class) != NOTHING:
                labelled.sources.append(source)
                truth: dict[Target, int] = {
                    "verb": label.verb_class,
                    "noun": label.noun_class,
                    "action": self._names.action(label.verb_class, label.noun_class),
                }
                for target in self._names.targets:
                    labelled.true.setdefault(target, []).append(truth[target])
                    for role, best in ranked.items():
                        # Copy: a view of one row would keep the whole array in memory.
                        labelled.ranked.setdefault(role, {}).setdefault(target, []).append(best[target].ids[i].copy())
                        likely = labelled.likely.setdefault(role, {}).setdefault(target, [])
                        likely.append(float(best[target].probabilities[i, 0]))

    @property
    def num_labelled(self) -> int:
        """Count the labelled clips."""
        return sum(len(labelled.sources) for labelled in (*self._of_both.values(), *self._of_one.values()))

    def agreements(self) -> tuple[Agreement, ...]:
        """Measure the agreement on each target; none without a second network."""
        if not self._sources:
            return ()
        agreements = []
        for target in self._names.targets:
            alike = np.equal(*self._both(target))
            agreements.append(
                Agreement(
                    target=target,
                    num_clips=len(alike),
                    num_sources=len(set(self._sources)),
                    num_alike=int(alike.sum()),
                    share=float(alike.mean()),
                    interval=top1_interval(alike, self._sources),
                )
            )
        return tuple(agreements)

    def pairs(self, target: Target, num_pairs: int) -> tuple[Pair, ...]:
        """List the most frequent differences; equally frequent ones by name."""
        named = [Pair(self._names.name(target, a), self._names.name(target, b), n) for (a, b), n in self.named[target].items() if a != b]
        return tuple(sorted(named, key=lambda pair: (-pair.num_clips, pair.model, pair.against))[:num_pairs])

    def num_differing(self, target: Target) -> int:
        """Count the clips with different top-1 predictions."""
        return sum(number for (model, against), number in self.named[target].items() if model != against)

    def confusions(self) -> dict[Target, Confusion]:
        """Count the other network's predictions (rows) against the model's (columns), if there are two.

        Classes beyond 30 are summed. Clips that differ are listed by cell, the largest divergence first.
        """
        if not self._compared:
            return {}
        uids, divergences = [clip.uid for clip in self._compared], np.array([clip.divergence for clip in self._compared])
        confusions = {}
        for target in self._names.targets:
            both = self._both(target)
            names = {class_id: self._names.name(target, class_id) for class_id in np.unique(both).tolist()}
            answers = Answers(target, both[1], both[0][:, None], names)
            confusion = confusion_of(answers)
            confusions[target] = replace(confusion, wrong=wrong_cells(confusion, answers, divergences, uids))
        return confusions

    def clip_names(self, uids: Collection[str]) -> dict[str, str]:
        """Name clips that both networks predicted by video and time."""
        return {clip.uid: f"{clip.file} {stretch(clip.start_seconds, clip.stop_seconds)}" for clip in self._compared if clip.uid in uids}

    def _both(self, target: Target) -> Ids:
        """Return the (2, n) top-1 class ids of both networks, the model's first."""
        return np.concatenate(self._ids[target], axis=1)

    def accuracies(self) -> tuple[Accuracy, ...]:
        """Measure accuracy on videos outside training, then on training videos; skip groups without labels."""
        accuracies = []
        for is_trained_on in (False, True):
            of_both, of_one = self._of_both[is_trained_on], self._of_one[is_trained_on]
            labelled = of_both if of_both.sources else of_one
            if labelled.sources:
                accuracies.append(
                    Accuracy(
                        is_trained_on=is_trained_on,
                        num_clips=len(labelled.sources),
                        num_sources=len(set(labelled.sources)),
                        num_left_out=len(of_one.sources) if of_both.sources else 0,
                        networks={
                            role: {
                                target: measure(self._answers(target, labelled, role), labelled.sources) for target in self._names.targets
                            }
                            for role in labelled.ranked
                        },
                        expected={
                            role: {target: float(np.mean(own)) for target, own in targets.items()}
                            for role, targets in labelled.likely.items()
                        },
                    )
                )
        return tuple(accuracies)

    def _answers(self, target: Target, labelled: _Labelled, role: PredictorRole) -> Answers:
        true, ranked = np.array(labelled.true[target], np.int64), np.stack(labelled.ranked[role][target])
        ids = np.union1d(true, ranked[:, 0]).tolist()
        return Answers(target, true, ranked, {class_id: self._names.name(target, class_id) for class_id in ids})


def confusion_table(named: Mapping[Target, Mapping[tuple[int, int], int]], names: Names) -> bytes:
    """Write all pairs of classes as CSV, most frequent first; an action's class is `verb-noun`."""
    rows = []
    for target, counts in named.items():
        for (ours, theirs), number in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            both = [part for class_id in (theirs, ours) for part in (plain_cell(names.name(target, class_id)), _class(target, class_id))]
            rows.append(dict(zip(COLUMNS, (target, *both, number), strict=True)))
    return csv_table(COLUMNS, rows)


def _class(target: Target, class_id: int) -> str:
    return "-".join(map(str, verb_and_noun(class_id))) if target == "action" else str(class_id)
