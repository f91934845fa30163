"""Find classes on which the fine-tuned network is significantly worse than its opponent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from tasks.errors import BadInput
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.multiplicity import LEVEL, significant
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.record import Target


@dataclass(frozen=True)
class ClassOutcome:
    """Clip counts of one verb or noun.

    Gained (lost) clips are right only with our network (the opponent).
    """

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

    Args:
        ours: the fine-tuned network's scored clips.
        theirs: the opponent's scores of the same clips.
        vocabulary: names of the classes.

    Raises:
        BadInput: the two networks were scored on different clips.
    """
    if ours.uids != theirs.uids:
        raise BadInput("the networks were not scored on the same clips; run `evaluate` again for both")
    our_answers, their_answers = answers_of(ours, vocabulary), answers_of(theirs, vocabulary)
    found = []
    for target in (target for target in vocabulary.targets if target != "action"):
        our, their = our_answers[target], their_answers[target]
        for class_id in np.unique(our.true).tolist():
            of_class = our.true == class_id
            gained = int((our.right & ~their.right & of_class).sum())
            lost = int((their.right & ~our.right & of_class).sum())
            found.append(ClassOutcome(target, our.names[class_id], int(of_class.sum()), gained, lost))
    return tuple(found)


def significant_losses(outcomes: Sequence[ClassOutcome]) -> list[ClassOutcome]:
    """Return the classes with a significant loss, corrected for the number of `outcomes`."""
    min_p_values = [0.5 ** (one.num_lost + one.num_gained) for one in outcomes]
    is_significant = significant([one.p_of_loss for one in outcomes], min_p_values, LEVEL)
    return [outcome for outcome, keep in zip(outcomes, is_significant, strict=True) if keep]
