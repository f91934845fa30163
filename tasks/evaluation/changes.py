"""Report how fine-tuning changed each class, and the network's worst remaining mistakes."""

from collections.abc import Iterator, Sequence

from tasks.errors import BadInput
from tasks.evaluation.answers import answers_of
from tasks.evaluation.misnamed import worst_wrong
from tasks.evaluation.scoring import ScoredClips
from tasks.results.dataset import DatasetClip, Vocabulary
from tasks.results.evaluation import EvaluateResult, TargetMetrics
from tasks.results.metrics import ClassChange, Mistake
from tasks.results.record import Target

NUM_MISTAKES = 8


def class_changes(ours: EvaluateResult, theirs: EvaluateResult) -> tuple[ClassChange, ...]:
    """Compare precision, recall and F1 of each class between two networks.

    Ordered by target (verb, noun, action), then the most frequent class first.

    Args:
        ours: the fine-tuned network's scores.
        theirs: the opponent's scores on the same clips.

    Raises:
        BadInput: the two networks were scored on clips of different classes.
    """
    return tuple(change for target in ours.targets for change in _changes_of(target, getattr(ours, target), getattr(theirs, target)))


def worst_mistakes(
    ours: ScoredClips, theirs: ScoredClips, clips: Sequence[DatasetClip], vocabulary: Vocabulary, num: int = NUM_MISTAKES
) -> tuple[Mistake, ...]:
    """Return the clips whose action the fine-tuned network gets wrong with the largest loss, worst first.

    Args:
        ours: the fine-tuned network's scored clips.
        theirs: the opponent's scores of the same clips.
        clips: the dataset's clips, including these.
        vocabulary: names of the classes.
        num: the maximum number of clips.

    Raises:
        BadInput: the two networks were scored on different clips, or a clip is not in this dataset.
    """
    clip_of = {clip.uid: clip for clip in clips}
    if ours.uids != theirs.uids or not clip_of.keys() >= set(ours.uids):
        raise BadInput("the networks were not scored on the same clips of this dataset; run `evaluate` again for both")
    our_answers, their_answers = answers_of(ours, vocabulary), answers_of(theirs, vocabulary)

    def named(i: int) -> dict[str, str]:
        return {
            f"{whose}_{target}": answers[target].names[int(answers[target].predicted[i])]
            for whose, answers in (("predicted", our_answers), ("opponent", their_answers))
            for target in ("verb", "noun")
        }

    return tuple(
        Mistake(
            uid=ours.uids[i],
            clip_uri=clip_of[ours.uids[i]].uri,
            source=ours.sources[i],
            true_verb=clip_of[ours.uids[i]].verb,
            true_noun=clip_of[ours.uids[i]].noun,
            **named(i),
            loss=float(ours.losses[i]),
        )
        for i in worst_wrong(ours, vocabulary, num)
    )


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
