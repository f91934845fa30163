"""Where two networks name the same, what each says where they differ, and how often each is right where labels are known.

Legend: n clips, k ranks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tasks.evaluation.answers import Answers, Ids
from tasks.evaluation.confusion import Confusion
from tasks.evaluation.metrics import measure
from tasks.evaluation.prediction.confusion import confusion_between
from tasks.evaluation.prediction.names import Names
from tasks.evaluation.prediction.probabilities import Ranked
from tasks.evaluation.uncertainty import top1_interval
from tasks.results.evaluation import TargetMetrics
from tasks.results.prediction import KnownLabel, PredictorRole
from tasks.results.record import TARGETS, Target

RankedByRole = Mapping[PredictorRole, Mapping[Target, Ranked]]


@dataclass(frozen=True)
class Agreement:
    """On how many clips both networks' best guess is the same. `interval` is 95 %, from resampling source videos."""

    target: Target
    num_clips: int
    num_sources: int
    num_alike: int
    share: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """What the two networks called the same clips, and on how many they did."""

    model: str
    against: str
    num_clips: int


@dataclass(frozen=True)
class Accuracy:
    """How often each network is right on the labelled clips of videos that were trained on, or of those that were not."""

    is_trained_on: bool
    num_clips: int
    num_sources: int
    networks: Mapping[PredictorRole, Mapping[Target, TargetMetrics]]


@dataclass
class _Labelled:
    """Clips with labels, as one network answered them."""

    sources: list[str] = field(default_factory=list)
    true: dict[Target, list[int]] = field(default_factory=lambda: {target: [] for target in TARGETS})
    ranked: dict[Target, list[Ids]] = field(default_factory=lambda: {target: [] for target in TARGETS})


class Tally:
    """Adds up one video after the other; of a clip it keeps a few bytes."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._sources: list[str] = []
        self._alike: dict[Target, list[bool]] = {target: [] for target in TARGETS}
        self._named: dict[Target, Counter[tuple[int, int]]] = {target: Counter() for target in TARGETS}
        self._labelled: dict[bool, dict[PredictorRole, _Labelled]] = {False: {}, True: {}}

    def add(
        self, uids: Sequence[str], source: str, ranked: RankedByRole, labels: Mapping[str, KnownLabel], *, is_trained_on: bool = False
    ) -> None:
        """Add the clips of one video.

        Args:
            uids: (n,) the clips.
            source: the recording that they come from.
            ranked: by network its best classes of each clip.
            labels: by uid what people say of clips, of any videos.
            is_trained_on: whether the model was trained on this video.
        """
        if "against" in ranked:
            self._sources += [source] * len(uids)
            for target in TARGETS:
                ours, theirs = (ranked[role][target].ids[:, 0] for role in ("model", "against"))
                self._alike[target] += np.equal(ours, theirs).tolist()
                self._named[target].update(zip(ours.tolist(), theirs.tolist(), strict=True))
        for i, uid in enumerate(uids):
            if label := labels.get(uid):
                truth: dict[Target, int] = {
                    "verb": label.verb_class,
                    "noun": label.noun_class,
                    "action": label.verb_class * self._names.num_nouns + label.noun_class,
                }
                for role, best in ranked.items():
                    labelled = self._labelled[is_trained_on].setdefault(role, _Labelled())
                    labelled.sources.append(source)
                    for target in TARGETS:
                        labelled.true[target].append(truth[target])
                        labelled.ranked[target].append(best[target].ids[i])

    @property
    def num_labelled(self) -> int:
        """Clips with a known label."""
        return sum(len(roles["model"].sources) for roles in self._labelled.values() if roles)

    @property
    def named(self) -> Mapping[Target, Mapping[tuple[int, int], int]]:
        """By target the clips of each pair of best guesses, the model's and the other network's."""
        return self._named

    def agreements(self, num_resamples: int) -> tuple[Agreement, ...]:
        """One of each target; none without a second network."""
        if not self._sources:
            return ()
        found = []
        for target in TARGETS:
            alike = np.array(self._alike[target])
            found.append(
                Agreement(
                    target=target,
                    num_clips=len(alike),
                    num_sources=len(set(self._sources)),
                    num_alike=int(alike.sum()),
                    share=float(alike.mean()),
                    interval=top1_interval(alike, self._sources, num_resamples=num_resamples),
                )
            )
        return tuple(found)

    def pairs(self, target: Target, num_pairs: int) -> tuple[Pair, ...]:
        """The most frequent differences, and by name where they are equally frequent."""
        named = [Pair(self._names.name(target, a), self._names.name(target, b), n) for (a, b), n in self._named[target].items() if a != b]
        return tuple(sorted(named, key=lambda pair: (-pair.num_clips, pair.model, pair.against))[:num_pairs])

    def num_differing(self, target: Target) -> int:
        """Clips on which the best guesses differ."""
        return sum(n for (a, b), n in self._named[target].items() if a != b)

    def confusions(self) -> dict[Target, Confusion]:
        """By target what the model calls the clips that the other network calls something; none without a second network."""
        return {target: confusion_between(target, named, self._names) for target, named in self._named.items() if named}

    def accuracies(self, num_resamples: int) -> tuple[Accuracy, ...]:
        """Of the videos that were not trained on, and then of those that were; none where no clip has a label."""
        return tuple(
            Accuracy(
                is_trained_on=is_trained_on,
                num_clips=len(roles["model"].sources),
                num_sources=len(set(roles["model"].sources)),
                networks={
                    role: {target: measure(self._answers(target, own), own.sources, num_resamples=num_resamples) for target in TARGETS}
                    for role, own in roles.items()
                },
            )
            for is_trained_on, roles in self._labelled.items()
            if roles
        )

    def _answers(self, target: Target, labelled: _Labelled) -> Answers:
        true, ranked = np.array(labelled.true[target], np.int64), np.stack(labelled.ranked[target])
        ids = np.union1d(true, ranked[:, 0]).tolist()
        return Answers(target, true, ranked, {class_id: self._names.name(target, class_id) for class_id in ids})
