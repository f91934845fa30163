"""Compare two networks class by class, and find significant losses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from tasks.errors import BadInput
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.paired import LEVEL, significant
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import EvaluateResult, TargetMetrics
from tasks.store.records.metrics import ClassChange
from tasks.store.records.record import Target


@dataclass(frozen=True)
class ClassOutcome:
    """One verb or noun; gained (lost) clips are right only with our network (the opponent)."""

    target: Target
    name: str
    num_clips: int
    num_gained: int
    num_lost: int

    @property
    def num_fewer(self) -> int:
        """Return the net number of lost clips."""
        return self.num_lost - self.num_gained

    @property
    def p_of_loss(self) -> float:
        """Compute the p-value of McNemar's exact one-sided test for a loss."""
        num_differing = self.num_lost + self.num_gained
        return float(binomtest(self.num_lost, num_differing, alternative="greater").pvalue) if num_differing else 1.0


def class_outcomes(ours: ScoredClips, theirs: ScoredClips, vocabulary: Vocabulary) -> tuple[ClassOutcome, ...]:
    """Count gained and lost clips per verb and noun.

    Verbs only if no label names an object.

    Raises:
        BadInput: the two networks were scored on different clips.
    """
    if ours.uids != theirs.uids:
        raise BadInput("the networks were not scored on the same clips; run `evaluate` again for both")
    our_answers, their_answers = answers_of(ours, vocabulary), answers_of(theirs, vocabulary)
    outcomes = []
    for target in (target for target in vocabulary.targets if target != "action"):
        our, their = our_answers[target], their_answers[target]
        for class_id in np.unique(our.true).tolist():
            of_class = our.true == class_id
            gained = int((our.right & ~their.right & of_class).sum())
            lost = int((their.right & ~our.right & of_class).sum())
            outcomes.append(ClassOutcome(target, our.names[class_id], int(of_class.sum()), gained, lost))
    return tuple(outcomes)


def significant_losses(outcomes: Sequence[ClassOutcome]) -> list[ClassOutcome]:
    """Return the classes with a significant loss, corrected for the number of `outcomes`."""
    min_p_values = [0.5 ** (outcome.num_lost + outcome.num_gained) for outcome in outcomes]
    is_significant = significant([outcome.p_of_loss for outcome in outcomes], min_p_values, LEVEL)
    return [outcome for outcome, keep in zip(outcomes, is_significant, strict=True) if keep]


def class_changes(ours: EvaluateResult, theirs: EvaluateResult) -> tuple[ClassChange, ...]:
    """Compare precision, recall and F1 of each class between two networks.

    Ordered by target (verb, noun, action), then the most frequent class first.

    Raises:
        BadInput: the two networks were scored on clips of different classes.
    """
    return tuple(change for target in ours.targets for change in _changes_of(target, getattr(ours, target), getattr(theirs, target)))


def _changes_of(target: Target, ours: TargetMetrics, theirs: TargetMetrics) -> Iterator[ClassChange]:
    if [(c.name, c.support) for c in ours.classes] != [(c.name, c.support) for c in theirs.classes]:
        raise BadInput(f"the networks were scored on clips of different {target}s; run `evaluate` again for both on the same dataset")
    for after, before in zip(ours.classes, theirs.classes, strict=True):
        yield ClassChange(
            target=target,
            name=after.name,
            support=after.support,
            recall_before=before.recall,
            recall_after=after.recall,
            precision_before=before.precision,
            precision_after=after.precision,
            f1_before=before.f1,
            f1_after=after.f1,
            is_worse=after.f1 < before.f1,
        )
