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
from tasks.evaluation.uncertainty import top1_interval
from tasks.prediction.confusion import confusion_between
from tasks.prediction.names import Names
from tasks.prediction.probabilities import Ranked
from tasks.results.evaluation import TargetMetrics
from tasks.results.prediction import KnownLabel, PredictorRole
from tasks.results.record import Target

RankedByRole = Mapping[PredictorRole, Mapping[Target, Ranked]]


@dataclass(frozen=True)
class Agreement:
    """On how many clips both networks' best guess is the same. `interval` is 95 %, of the share with other source videos."""

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
    """How often each network is right on the same labelled clips, of videos that were trained on or of those that were not.

    Two networks are measured on the clips that both answered; `num_left_out` further ones with a label were answered by the model alone.
    """

    is_trained_on: bool
    num_clips: int
    num_sources: int
    num_left_out: int
    networks: Mapping[PredictorRole, Mapping[Target, TargetMetrics]]


@dataclass
class _Labelled:
    """Clips with labels, answered by the same networks."""

    sources: list[str] = field(default_factory=list)
    true: dict[Target, list[int]] = field(default_factory=dict)
    ranked: dict[PredictorRole, dict[Target, list[Ids]]] = field(default_factory=dict)


class Tally:
    """Adds up clips, some of one video after the other; of a clip it keeps a few bytes."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._sources: list[str] = []
        self._alike: dict[Target, list[bool]] = {target: [] for target in names.targets}
        self._named: dict[Target, Counter[tuple[int, int]]] = {target: Counter() for target in names.targets}
        self._of_both: dict[bool, _Labelled] = {False: _Labelled(), True: _Labelled()}
        self._of_one: dict[bool, _Labelled] = {False: _Labelled(), True: _Labelled()}

    def add(
        self, uids: Sequence[str], source: str, ranked: RankedByRole, labels: Mapping[str, KnownLabel], *, is_trained_on: bool = False
    ) -> None:
        """Add clips of one video.

        Args:
            uids: (n,) the clips.
            source: the recording that they come from.
            ranked: by network its best classes of each clip.
            labels: by uid what people say of clips, of any videos.
            is_trained_on: whether the model was trained on this video.
        """
        if "against" in ranked:
            self._sources += [source] * len(uids)
            for target in self._names.targets:
                ours, theirs = (ranked[role][target].ids[:, 0] for role in ("model", "against"))
                self._alike[target] += np.equal(ours, theirs).tolist()
                self._named[target].update(zip(ours.tolist(), theirs.tolist(), strict=True))
        labelled = (self._of_both if "against" in ranked else self._of_one)[is_trained_on]
        for i, uid in enumerate(uids):
            if label := labels.get(uid):
                labelled.sources.append(source)
                truth: dict[Target, int] = {
                    "verb": label.verb_class,
                    "noun": label.noun_class,
                    "action": self._names.action(label.verb_class, label.noun_class),
                }
                for target in self._names.targets:
                    labelled.true.setdefault(target, []).append(truth[target])
                    for role, best in ranked.items():
                        own = labelled.ranked.setdefault(role, {one: [] for one in self._names.targets})
                        # A row of the array would keep all of it.
                        own[target].append(best[target].ids[i].copy())

    @property
    def num_labelled(self) -> int:
        """Clips with a known label."""
        return sum(len(labelled.sources) for labelled in (*self._of_both.values(), *self._of_one.values()))

    @property
    def named(self) -> Mapping[Target, Mapping[tuple[int, int], int]]:
        """By target the clips of each pair of best guesses, the model's and the other network's."""
        return self._named

    def agreements(self) -> tuple[Agreement, ...]:
        """One of each target; none without a second network."""
        if not self._sources:
            return ()
        found = []
        for target in self._names.targets:
            alike = np.array(self._alike[target])
            found.append(
                Agreement(
                    target=target,
                    num_clips=len(alike),
                    num_sources=len(set(self._sources)),
                    num_alike=int(alike.sum()),
                    share=float(alike.mean()),
                    interval=top1_interval(alike, self._sources),
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

    def accuracies(self) -> tuple[Accuracy, ...]:
        """Of the videos that were not trained on, and then of those that were; none where no clip has a label."""
        found = []
        for is_trained_on in (False, True):
            of_both, of_one = self._of_both[is_trained_on], self._of_one[is_trained_on]
            labelled = of_both if of_both.sources else of_one
            if labelled.sources:
                found.append(
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
                    )
                )
        return tuple(found)

    def _answers(self, target: Target, labelled: _Labelled, role: PredictorRole) -> Answers:
        true, ranked = np.array(labelled.true[target], np.int64), np.stack(labelled.ranked[role][target])
        ids = np.union1d(true, ranked[:, 0]).tolist()
        return Answers(target, true, ranked, {class_id: self._names.name(target, class_id) for class_id in ids})
