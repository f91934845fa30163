"""Where two networks name the same, what each says where they differ, and how often each is right where labels are known.

Legend: n clips, k ranks.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.evaluation.answers import Answers, Ids
from tasks.evaluation.metrics import measure
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


class Tally:
    """Adds up one video after the other; of a clip it keeps a few bytes."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._sources: list[str] = []
        self._alike: dict[Target, list[bool]] = {target: [] for target in TARGETS}
        self._pairs: dict[Target, Counter[tuple[int, int]]] = {target: Counter() for target in TARGETS}
        self._labelled_sources: list[str] = []
        self._true: dict[Target, list[int]] = {target: [] for target in TARGETS}
        self._ranked: dict[PredictorRole, dict[Target, list[Ids]]] = {}

    def add(self, uids: Sequence[str], source: str, ranked: RankedByRole, labels: Mapping[str, KnownLabel]) -> None:
        """Add the clips of one video.

        Args:
            uids: (n,) the clips.
            source: the recording that they come from, where their labels do not say so.
            ranked: by network its best classes of each clip.
            labels: by uid what people say of clips, of any videos.
        """
        if "against" in ranked:
            self._sources += [labels[uid].source if uid in labels else source for uid in uids]
            for target in TARGETS:
                ours, theirs = (ranked[role][target].ids[:, 0] for role in ("model", "against"))
                self._alike[target] += np.equal(ours, theirs).tolist()
                self._pairs[target].update((a, b) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True) if a != b)
        for i, uid in enumerate(uids):
            if label := labels.get(uid):
                self._labelled_sources.append(label.source)
                truth: dict[Target, int] = {
                    "verb": label.verb_class,
                    "noun": label.noun_class,
                    "action": label.verb_class * self._names.num_nouns + label.noun_class,
                }
                for target in TARGETS:
                    self._true[target].append(truth[target])
                    for role, best in ranked.items():
                        self._ranked.setdefault(role, {t: [] for t in TARGETS})[target].append(best[target].ids[i])

    @property
    def num_labelled(self) -> int:
        """Clips with a known label."""
        return len(self._labelled_sources)

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
        named = [Pair(self._names.name(target, a), self._names.name(target, b), n) for (a, b), n in self._pairs[target].items()]
        return tuple(sorted(named, key=lambda pair: (-pair.num_clips, pair.model, pair.against))[:num_pairs])

    def num_differing(self, target: Target) -> int:
        """Clips on which the best guesses differ."""
        return self._pairs[target].total()

    def accuracy(self, num_resamples: int) -> dict[PredictorRole, dict[Target, TargetMetrics]]:
        """By network and target the scores on the clips that have labels; empty where none has."""
        return {
            role: {
                target: measure(self._answers(target, np.stack(ids)), self._labelled_sources, num_resamples=num_resamples)
                for target, ids in ranked.items()
            }
            for role, ranked in self._ranked.items()
        }

    def _answers(self, target: Target, ranked: Ids) -> Answers:
        true = np.array(self._true[target], np.int64)
        ids = np.union1d(true, ranked[:, 0]).tolist()
        return Answers(target, true, ranked, {class_id: self._names.name(target, class_id) for class_id in ids})
