"""The clips that a network got most wrong, and what it said instead: those worth a look into the network."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.evaluation.answers import answers_of
from tasks.evaluation.scoring import ScoredClips
from tasks.results.dataset import Vocabulary


@dataclass(frozen=True)
class Misnamed:
    """A wrong best guess.

    Attributes:
        clip: its place among the scored clips.
        target: the head that guessed: verb where the verb is wrong, else noun.
        class_id, class_name: what it guessed.
    """

    clip: int
    target: Literal["verb", "noun"]
    class_id: int
    class_name: str


def worst_wrong(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[int]:
    """Places of at most so many of the clips whose action is wrong, the largest loss first; by uid where losses are equal."""
    wrong = np.flatnonzero(~answers_of(clips, vocabulary)["action"].right).tolist()
    return sorted(wrong, key=lambda i: (-clips.losses[i], clips.uids[i]))[:num_clips]


def worst_misnamed(clips: ScoredClips, vocabulary: Vocabulary, num_clips: int) -> list[Misnamed]:
    """What the network said of each of `worst_wrong`, in that order."""
    answers = answers_of(clips, vocabulary)
    found = []
    for i in worst_wrong(clips, vocabulary, num_clips):
        target: Literal["verb", "noun"] = "noun" if answers["verb"].right[i] else "verb"
        class_id = int(answers[target].predicted[i])
        found.append(Misnamed(i, target, class_id, answers[target].names[class_id]))
    return found
