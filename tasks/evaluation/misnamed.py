"""Select a network's worst mistakes, for which the report draws activation maps."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.evaluation.answers import answers_of
from tasks.evaluation.scoring import ScoredClips
from tasks.results.dataset import Vocabulary


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
