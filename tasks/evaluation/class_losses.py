"""Which classes the fine-tuned network names worse than its opponent does, by more than chance would have it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from tasks.errors import BadInput
from tasks.evaluation.answers import answers_of
from tasks.evaluation.multiplicity import LEVEL, significant
from tasks.evaluation.scoring import ScoredClips
from tasks.results.dataset import Vocabulary
from tasks.results.record import Target


@dataclass(frozen=True)
class ClassOutcome:
    """One verb or noun under both networks: its clips, and those of them that one network alone names right."""

    target: Target
    name: str
    num_clips: int
    num_gained: int
    num_lost: int

    @property
    def num_fewer(self) -> int:
        """How many clips fewer are named right than before."""
        return self.num_lost - self.num_gained

    @property
    def p_of_loss(self) -> float:
        """How often chance alone would lose at least as many of the clips that differ: McNemar's exact test, one-sided."""
        num_differing = self.num_lost + self.num_gained
        return float(binomtest(self.num_lost, num_differing, alternative="greater").pvalue) if num_differing else 1.0


def class_outcomes(ours: ScoredClips, theirs: ScoredClips, vocabulary: Vocabulary) -> tuple[ClassOutcome, ...]:
    """Every verb and noun that some clip has; verbs alone where there are no objects.

    Args:
        ours: what the fine-tuned network answered.
        theirs: what the network that it must beat answered on the same clips.
        vocabulary: names of the classes.

    Raises:
        BadInput: the two were scored on other clips.
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
    """Those that lost more than chance explains, corrected for the number of `outcomes`."""
    least = [0.5 ** (one.num_lost + one.num_gained) for one in outcomes]
    is_significant = significant([one.p_of_loss for one in outcomes], least, LEVEL)
    return [one for one, is_one in zip(outcomes, is_significant, strict=True) if is_one]
