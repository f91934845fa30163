"""Select a network's worst mistakes, which the report shows with activation maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.errors import BadInput
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.records.dataset import DatasetClip, Vocabulary
from tasks.store.records.metrics import Mistake

NUM_MISTAKES = 8


@dataclass(frozen=True)
class Misnamed:
    """A wrong top-1 prediction.

    Attributes:
        clip: index into the scored clips.
        target: the wrong head: "verb" if the verb is wrong, else "noun".
        class_id, class_name: the predicted class.
    """

    clip: int
    target: Literal["verb", "noun"]
    class_id: int
    class_name: str


def worst_wrong(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[int]:
    """Return the indices of at most `num_clips` clips with a wrong action, largest loss first.

    Ties are ordered by uid.
    """
    wrong = np.flatnonzero(~answers_of(clips, vocabulary)["action"].right).tolist()
    return sorted(wrong, key=lambda i: (-clips.losses[i], clips.uids[i]))[:num_clips]


def worst_misnamed(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[Misnamed]:
    """Return the wrong prediction for each clip of `worst_wrong`, in that order."""
    answers = answers_of(clips, vocabulary)
    found = []
    for i in worst_wrong(clips, vocabulary, num_clips):
        target: Literal["verb", "noun"] = "noun" if answers["verb"].right[i] else "verb"
        class_id = int(answers[target].predicted[i])
        found.append(Misnamed(i, target, class_id, answers[target].names[class_id]))
    return found


def worst_mistakes(
    ours: ScoredClips, theirs: ScoredClips, clips: Sequence[DatasetClip], vocabulary: Vocabulary, num: int = NUM_MISTAKES
) -> tuple[Mistake, ...]:
    """Return the clips whose action the fine-tuned network gets wrong, worst first.

    The worst has the largest loss.

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
